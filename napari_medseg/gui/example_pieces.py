"""What examples are made of: slices of a case joined in one mask, or cut out of it, and their names."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from napari_medseg.core.geometry import Geometry, Plane
from napari_medseg.core.mask import Mask, Region
from napari_medseg.core.request import Example
from napari_medseg.core.volume import Volume
from napari_medseg.gui.display import Display
from napari_medseg.gui.work import Work

if TYPE_CHECKING:
    from qtpy.QtGui import QImage

Place = tuple[Plane, int]
Added = Mapping[Place, Mapping[str, Region]]  # outlines that are not accepted, by structure


@dataclass(frozen=True, eq=False)
class Other:
    """An example from elsewhere: what to call it, its case in the session ("" for none) and its picture."""

    example: Example
    title: str
    case: str = ""
    picture: QImage | None = None

    @property
    def n_slices(self) -> int:
        """How many slices teach."""
        return sum(len(indices) for indices in self.example.mask.reviewed.values())

    @cached_property
    def key(self) -> tuple[object, ...]:
        """What tells it apart from others; the same slice read twice is one."""
        volume, names = self.example.volume, self.example.mask.names
        if self.case:
            return self.case, volume.name, names
        plane, index = largest(self.example)
        pixels = zlib.crc32(np.ascontiguousarray(volume.slice(plane, index)).tobytes())
        return volume.geometry.shape, plane, index, pixels, names


def largest(example: Example) -> Place:
    """The annotated slice with the largest outlines."""
    mask = example.mask

    def size(place: Place) -> int:
        where = mask.geometry.one_slice(*place)
        return sum(int(np.count_nonzero(array[where])) for array in mask.arrays)

    places = [(plane, index) for plane, indices in mask.reviewed.items() for index in sorted(indices)]
    return max(places, key=size)


def joined(work: Work, names: Sequence[str], places: Iterable[Place], added: Added) -> Example:
    """Slices of a case as one example on the whole grid; only these are copied."""
    whole, places = work.mask, sorted(places)
    arrays = tuple(np.zeros(labels.shape, labels.dtype) for labels in whole.arrays)
    for place in places:
        where = whole.geometry.one_slice(*place)
        for fresh, labels in zip(arrays, whole.arrays, strict=True):
            fresh[where] = labels[where]
    structures = tuple(s for s in whole.structures if s.name in names)
    mask = Mask(whole.geometry, structures, arrays, {name: whole.places[name] for name in names})
    for place in places:
        for name, region in added.get(place, {}).items():
            mask = mask.put_slice(name, *place, region) if name in names else mask
        mask = mask.review(place[0], (place[1],))
    return Example(work.volume, mask)


def cut_out(work: Work, names: Sequence[str], place: Place, added: Added, case: str) -> Example:
    """One slice of a case as an example of its own, which does not keep the volume."""
    plane, index = place
    geometry, axis = work.volume.geometry, work.volume.geometry.axis_of(plane)
    start, stop = [0, 0, 0], list(geometry.shape)
    start[axis], stop[axis] = index, index + 1
    grid = geometry.crop((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
    where = geometry.one_slice(plane, index)
    structures = tuple(s for s in work.mask.structures if s.name in names)
    arrays = tuple(labels[where].copy() for labels in work.mask.arrays)
    mask = Mask(grid, structures, arrays, {name: work.mask.places[name] for name in names})
    for name, region in added.get(place, {}).items():
        mask = mask.put_slice(name, plane, 0, region)
    called = f"{case.replace('-', ' ')}, {plane} slice {number(geometry, plane, index)}"
    array = work.volume.array[where].copy()
    volume = replace(work.volume, array=array, geometry=grid, name=called, header=None, notes=())
    return Example(volume, mask.review(plane, (0,)))


def renamed(other: Other, new: Mapping[str, str]) -> Other:
    """An example whose structures are called otherwise."""
    mask = other.example.mask
    for old in [name for name in mask.names if name in new and new[name] not in mask.names]:
        mask = mask.update(old, replace(mask.structure(old), name=new[old]))
    return (
        other if mask is other.example.mask else replace(other, example=Example(other.example.volume, mask))
    )


def number(geometry: Geometry, plane: Plane, index: int) -> int:
    """The number of a slice as napari counts, from 1."""
    return Display(geometry).position(plane, index) + 1


def title(volume: Volume, plane: Plane, index: int) -> str:
    """What to call one slice: its image's name and its number."""
    if volume.geometry.is_2d:
        return volume.name
    word = "" if plane == volume.geometry.native_plane else f"{plane} "
    return f"{volume.name}, {word}slice {number(volume.geometry, plane, index)}"
