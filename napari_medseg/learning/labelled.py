"""What recipes for known tasks learn from: prepared slices with the outlines a person made."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Mask
from napari_medseg.core.model import Preparation
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.request import Example
from napari_medseg.core.task import Task
from napari_medseg.core.volume import Volume
from napari_medseg.imaging.prepare import Picture, frame_of, grey_limits, picture
from napari_medseg.learning.data import Dataset

_SLICES = 12  # of each volume and plane with the structures, and
_EMPTY = 3  # without any
_PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
# Places that may show each other's structures, beyond those whose names share a word.
_NEAR = ({"heart", "thorax", "breast", "lung", "abdomen", "spine"}, {"cells", "tissue", "blood"})


@dataclass(frozen=True, eq=False)
class Labelled:
    """One slice on a network's canvas, and what is outlined there.

    Parameters
    ----------
    canvas : (S, S, 3) uint8
        The prepared picture in the upper left corner.
    size : (rows, columns)
        How much of the canvas it takes.
    regions : (K, S, S) bool
        In the order of the task's structures.
    known : (K,) bool
        Structures a person looked for here; of the others nothing is known.
    group : str
        Patient or case.
    """

    canvas: Picture
    size: tuple[int, int]
    regions: NDArray[np.bool_]
    known: NDArray[np.bool_]
    group: str
    title: str


def labelled_dataset(dataset: Dataset, split: str, preparation: Preparation) -> Job[list[Labelled]]:
    """Read every picture of one split; of a volume a few slices, some without any structure.

    Where the distance of slices allows, they are taken along all three planes.
    """
    found: list[Labelled] = []
    items = dataset.select(split)
    for number, item in enumerate(items):
        yield Progress(number / len(items), f"Reading {dataset.name}")
        volume = item.volume()
        mask = item.mask(volume)
        geometry, limits = volume.geometry, grey_limits(volume, preparation)
        has_planes = geometry.supports_3d and geometry.spacing_known and not geometry.is_anisotropic
        for plane in _PLANES if has_planes else (geometry.native_plane,):
            for index in _chosen(mask, plane):
                title = f"{dataset.name} {item.image.name} {plane} {index}"
                canvas, size, regions = _place(
                    volume, mask, tuple(mask.names), plane, index, limits, preparation
                )
                known = np.ones(len(regions), bool)
                found.append(Labelled(canvas, size, regions, known, item.group, title))
    return found


def labelled_example(
    example: Example, names: Sequence[str], group: str, preparation: Preparation
) -> list[Labelled]:
    """The reviewed slices of an example; structures its mask does not hold are unknown there."""
    volume, mask = example.volume, example.mask
    limits = grey_limits(volume, preparation)
    held = tuple(name for name in names if name in mask.names)
    known = np.array([name in held for name in names])
    found = []
    for plane, indices in mask.reviewed.items():
        for index in sorted(indices):
            canvas, size, shown = _place(volume, mask, held, plane, index, limits, preparation)
            regions = np.zeros((len(names), *canvas.shape[:2]), bool)
            regions[known] = shown
            found.append(
                Labelled(canvas, size, regions, known, group, f"{volume.name} {plane} slice {index}")
            )
    return found


def may_show(task: Task, other: Task) -> bool:
    """Whether a picture of another task may show this one's structures, by the words for their anatomy."""
    one, two = _places(task), _places(other)
    if not one or not two:
        return True
    return bool(one & two) or any(one & near and two & near for near in _NEAR)


def _places(task: Task) -> set[str]:
    """The words of a task's anatomy that name a place."""
    words = set(re.findall(r"[a-z]+", task.anatomy.casefold()))
    return words - {"and", "of", "the", "various", "nerve", "head"}


def _chosen(mask: Mask, plane: Plane) -> list[int]:
    """Which slices of a mask teach: evenly those with something outlined, and a few without."""
    n = mask.geometry.n_slices(plane)
    axis = mask.geometry.axis_of(plane)
    others = tuple(a for a in range(3) if a != axis)
    used = np.logical_or.reduce([mask.of(name).any(axis=others) for name in mask.names])
    if n == 1:
        return [0]
    some, none = np.flatnonzero(used), np.flatnonzero(~used)
    picked = [*_evenly(some, _SLICES), *_evenly(none, _EMPTY)]
    return sorted(int(index) for index in picked)


def _evenly(indices: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """At most so many of them, evenly spaced."""
    if len(indices) <= most:
        return indices
    return np.asarray(indices[np.linspace(0, len(indices) - 1, most).round().astype(int)])


def _place(
    volume: Volume,
    mask: Mask,
    names: tuple[str, ...],
    plane: Plane,
    index: int,
    limits: tuple[float, float],
    preparation: Preparation,
) -> tuple[Picture, tuple[int, int], NDArray[np.bool_]]:
    """A slice on the canvas, the part of it that it takes, and its outlines (K, S, S)."""
    axis = volume.geometry.axis_of(plane)
    rows, columns = (n for a, n in enumerate(volume.geometry.shape) if a != axis)
    height, width = (s for a, s in enumerate(volume.geometry.spacing) if a != axis)
    frame = frame_of((rows, columns), preparation, (height, width))
    side = preparation.long_side
    regions = np.zeros((len(names), side, side), bool)
    for k, name in enumerate(names):
        region = mask.on_slice(name, plane, index)
        regions[k] = frame.place(region.astype(np.uint8) * 255) >= 128
    return frame.place(picture(volume, plane, index, limits)), frame.size, regions
