"""Moving and recolouring: what a task allows, and that truth goes with the picture."""

import numpy as np
import pytest
import torch

from napari_medseg.core.task import task_of
from napari_medseg.learning.augment import Freedom, freedom, grids, moved, recolour, still


@pytest.mark.parametrize(
    ("names", "modality", "wanted"),
    [
        (("right lung", "left lung"), "chest X-ray", Freedom(mirrors=False, turns=False)),
        (("liver",), "CT (portal venous)", Freedom(mirrors=True, turns=False)),
        (("cell nucleus",), "fluorescence microscopy", Freedom(mirrors=True, turns=True)),
        (("left-sided mass",), "photograph", Freedom(mirrors=False, turns=True)),
        (("node",), "", Freedom(mirrors=True, turns=False)),  # nothing is known of it
    ],
)
def test_sides_and_the_head_are_kept_where_they_mean_something(
    names: tuple[str, ...], modality: str, wanted: Freedom
) -> None:
    assert freedom(task_of("t", names, modality=modality)) == wanted


def picture() -> tuple[torch.Tensor, torch.Tensor]:
    image = torch.zeros(1, 3, 64, 64)
    image[:, :, 10:20, 8:24] = 1.0
    return image, (image[:, :1] > 0.5).float()


def test_truth_goes_with_the_picture() -> None:
    image, mask = picture()
    for seed in range(20):
        grid = grids(np.random.default_rng(seed), [(48, 64)], 64, 64, Freedom(mirrors=True, turns=True))
        seen, truth = moved(image, mask, grid)
        there = seen[:, :1] > 0.5
        assert (there != (truth > 0.5)).float().mean() < 0.01
        assert set(truth.unique().tolist()) <= {0.0, 1.0}


def test_without_mirrors_the_left_side_stays_left() -> None:
    image, mask = picture()
    sides = []
    for allowed in (False, True):
        columns = []
        for seed in range(30):
            grid = grids(np.random.default_rng(seed), [(64, 64)], 64, 64, Freedom(allowed, turns=False))
            _, truth = moved(image, mask, grid)
            columns.append(float(truth.nonzero()[:, 3].float().mean()) < 32)
        sides.append(np.mean(columns))
    assert sides[0] == 1.0 and 0.2 < sides[1] < 0.8


def test_standing_still_only_scales() -> None:
    image, mask = picture()
    seen, truth = moved(image, mask, still([(64, 64)], 64, 128))
    assert torch.equal(seen[:, :, 30, 30], torch.ones(1, 3))
    assert float(truth.sum()) == pytest.approx(4 * float(mask.sum()), rel=0.05)


def test_colours_stay_between_black_and_white() -> None:
    torch.manual_seed(0)
    images = torch.rand(8, 3, 16, 16)
    changed = recolour(images, np.random.default_rng(0))
    assert changed.min() >= 0 and changed.max() <= 1 and (changed != images).any()
