"""The outlines of one case: structures in order, which may overlap, and what a person has looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.errors import GeometryError, TaskError
from napari_medseg.core.geometry import EVERYWHERE, Geometry, Plane, Where, slab
from napari_medseg.core.labels import numbers_in, renumber
from napari_medseg.core.overlap import Labels, Place, Region, clear, move, room_for, set_region
from napari_medseg.core.provenance import Provenance
from napari_medseg.core.structure import Structure, colour_of

__all__ = ["EVERYWHERE", "Labels", "Mask", "Provenance", "Region", "Where", "slab"]


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

    Raises
    ------
    GeometryError
        If a label array does not lie on the grid.
    TaskError
        If structures and their places do not belong together.
    """

    geometry: Geometry
    structures: tuple[Structure, ...] = ()
    arrays: tuple[Labels, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict)
    reviewed: Mapping[Plane, frozenset[int]] = field(default_factory=dict)
    provenance: tuple[Provenance, ...] = ()

    def __post_init__(self) -> None:
        shape, places = self.geometry.shape, set(self.places.values())
        if any(array.shape != shape or array.dtype != np.uint8 for array in self.arrays):
            raise GeometryError(f"The mask is damaged: a label array does not lie on its grid of {shape}.")
        if sorted(self.places) != sorted(self.names) or len(places) < len(self.names):
            raise TaskError("The mask is damaged: its structures and their places do not belong together.")
        if any(not (0 <= array < len(self.arrays) and 0 < value < 256) for array, value in places):
            raise TaskError("The mask is damaged: a structure has no label array.")

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
        """Read a flat label map (Z, Y, X) of class numbers, 0 being background.

        Every class named becomes a structure, there or not; those there without a name are called by number.

        Raises
        ------
        GeometryError
            If the label map does not lie on the grid.
        TaskError
            If two classes have one name, or the label map holds anything but whole numbers.
        """
        if labels.shape != geometry.shape:
            raise GeometryError(f"The mask {labels.shape} does not lie on the image's grid {geometry.shape}.")
        named = {number: f"label {number}" for number in numbers_in(labels)}
        named |= {int(number): name for number, name in (names or {}).items() if number > 0}
        named = dict(sorted(named.items()))
        mask = cls.empty(geometry, (Structure(name, colour_of(i)) for i, name in enumerate(named.values())))
        arrays = []
        for position in range(len(mask.arrays)):
            there = {n: mask.places[name][1] for n, name in named.items() if mask.places[name][0] == position}
            arrays.append(renumber(labels, there, np.uint8))
        return replace(mask, arrays=tuple(arrays))

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

    def _place(self, name: str) -> Place:
        """Which label array a structure is in, with which value; TaskError if there is no such structure."""
        return self.places[self.structure(name).name]

    def of(self, name: str, where: Where = EVERYWHERE) -> Region:
        """Voxels of one structure as booleans, in the part of the grid asked for."""
        array, value = self._place(name)
        return np.asarray(self.arrays[array][where] == value)

    def on_slice(self, name: str, plane: Plane, index: int) -> Region:
        """One structure on one slice, (rows, columns); GeometryError if there is no such slice."""
        return self.of(name, self.geometry.one_slice(plane, index)).squeeze(self.geometry.axis_of(plane))

    def add(self, structure: Structure) -> Mask:
        """Append a structure with nothing outlined yet; TaskError if its name is taken."""
        if structure.name in self.names:
            raise TaskError(f"There is a structure called '{structure.name}' already; choose another name.")
        arrays, place = room_for(self.arrays, self.places, self.geometry.shape)
        places = {**self.places, structure.name: place}
        return replace(self, structures=(*self.structures, structure), arrays=arrays, places=places)

    def update(self, name: str, structure: Structure) -> Mask:
        """Replace a structure's name, colour, lock or state; its voxels and its history stay."""
        self.structure(name)
        if structure.name != name and structure.name in self.names:
            raise TaskError(f"There is a structure called '{structure.name}' already; choose another name.")
        structures = tuple(structure if old.name == name else old for old in self.structures)
        places = {structure.name if key == name else key: place for key, place in self.places.items()}
        provenance = tuple(
            replace(p, structure=structure.name) if p.structure == name else p for p in self.provenance
        )
        return replace(self, structures=structures, places=places, provenance=provenance)

    def remove(self, name: str) -> Mask:
        """Take a structure away with its voxels and its history.

        Slices that were looked at for its sake alone are unknown again.
        """
        array, value = self._place(name)
        clear(self.arrays[array], value)
        kept = tuple(p for p in self.provenance if p.structure != name)
        gone = {(p.plane, p.index) for p in self.provenance} - {(p.plane, p.index) for p in kept}
        return replace(
            self,
            structures=tuple(s for s in self.structures if s.name != name),
            places={key: place for key, place in self.places.items() if key != name},
            reviewed={p: frozenset(i for i in n if (p, i) not in gone) for p, n in self.reviewed.items()},
            provenance=kept,
        )

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

        Raises
        ------
        GeometryError
            If the region has another shape than the part.
        """
        array, value = self._place(name)
        region = np.asarray(region, bool)
        shape = self.arrays[array][where].shape
        if shape != region.shape:
            raise GeometryError(f"A region of {region.shape} does not fit the part of the mask {shape}.")
        if set_region(self.arrays[array], value, region, where):
            return self
        arrays, place = move(self.arrays, self.places, name, region, where)
        return replace(self, arrays=arrays, places={**self.places, name: place})

    def put_slice(self, name: str, plane: Plane, index: int, region: Region) -> Mask:
        """Make a structure equal to `region` (rows, columns) on one slice, as `put` does."""
        where = self.geometry.one_slice(plane, index)
        return self.put(name, np.expand_dims(region, self.geometry.axis_of(plane)), where)

    def paste(self, other: Mask, start: tuple[int, int, int] = (0, 0, 0)) -> Mask:
        """Take over every structure of a mask that covers part of this grid, from index `start` on."""
        z, y, x = (slice(a, a + n) for a, n in zip(start, other.geometry.shape, strict=True))
        if min(start) < 0 or any(a.stop > n for a, n in zip((z, y, x), self.geometry.shape, strict=True)):
            raise GeometryError(f"A mask of {other.geometry.shape} from {start} on reaches beyond the image.")
        mask = self
        for name in set(self.names) & set(other.names):  # first, so that none is in another one's way
            clear(self.arrays[self._place(name)[0]], self._place(name)[1], (z, y, x))
        for structure in other.structures:
            mask = mask if structure.name in mask.names else mask.add(structure)
            mask = mask.put(structure.name, other.of(structure.name), (z, y, x))
        return mask

    def review(self, plane: Plane, indices: Iterable[int], reviewed: bool = True) -> Mask:
        """Say that a person has looked at these slices, or take it back; they must be there."""
        chosen = frozenset(int(index) for index in indices)
        for index in chosen:
            self.geometry.one_slice(plane, index)
        now = self.reviewed.get(plane, frozenset())
        return replace(self, reviewed={**self.reviewed, plane: now | chosen if reviewed else now - chosen})

    def record(self, *provenance: Provenance) -> Mask:
        """Append to the history."""
        return replace(self, provenance=(*self.provenance, *provenance))

    def copy(self) -> Mask:
        """A mask with arrays of its own."""
        return replace(self, arrays=tuple(array.copy() for array in self.arrays))

    def ml(self, name: str) -> float:
        """Volume of a structure in millilitres; means nothing unless the grid's spacing is known."""
        array, value = self._place(name)
        n_voxels = sum(int(np.count_nonzero(labels == value)) for labels in self.arrays[array])
        return n_voxels * self.geometry.voxel_ml

    def flat(self, names: Sequence[str] | None = None) -> NDArray[np.uint16]:
        """Flat label map: the n-th structure has value n, from 1; where they overlap the later one wins."""
        places = [self._place(name) for name in (self.names if names is None else names)]
        flat = np.zeros(self.geometry.shape, np.uint16)
        for position, labels in enumerate(self.arrays):
            there = {value: n for n, (array, value) in enumerate(places, start=1) if array == position}
            np.maximum(flat, renumber(labels, there, np.uint16), out=flat)
        return flat
