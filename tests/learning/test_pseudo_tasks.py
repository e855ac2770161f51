"""Targets nobody drew: they follow edges, stay on the picture and differ from what surrounds them."""

import numpy as np

from napari_medseg.learning.pseudo_tasks import lay_shapes, superpixels


def scene(size: int = 96) -> np.ndarray:
    """Four quarters of different greys."""
    random = np.random.default_rng(0)
    grey = np.kron(np.array([[40, 100], [160, 220]]), np.ones((size // 2, size // 2)))
    return np.repeat((grey + random.normal(0, 2, grey.shape)).clip(0, 255).astype(np.uint8)[..., None], 3, 2)


def test_superpixels_follow_edges() -> None:
    """Truth: the quarters of the picture; a superpixel is one of them, or two that were merged."""
    quarter = np.kron(np.arange(4).reshape(2, 2), np.ones((48, 48), int))
    for seed in range(8):
        for region in superpixels(scene(), (96, 96), 3, np.random.default_rng(seed)):
            shares = np.bincount(quarter[region], minlength=4) / 48**2
            assert region.any() and ((shares < 0.1) | (shares > 0.9)).all()


def test_superpixels_stay_off_the_padding() -> None:
    canvas = scene()
    canvas[:, 60:] = 0
    for region in superpixels(canvas, (96, 60), 4, np.random.default_rng(0)):
        assert region.any() and not region[:, 60:].any()
    assert superpixels(canvas, (96, 8), 4, np.random.default_rng(0)) == []


def test_laid_shapes_are_seen_and_do_not_overlap() -> None:
    n_found = 0
    for seed in range(12):
        before = np.full((96, 96, 3), 120, np.uint8)
        after, seen = lay_shapes(before, 3, np.random.default_rng(seed))
        assert after.dtype == np.uint8 and after.shape == before.shape
        assert np.sum(seen, axis=0).max() <= 1 if seen else (after == before).all()
        untouched = np.abs(after.astype(int) - 120).max(2) == 0
        assert untouched[~np.any(seen, axis=0)].mean() > 0.5 if seen else True
        n_found += len(seen)
    assert n_found > 12


def test_the_same_seed_gives_the_same_shapes() -> None:
    first, second = (lay_shapes(scene(), 2, np.random.default_rng(3)) for _ in range(2))
    assert (first[0] == second[0]).all() and np.array_equal(first[1], second[1])
