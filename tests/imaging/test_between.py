"""Shapes between slices; truth comes from circles and cones, whose cuts are known."""

import numpy as np
import pytest

from napari_medseg.core.metrics import dice
from napari_medseg.imaging.between import fill_between, shapes_between, signed_distance


def disc(row: float, column: float, radius: float, pixel: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """A disc in mm on 80 x 90 pixels."""
    rows, columns = np.mgrid[:80, :90]
    return (rows * pixel[0] - row) ** 2 + (columns * pixel[1] - column) ** 2 <= radius**2


def filled(given: dict[int, np.ndarray], pixel: tuple[float, float] = (1.0, 1.0)) -> dict[int, np.ndarray]:
    return dict(fill_between(given, pixel))


@pytest.mark.parametrize("pixel", [(1.0, 1.0), (0.5, 1.0)])
def test_an_oblique_cone_is_filled_as_it_was(pixel: tuple[float, float]) -> None:
    cone = {i: disc(15 + i, 30 + 3 * i, 12 - 0.8 * i, pixel) for i in range(9)}
    found = filled({0: cone[0], 8: cone[8]}, pixel)
    assert sorted(found) == list(range(1, 8))
    assert np.mean([dice(region, cone[i]) for i, region in found.items()]) > 0.95


def test_distances_are_millimetres() -> None:
    """Truth: with pixels half as high, a row further is half a mm deeper."""
    region = np.zeros((20, 20), bool)
    region[5:15] = True
    distances = signed_distance(region, (0.5, 1.0))
    np.testing.assert_allclose(distances[3:7, 10], [-1.0, -0.5, 0.5, 1.0])


def test_what_does_not_overlap_still_meets_in_the_middle() -> None:
    found = filled({3: disc(20, 15, 6), 5: disc(20, 65, 6)})
    assert dice(found[4], disc(20, 40, 6)) > 0.95


def test_one_piece_becomes_two_and_two_become_one() -> None:
    two = disc(40, 25, 10) | disc(40, 60, 10)
    one = disc(40, 42, 22)
    found = filled({0: one, 4: two, 8: one})
    assert found[1].sum() > found[3].sum() > two.sum()
    for i in range(1, 4):
        np.testing.assert_array_equal(found[i], found[8 - i])


def test_one_of_two_that_ends_does_not_drag_the_other_along() -> None:
    left = disc(40, 20, 9)
    found = filled({0: left | disc(40, 70, 9), 2: left})
    assert dice(found[1][:, :40], left[:, :40]) > 0.98


def test_only_gaps_between_outlined_slices_are_filled() -> None:
    region, nothing = disc(40, 40, 10), np.zeros((80, 90), bool)
    assert filled({}) == filled({4: region}) == filled({4: region, 5: region}) == {}
    assert sorted(filled({2: region, 4: region, 7: region})) == [3, 5, 6]
    assert sorted(filled({2: region, 4: nothing, 7: region, 9: region})) == [8]


def test_both_ends_are_given_back_and_the_border_is_no_end() -> None:
    first, last = disc(0, 0, 12), disc(4, 8, 20)
    start, end = shapes_between(first, last, (0.0, 1.0), (1.0, 1.0))
    np.testing.assert_array_equal(start, first)
    np.testing.assert_array_equal(end, last)
