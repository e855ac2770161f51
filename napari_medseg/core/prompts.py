"""What a person points at: each prompt names its structure and the plane it was drawn on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.errors import GeometryError
from napari_medseg.core.geometry import Geometry, Plane


@dataclass(frozen=True)
class Point:
    """A click: `at` is the array index (z, y, x); positive means inside the structure."""

    structure: str
    plane: Plane
    at: tuple[float, float, float]
    positive: bool = True


@dataclass(frozen=True)
class Box:
    """A rectangle on one slice: `start` and `stop` are (row, column), half-open, in array indices."""

    structure: str
    plane: Plane
    index: int
    start: tuple[float, float]
    stop: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Scribble:
    """A freehand line on one slice: `path` is (N, 2) of (row, column) in array indices."""

    structure: str
    plane: Plane
    index: int
    path: NDArray[np.float64]
    positive: bool = True


@dataclass(frozen=True, eq=False)
class Lasso:
    """A closed freehand outline on one slice: `path` is (N, 2) of (row, column) in array indices."""

    structure: str
    plane: Plane
    index: int
    path: NDArray[np.float64]
    positive: bool = True


@dataclass(frozen=True, eq=False)
class MaskPrompt:
    """A first guess on one slice: `region` is a (rows, columns) boolean array."""

    structure: str
    plane: Plane
    index: int
    region: NDArray[np.bool_]


Prompt = Point | Box | Scribble | Lasso | MaskPrompt
_WORDS = {Point: "point", Box: "box", Scribble: "scribble", Lasso: "lasso", MaskPrompt: "mask prompt"}


def slice_of(prompt: Prompt, axis: int) -> int:
    """Index of the slice a prompt lies on, where `axis` is the array axis of its plane."""
    return math.floor(prompt.at[axis] + 0.5) if isinstance(prompt, Point) else prompt.index


def in_plane(at: tuple[float, float, float], axis: int) -> tuple[float, float]:
    """(row, column) of an array index (z, y, x) on the plane counted along `axis`."""
    row, column = (value for i, value in enumerate(at) if i != axis)
    return row, column


def on_grid(row: float, column: float, index: float, axis: int) -> tuple[float, float, float]:
    """Array index (z, y, x) of a (row, column) on slice `index` of the plane counted along `axis`."""
    at: list[Any] = [row, column]
    at.insert(axis, index)
    return at[0], at[1], at[2]


def check_prompt(prompt: Prompt, geometry: Geometry) -> None:
    """Check that a prompt lies on an image; what is drawn may reach beyond the border, but not wholly.

    Raises
    ------
    GeometryError
        If it lies outside the image, is empty, or has coordinates that are no finite numbers.
    """
    word = _WORDS[type(prompt)]
    axis = geometry.axis_of(prompt.plane)
    rows, columns = (n for i, n in enumerate(geometry.shape) if i != axis)
    path = _path(prompt, axis)
    if path.ndim != 2 or path.shape[1] != 2 or len(path) < (3 if isinstance(prompt, Lasso) else 1):
        raise GeometryError(f"The {word} has too few points; draw it again.")
    if not np.all(np.isfinite(path)) or (isinstance(prompt, Point) and not np.all(np.isfinite(prompt.at))):
        raise GeometryError(f"The {word} has a coordinate that is not a finite number; draw it again.")
    geometry.one_slice(prompt.plane, slice_of(prompt, axis))
    if isinstance(prompt, MaskPrompt) and prompt.region.shape != (rows, columns):
        raise GeometryError(
            f"The {word} has {prompt.region.shape} pixels; the {prompt.plane} slices have {rows} x {columns}."
        )
    if isinstance(prompt, Box) and not (
        prompt.start[0] < prompt.stop[0] and prompt.start[1] < prompt.stop[1]
    ):
        raise GeometryError("The box is empty; draw it from corner to corner.")
    low, high = path.min(axis=0), path.max(axis=0)
    if np.any(high < 0) or np.any(low >= (rows, columns)) or (isinstance(prompt, Box) and np.any(high == 0)):
        raise GeometryError(
            f"The {word} lies outside the image: the {prompt.plane} slices have {rows} x {columns} pixels."
        )


def _path(prompt: Prompt, axis: int) -> NDArray[np.float64]:
    """Points (N, 2) of a prompt as (row, column), counted from pixel edges."""
    if isinstance(prompt, Point):
        return np.array([in_plane(prompt.at, axis)], np.float64) + 0.5
    if isinstance(prompt, Box):
        return np.array([prompt.start, prompt.stop], np.float64)
    if isinstance(prompt, MaskPrompt):
        return np.zeros((1, 2))
    return np.asarray(prompt.path, np.float64) + 0.5
