"""What a person points at: each prompt names its structure and the plane it was drawn on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.geometry import Plane


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


def slice_of(prompt: Prompt, axis: int) -> int:
    """Index of the slice a prompt lies on, where `axis` is the array axis of its plane."""
    return int(round(prompt.at[axis])) if isinstance(prompt, Point) else prompt.index


def in_plane(at: tuple[float, float, float], axis: int) -> tuple[float, float]:
    """(row, column) of an array index (z, y, x) on the plane counted along `axis`."""
    row, column = (value for i, value in enumerate(at) if i != axis)
    return row, column


def on_grid(row: float, column: float, index: float, axis: int) -> tuple[float, float, float]:
    """Array index (z, y, x) of a (row, column) on slice `index` of the plane counted along `axis`."""
    at: list[Any] = [row, column]
    at.insert(axis, index)
    return at[0], at[1], at[2]
