"""Simulated prompts: where they may lie follows from the truth, counted by hand."""

from dataclasses import replace

import numpy as np
import pytest

from napari_medseg.core.geometry import Geometry
from napari_medseg.core.mask import Mask
from napari_medseg.core.phantoms import ct_phantom
from napari_medseg.core.structure import Structure
from napari_medseg.learning.prompting import Target, box_of, click_in, correction, shaken, targets_of


def target(region: np.ndarray, key: str = "set/image/x/0/0") -> Target:
    """A target on slice 4."""
    return Target("x", "axial", 4, region, key)


def square(top: int, left: int, size: int) -> np.ndarray:
    """A square in a 100 x 120 picture."""
    region = np.zeros((100, 120), bool)
    region[top : top + size, left : left + size] = True
    return region


def test_targets_are_single_components_of_fifty_pixels_or_more() -> None:
    geometry = Geometry.of_pixels((1, 100, 120))
    mask = Mask.empty(geometry, [Structure("cells")])
    region = square(5, 5, 10) | square(40, 40, 7) | square(70, 70, 8)  # 100, 49 and 64 pixels
    targets = targets_of(mask.put("cells", region[None]), "set/picture.png")
    assert sorted(int(t.region.sum()) for t in targets) == [64, 100]
    assert len({t.seed for t in targets}) == 2


def test_a_volume_gives_few_slices_and_an_image_few_targets() -> None:
    _, mask = ct_phantom()
    targets = targets_of(mask, "set/volume")
    assert len(targets) == 12
    for name in mask.names:
        assert len({t.index for t in targets if t.structure == name}) <= 3
    again = targets_of(mask, "set/volume")
    assert [t.key for t in again] == [t.key for t in targets]
    assert [t.key for t in targets_of(mask, "set/other")] != [t.key for t in targets]


def test_box_edges_are_off_by_a_tenth_at_most_and_stay_inside() -> None:
    offsets = []
    for number in range(200):
        box = box_of(target(square(30, 50, 40), f"key {number}"))
        offsets.append(np.array([*box.start, *box.stop]) - [30, 50, 70, 90])
    assert np.abs(offsets).max() <= 4.0
    assert np.abs(offsets).mean() == pytest.approx(2.0, rel=0.1)  # of a uniform spread over -4 to 4
    box = box_of(target(square(0, 0, 100), "corner"))
    assert min(box.start) >= 0
    assert box.stop[0] <= 100


def test_clicks_lie_inside_and_everywhere() -> None:
    region = square(30, 50, 10)
    ats = [click_in(target(region, f"key {number}")).at for number in range(400)]
    assert all(z == 4 and region[int(row), int(column)] for z, row, column in ats)
    assert len(set(ats)) > 90  # of 100 pixels


def test_prompts_depend_on_the_key_alone() -> None:
    one, two = target(square(30, 50, 30)), target(square(30, 50, 30))
    assert box_of(one) == box_of(two)
    assert click_in(one) == click_in(two)
    assert click_in(replace(one, key="another")) != click_in(one)


def test_correction_goes_to_the_middle_of_the_largest_error() -> None:
    truth = square(30, 50, 41)
    answer = truth & ~square(35, 55, 11)  # 121 pixels missed
    answer |= square(5, 5, 9)  # 81 pixels too many
    missed = correction(target(truth), answer)
    assert missed is not None
    assert missed.positive
    assert missed.at == (4.0, 40.0, 60.0)
    extra = correction(target(truth), truth | square(5, 5, 9))
    assert extra is not None
    assert not extra.positive
    assert extra.at == (4.0, 9.0, 9.0)
    assert correction(target(truth), truth) is None


def test_a_rough_guess_is_shifted_then_grown_or_shrunk_but_never_to_nothing() -> None:
    """Truth: counted by hand on squares; growing adds the four neighbours of each pixel."""
    region, by = square(30, 50, 10), np.array([3.0, -5.0])
    np.testing.assert_array_equal(shaken(region, by, 0), square(33, 45, 10))
    assert shaken(region, by, 1).sum() == 100 + 4 * 10
    np.testing.assert_array_equal(shaken(region, by, -2), square(35, 47, 6))
    np.testing.assert_array_equal(shaken(region, by, -5), square(33, 45, 10))
