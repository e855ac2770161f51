"""Classical floors on shapes whose outline is known in closed form."""

import numpy as np
import pytest

from napari_medseg.core.errors import TaskError
from napari_medseg.core.metrics import dice
from napari_medseg.core.phantoms import slice_phantom
from napari_medseg.core.prompts import Box, Point
from napari_medseg.imaging.baselines import FLOORS, inscribed_ellipse, outline


def disc(size: int = 200, radius: float = 40.0, noise: float = 8.0) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc on a dark ground, and its outline."""
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    truth = np.hypot(rows, columns) <= radius
    values = np.where(truth, 170.0, 90.0) + np.random.default_rng(0).normal(0, noise, truth.shape)
    return np.clip(values, 0, 255).astype(np.uint8), truth


def box_around(truth: np.ndarray, margin: int = 0) -> Box:
    """The smallest box, or one a little larger."""
    rows, columns = np.flatnonzero(truth.any(1)), np.flatnonzero(truth.any(0))
    start = (float(rows[0] - margin), float(columns[0] - margin))
    return Box("x", "axial", 0, start, (float(rows[-1] + 1 + margin), float(columns[-1] + 1 + margin)))


def click(row: float, column: float, positive: bool = True) -> Point:
    """A click on slice 0."""
    return Point("x", "axial", (0.0, row, column), positive)


def test_ellipse_fills_pi_quarters_of_its_box() -> None:
    region = inscribed_ellipse((300, 400), Box("x", "axial", 0, (50.0, 100.0), (250.0, 340.0)))
    assert region.sum() == pytest.approx(np.pi / 4 * 200 * 240, rel=0.002)
    assert np.flatnonzero(region.any(1))[[0, -1]].tolist() == [50, 249]
    assert np.flatnonzero(region.any(0))[[0, -1]].tolist() == [100, 339]


@pytest.mark.parametrize("floor", FLOORS)
def test_every_floor_finds_a_plain_disc_from_a_loose_box(floor: str) -> None:
    values, truth = disc()
    assert dice(outline(floor, values, [box_around(truth, 4)]), truth) > 0.9


@pytest.mark.parametrize("floor", FLOORS)
def test_every_floor_finds_a_plain_disc_from_a_click(floor: str) -> None:
    values, truth = disc()
    found = outline(floor, values, [click(105, 90)])
    assert dice(found, truth) > 0.85
    assert found[105, 90]


@pytest.mark.parametrize("floor", FLOORS)
def test_colour_works_too_and_nothing_leaves_the_box(floor: str) -> None:
    values, truth = disc()
    colour = np.stack([values, values // 2, 255 - values], axis=2)
    box = box_around(truth)
    found = outline(floor, colour, [box])
    assert dice(found, truth) > 0.85
    assert not found[: int(box.start[0]) - 1].any()


def test_a_negative_click_is_left_out() -> None:
    values, _ = slice_phantom(128, 1)
    for floor in FLOORS:
        found = outline(floor, values.array[0], [click(64, 64), click(10, 10, positive=False)])
        assert not found[10, 10], floor


@pytest.mark.parametrize("floor", ["ellipse", *FLOORS])
def test_box_at_the_edge_and_flat_image_are_no_trouble(floor: str) -> None:
    flat = np.full((60, 50), 7, np.uint8)
    found = outline(floor, flat, [Box("x", "axial", 0, (-3.0, 20.0), (30.0, 54.0))])
    assert found.shape == (60, 50)
    assert found.any()
    assert not found[40:].any()


@pytest.mark.parametrize("floor", FLOORS)
def test_click_on_the_rim_of_the_image(floor: str) -> None:
    values, _ = disc(80, 20)
    assert outline(floor, values, [click(0, 79)])[0, 79]


def test_same_answer_twice() -> None:
    values, truth = disc()
    for floor in FLOORS:
        first, second = (outline(floor, values, [box_around(truth)]) for _ in range(2))
        np.testing.assert_array_equal(first, second)


def test_what_is_missing_is_said() -> None:
    values, _ = disc()
    with pytest.raises(TaskError, match="box or a positive click"):
        outline("grabcut", values, [click(3, 3, positive=False)])
    with pytest.raises(TaskError, match="no classical method 'magic'"):
        outline("magic", values, [click(3, 3)])
