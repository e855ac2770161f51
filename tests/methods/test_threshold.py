"""Threshold, checked on values chosen by hand."""

import numpy as np
import pytest

from napari_medseg.core.geometry import Geometry
from napari_medseg.core.progress import finish
from napari_medseg.core.prompts import Box, Point
from napari_medseg.core.request import Request
from napari_medseg.core.task import task_of
from napari_medseg.core.volume import Volume
from napari_medseg.methods.threshold import Settings, build


def picture() -> Volume:
    """Two bright squares on dark, the left one with a hole."""
    array = np.zeros((1, 20, 40), np.int16)
    array[0, 5:15, 3:13] = 100
    array[0, 9:11, 7:9] = 0
    array[0, 5:15, 25:35] = 200
    return Volume(array, Geometry.of_pixels(array.shape))


def outline(settings: Settings, *prompts: Point | Box) -> np.ndarray:
    request = Request(picture(), "axial", (0,), task_of("squares", ("square",)), prompts)
    return finish(build(settings, None, "cpu").segment(request)).mask.of("square")[0]


def test_otsu_finds_both_squares_and_fills_the_hole() -> None:
    expected = np.zeros((20, 40), bool)
    expected[5:15, 3:13] = expected[5:15, 25:35] = True
    np.testing.assert_array_equal(outline(Settings(bright=True)), expected)


def test_a_click_keeps_the_square_under_it() -> None:
    found = outline(Settings(), Point("square", "axial", (0, 6, 4)))
    assert found[:, :20].sum() == 100
    assert not found[:, 20:].any()


def test_a_click_outside_takes_a_square_away() -> None:
    found = outline(Settings(), Point("square", "axial", (0, 6, 4), positive=False))
    assert not found[:, :20].any()
    assert found[:, 20:].sum() == 100


def test_a_range_in_the_image_s_own_units() -> None:
    found = outline(Settings(rule="range", low=150, high=300))
    assert not found[:, :20].any()
    assert found[:, 20:].sum() == 100


def test_a_box_limits_where_to_look() -> None:
    found = outline(Settings(fill=False), Box("square", "axial", 0, (0, 0), (20, 20)))
    assert found[:, :20].sum() == 96
    assert not found[:, 20:].any()


@pytest.mark.parametrize("value", [0, 7])
def test_a_flat_image_has_nothing_to_outline(value: int) -> None:
    array = np.full((1, 8, 8), value, np.int16)
    request = Request(Volume(array, Geometry.of_pixels(array.shape)), "axial", (0,), task_of("t", ("s",)))
    assert not finish(build(Settings(), None, "cpu").segment(request)).mask.of("s").any()
