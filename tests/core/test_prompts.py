"""Prompts and where they lie; truth is worked by hand."""

import numpy as np
import pytest

from napari_medseg.core.errors import GeometryError
from napari_medseg.core.geometry import PLANES, Geometry, from_spacing
from napari_medseg.core.prompts import (
    Box,
    Lasso,
    MaskPrompt,
    Point,
    Prompt,
    Scribble,
    check_prompt,
    in_plane,
    on_grid,
    slice_of,
)

GRID = Geometry((5, 20, 30), from_spacing((3.0, 1.0, 1.0)))
TRIANGLE = np.array([(2.0, 2.0), (2.0, 8.0), (9.0, 5.0)])


@pytest.mark.parametrize(
    ("at", "index"), [(0.0, 0), (0.49, 0), (0.5, 1), (1.5, 2), (2.5, 3), (2.49, 2), (-0.5, 0), (-0.51, -1)]
)
def test_a_point_belongs_to_the_voxel_around_it(at: float, index: int) -> None:
    # Voxel i reaches from i - 0.5 to i + 0.5, the upper edge being the next one's.
    assert slice_of(Point("a", "axial", (at, 3.0, 4.0)), 0) == index
    assert slice_of(Point("a", "sagittal", (1.0, 3.0, at)), 2) == index


def test_other_prompts_say_their_slice() -> None:
    for prompt in (
        Box("a", "coronal", 7, (0, 0), (2, 2)),
        Scribble("a", "coronal", 7, TRIANGLE),
        Lasso("a", "coronal", 7, TRIANGLE),
        MaskPrompt("a", "coronal", 7, np.zeros((5, 30), bool)),
    ):
        assert slice_of(prompt, 1) == 7


@pytest.mark.parametrize(("axis", "expected"), [(0, (2.0, 3.0)), (1, (1.0, 3.0)), (2, (1.0, 2.0))])
def test_rows_and_columns_are_the_other_axes_in_order(axis: int, expected: tuple[float, float]) -> None:
    at = (1.0, 2.0, 3.0)
    assert in_plane(at, axis) == expected
    assert on_grid(*expected, at[axis], axis) == at


GOOD: list[Prompt] = [
    Point("a", "axial", (0.0, 0.0, 0.0)),
    Point("a", "axial", (-0.5, 19.49, 29.49)),
    Box("a", "axial", 4, (0.0, 0.0), (20.0, 30.0)),
    Box("a", "axial", 0, (-5.0, -5.0), (0.5, 0.5)),
    Box("a", "coronal", 19, (4.5, 29.5), (9.0, 99.0)),
    Scribble("a", "sagittal", 29, np.array([(0.0, 0.0)])),
    Scribble("a", "axial", 0, np.array([(-9.0, 3.0), (3.0, 3.0)])),
    Lasso("a", "axial", 0, TRIANGLE),
    MaskPrompt("a", "coronal", 3, np.ones((5, 30), bool)),
]


@pytest.mark.parametrize("prompt", GOOD)
def test_prompts_on_the_image_are_taken(prompt: Prompt) -> None:
    check_prompt(prompt, GRID)
    assert 0 <= slice_of(prompt, GRID.axis_of(prompt.plane)) < GRID.n_slices(prompt.plane)


NAN, INF = float("nan"), float("inf")
BAD: list[tuple[Prompt, str]] = [
    (Point("a", "axial", (5.0, 1.0, 1.0)), "no axial slice 5"),
    (Point("a", "axial", (-1.0, 1.0, 1.0)), "no axial slice -1"),
    (Point("a", "axial", (4.5, 1.0, 1.0)), "no axial slice 5"),
    (Point("a", "axial", (1.0, 20.0, 1.0)), "outside the image: the axial slices have 20 x 30 pixels"),
    (Point("a", "axial", (1.0, 1.0, 29.5)), "outside the image"),
    (Point("a", "sagittal", (1.0, -0.6, 3.0)), "outside the image: the sagittal slices have 5 x 20"),
    (Point("a", "axial", (NAN, 1.0, 1.0)), "not a finite number"),
    (Point("a", "axial", (1.0, NAN, 1.0)), "not a finite number"),
    (Point("a", "axial", (1.0, 1.0, INF)), "not a finite number"),
    (Box("a", "axial", 5, (0, 0), (4, 4)), "no axial slice 5"),
    (Box("a", "axial", -1, (0, 0), (4, 4)), "no axial slice -1"),
    (Box("a", "axial", 0, (20, 0), (24, 4)), "box lies outside"),
    (Box("a", "axial", 0, (-9, 0), (0, 4)), "box lies outside"),
    (Box("a", "axial", 0, (2, 30), (9, 40)), "box lies outside"),
    (Box("a", "axial", 0, (4, 4), (4, 9)), "box is empty"),
    (Box("a", "axial", 0, (9, 9), (4, 4)), "box is empty"),
    (Box("a", "axial", 0, (0, NAN), (4, 4)), "not a finite number"),
    (Box("a", "axial", 0, (0, 0), (4, INF)), "not a finite number"),
    (Scribble("a", "axial", 0, np.zeros((0, 2))), "too few points"),
    (Scribble("a", "axial", 0, np.zeros((4, 3))), "too few points"),
    (Scribble("a", "axial", 0, np.array([(1.0, NAN)])), "not a finite number"),
    (Scribble("a", "axial", 0, np.array([(-3.0, 1.0), (-1.0, 5.0)])), "scribble lies outside"),
    (Lasso("a", "axial", 0, TRIANGLE[:2]), "too few points"),
    (Lasso("a", "axial", 0, TRIANGLE + 40), "lasso lies outside"),
    (
        MaskPrompt("a", "axial", 0, np.ones((30, 20), bool)),
        r"\(30, 20\) pixels; the axial slices have 20 x 30",
    ),
    (MaskPrompt("a", "axial", 9, np.ones((20, 30), bool)), "no axial slice 9"),
]


@pytest.mark.parametrize(("prompt", "sentence"), BAD)
def test_prompts_that_lie_nowhere_are_refused_in_one_sentence(prompt: Prompt, sentence: str) -> None:
    with pytest.raises(GeometryError, match=sentence):
        check_prompt(prompt, GRID)


def test_planes_follow_the_grid() -> None:
    turned = Geometry((5, 20, 30), GRID.affine[:, [2, 0, 1, 3]])  # array axes now along x, z, y of the body
    assert [turned.axis_of(plane) for plane in PLANES] == [1, 2, 0]
    check_prompt(Box("a", "axial", 19, (4, 29), (5, 30)), turned)
    with pytest.raises(GeometryError, match="axial slices have 5 x 30"):
        check_prompt(Box("a", "axial", 19, (5, 2), (9, 9)), turned)
