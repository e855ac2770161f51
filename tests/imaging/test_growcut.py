"""GrowCut against values worked out by hand and by the best way to each voxel."""

import numpy as np

from napari_medseg.core.metrics import dice
from napari_medseg.imaging.growcut import grow_cut


def seeds(shape: tuple[int, ...], at: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    inside = np.zeros(shape, bool)
    inside[at] = True
    outside = np.ones(shape, bool)
    outside[tuple(slice(1, -1) for _ in shape)] = False
    return inside, outside


def test_a_noisy_ball_is_found_from_one_voxel() -> None:
    rng = np.random.default_rng(0)
    apart = np.indices((24, 32, 32)) - np.array([12, 16, 16])[:, None, None, None]
    ball = (apart**2).sum(0) < 64
    pixels = rng.normal(0, 3, ball.shape) + 100 * ball
    assert dice(grow_cut(pixels, *seeds(ball.shape, (12, 16, 16))), ball) > 0.97


def test_the_side_of_the_smaller_steps_wins() -> None:
    """Truth, by the products of 1 - step / range: from the left 0.9 and 0.9 x 0.7, from the right 0.4."""
    row = np.array([[0.0, 1.0, 4.0, 10.0]])
    inside, outside = np.zeros((1, 4), bool), np.zeros((1, 4), bool)
    inside[0, 0] = outside[0, 3] = True
    assert grow_cut(row, inside, outside).tolist() == [[True, True, True, False]]
    assert grow_cut(row[:, ::-1], outside, inside).tolist() == [[False, True, True, True]]


def test_nothing_changes_hands_without_seeds_inside() -> None:
    nothing = np.zeros((5, 5), bool)
    assert not grow_cut(np.ones((5, 5)), nothing, ~nothing).any()
