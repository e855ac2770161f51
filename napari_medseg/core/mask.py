"""The outlines of one case: structures in order, which may overlap, and what a person has looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.errors import GeometryError, TaskError
from napari_medseg.core.geometry import Geometry, Plane
from napari_medseg.core.structure import Structure, colour_of

Region = NDArray[np.bool_]
Labels = NDArray[np.uint8]
Where = tuple[slice, slice, slice]
EVERYWHERE: Where = (slice(None), slice(None), slice(None))
_MOST = 255  # structures that fit one label array


@dataclass(frozen=True)
class Provenance:
    """Who made a part of a mask, with what, and what a person changed afterwards.

    `index` is None when the record speaks of the whole volume; `reader` is a pseudonym, never a name.
    """

    structure: str
    plane: Plane
    index: int | None
    method: str
    model: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    n_prompts: int = 0
    changed_voxels: int = 0
    seconds: float = 0.0
    reader: str = ""
    at: str = ""


@dataclass(frozen=True, eq=False)
class Mask:
    """Outlined structures on one grid.

    Structures that do not overlap share a label array, as in 3D Slicer; one that would hide another
    moves to an array of its own. The arrays are edited in place by `put`: take a `copy` to keep one.

    Parameters
    ----------
    geometry : Geometry
        The grid.
    structures : tuple of Structure
        In order; on a flat label map the later one wins.
    arrays : tuple of (Z, Y, X) uint8
        Label arrays.
    places : Mapping
        Structure name to (which array, which value).
    reviewed : Mapping
        Plane to the slices a person has looked at and accepted; all others are unknown, not background.
    provenance : tuple of Provenance
        The history, oldest first.
    """

    geometry: Geometry
    structures: tuple[Structure, ...] = ()
    arrays: tuple[Labels, ...] = ()
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    reviewed: Mapping[Plane, frozenset[int]] = field(default_factory=dict)
    provenance: tuple[Provenance, ...] = ()

    @classmethod
    def empty(cls, geometry: Geometry, structures: Iterable[Structure] = ()) -> Mask:
        """Start with nothing outlined."""
        mask = cls(geometry)
        for structure in structures:
            mask = mask.add(structure)
        return mask

    @classmethod
    def from_labels(
        cls, labels: NDArray[Any], geometry: Geometry, names: Mapping[int, str] | None = None
    ) -> Mask:
        """Read a flat label map (Z, Y, X) of class numbers; without names they are called by number.

        Raises
        ------
        GeometryError
            If the label map does not lie on the grid.
        """
        if labels.shape != geometry.shape:
            raise GeometryError(f"The mask {labels.shape} does not lie on the image's grid {geometry.shape}.")
        if names is None:
            names = {int(value): f"label {int(value)}" for value in np.unique(labels) if value > 0}
        mask = cls(geometry)
        for position, (value, name) in enumerate(sorted(names.items())):
            mask = mask.add(Structure(name, colour_of(position))).put(name, labels == value)
        return mask

    @property
    def names(self) -> tuple[str, ...]:
        """Structure names in order."""
        return tuple(structure.name for structure in self.structures)

    def structure(self, name: str) -> Structure:
        """Find a structure.

        Raises
        ------
        TaskError
            If there is none of that name.
        """
        for structure in self.structures:
            if structure.name == name:
                return structure
        raise TaskError(f"The mask has no structure '{name}'; it has: {', '.join(self.names) or 'none'}.")

    def of(self, name: str, where: Where = EVERYWHERE) -> Region:
        """Voxels of one structure as booleans, in the part of the grid asked for."""
        array, value = self.places[self.structure(name).name]
        return np.asarray(self.arrays[array][where] == value)

    def on_slice(self, name: str, plane: Plane, index: int) -> Region:
        """Voxels of one structure on one slice, (rows, columns)."""
        axis = self.geometry.axis_of(plane)
        array, value = self.places[self.structure(name).name]
        return np.asarray(self.arrays[array].take(index, axis=axis) == value)

    def add(self, structure: Structure) -> Mask:
        """Append a structure with nothing outlined yet.

        Raises
        ------
        TaskError
            If the name is empty or taken.
        """
        if not structure.name.strip():
            raise TaskError("A structure needs a name.")
        if structure.name in self.names:
            raise TaskError(f"There is a structure called '{structure.name}' already; choose another name.")
        arrays, place = self._room_for(self.arrays, structure.name, None)
        places = {**self.places, structure.name: place}
        return replace(self, structures=(*self.structures, structure), arrays=arrays, places=places)

    def update(self, name: str, structure: Structure) -> Mask:
        """Replace a structure's name, colour, lock or state; its voxels stay."""
        position = self.names.index(self.structure(name).name)
        if structure.name != name and structure.name in self.names:
            raise TaskError(f"There is a structure called '{structure.name}' already; choose another name.")
        structures = (*self.structures[:position], structure, *self.structures[position + 1 :])
        places = {structure.name if key == name else key: place for key, place in self.places.items()}
        provenance = tuple(
            replace(p, structure=structure.name) if p.structure == name else p for p in self.provenance
        )
        return replace(self, structures=structures, places=places, provenance=provenance)

    def remove(self, name: str) -> Mask:
        """Take a structure away with its voxels."""
        array, value = self.places[self.structure(name).name]
        self.arrays[array][self.arrays[array] == value] = 0
        structures = tuple(s for s in self.structures if s.name != name)
        places = {key: place for key, place in self.places.items() if key != name}
        return replace(self, structures=structures, places=places)

    def put(self, name: str, region: Region, where: Where = EVERYWHERE) -> Mask:
        """Make a structure equal to `region` in one part of the grid, hiding no other structure.

        Parameters
        ----------
        region : bool array
            Of the shape of the part.
        where : three slices
            The part of the grid; all of it by default.

        Returns
        -------
        Mask
            The mask to go on with; its arrays are those of this one, edited in place.
        """
        array, value = self.places[self.structure(name).name]
        part = self.arrays[array][where]
        if part.shape != region.shape:
            raise GeometryError(f"A region of {region.shape} does not fit the part of the mask {part.shape}.")
        if not np.any(region & (part != 0) & (part != value)):
            part[part == value] = 0
            part[region] = value
            return self
        full = self.of(name)
        self.arrays[array][full] = 0
        full[where] = region
        others = {key: place for key, place in self.places.items() if key != name}
        arrays, place = replace(self, places=others)._room_for(self.arrays, name, full)
        arrays[place[0]][full] = place[1]
        return replace(self, arrays=arrays, places={**others, name: place})

    def put_slice(self, name: str, plane: Plane, index: int, region: Region) -> Mask:
        """Make a structure equal to `region` (rows, columns) on one slice."""
        axis = self.geometry.axis_of(plane)
        return self.put(name, np.expand_dims(region, axis), slab(axis, index, index + 1))

    def _room_for(
        self, arrays: tuple[Labels, ...], name: str, region: Region | None
    ) -> tuple[tuple[Labels, ...], tuple[int, int]]:
        """Find, or make, a label array with a free value where `region` hides nothing."""
        for position, array in enumerate(arrays):
            taken = {value for where, value in self.places.values() if where == position}
            if len(taken) < _MOST and (region is None or not np.any(array[region])):
                return arrays, (position, min(set(range(1, _MOST + 1)) - taken))
        return (*arrays, np.zeros(self.geometry.shape, np.uint8)), (len(arrays), 1)

    def paste(self, other: Mask, start: tuple[int, int, int] = (0, 0, 0)) -> Mask:
        """Take over every structure of a mask that covers part of this grid from index `start` on."""
        where = tuple(slice(a, a + n) for a, n in zip(start, other.geometry.shape, strict=True))
        mask = self
        for structure in other.structures:
            if structure.name not in mask.names:
                mask = mask.add(structure)
            mask = mask.put(structure.name, other.of(structure.name), (where[0], where[1], where[2]))
        return mask

    def review(self, plane: Plane, indices: Iterable[int], reviewed: bool = True) -> Mask:
        """Say that a person has looked at these slices, or take it back."""
        now = self.reviewed.get(plane, frozenset())
        now = now | frozenset(indices) if reviewed else now - frozenset(indices)
        return replace(self, reviewed={**self.reviewed, plane: now})

    def record(self, *provenance: Provenance) -> Mask:
        """Append to the history."""
        return replace(self, provenance=(*self.provenance, *provenance))

    def copy(self) -> Mask:
        """A mask with arrays of its own."""
        return replace(self, arrays=tuple(array.copy() for array in self.arrays))

    def ml(self, name: str) -> float:
        """Volume of a structure in millilitres."""
        array, value = self.places[self.structure(name).name]
        return float(np.count_nonzero(self.arrays[array] == value)) * self.geometry.voxel_ml

    def flat(self, names: Sequence[str] | None = None) -> NDArray[np.uint16]:
        """Flat label map: the n-th structure has value n, from 1; where they overlap the later one wins."""
        labels = np.zeros(self.geometry.shape, np.uint16)
        for value, name in enumerate(self.names if names is None else names, start=1):
            labels[self.of(name)] = value
        return labels


def slab(axis: int, start: int, stop: int) -> Where:
    """The part of a grid between two slices counted along an array axis, half-open."""
    where = [slice(None), slice(None), slice(None)]
    where[axis] = slice(start, stop)
    return where[0], where[1], where[2]
