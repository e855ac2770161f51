"""What a person has decided, which no model may change: painted, erased, accepted, locked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Mask, Region, slab
from napari_medseg.core.task import Task

Fixed = NDArray[np.int8]
INSIDE, FREE, OUTSIDE = np.int8(1), np.int8(0), np.int8(-1)


@dataclass(frozen=True, eq=False)
class Correction:
    """A person's change to one structure on one slice.

    Parameters
    ----------
    painted, erased : (rows, columns) bool
        What was added and what was taken away by hand.
    """

    structure: str
    plane: Plane
    index: int
    painted: Region
    erased: Region

    @property
    def changed_pixels(self) -> int:
        """Number of pixels a person changed."""
        return int(np.count_nonzero(self.painted) + np.count_nonzero(self.erased))


def fixed_by_person(
    mask: Mask, name: str, task: Task | None = None, corrections: Iterable[Correction] = ()
) -> Fixed:
    """Say for every voxel whether a structure must be there, must not be, or is free.

    Returns
    -------
    (Z, Y, X) int8
        1 must be inside, -1 must be outside, 0 free. Corrections are read oldest first; accepted
        slices outweigh them; a locked structure keeps its voxels unless a rule of the task says
        that the one lies inside the other.
    """
    fixed = np.zeros(mask.geometry.shape, np.int8)
    for correction in corrections:
        if correction.structure == name:
            part = fixed[slab_of(mask, correction.plane, correction.index)]
            axis = mask.geometry.axis_of(correction.plane)
            part[np.expand_dims(correction.painted, axis)] = INSIDE
            part[np.expand_dims(correction.erased, axis)] = OUTSIDE
    rules = task.rules if task else ()
    nested = {frozenset((rule.first, rule.second)) for rule in rules if rule.kind == "inside"}
    for structure in mask.structures:
        if structure.locked and structure.name != name and frozenset((structure.name, name)) not in nested:
            fixed[mask.of(structure.name)] = OUTSIDE
    for plane, indices in mask.reviewed.items():
        for index in indices:
            where = slab_of(mask, plane, index)
            fixed[where] = np.where(mask.of(name, where), INSIDE, OUTSIDE)
    return fixed


def obey(region: Region, fixed: Fixed | None) -> Region:
    """Give a model's region what the person decided: fixed voxels win over the model."""
    if fixed is None:
        return region
    return np.asarray((region & (fixed >= 0)) | (fixed > 0))


def obey_rules(regions: Mapping[str, Region], task: Task | None) -> dict[str, Region]:
    """Make the regions of one result follow the task's rules.

    A structure that lies inside another is cut to it; of two that exclude each other the earlier one
    in the task's order gives way.
    """
    result = dict(regions)
    for rule in task.rules if task else ():
        if rule.first not in result or rule.second not in result:
            continue
        if rule.kind == "inside":
            result[rule.first] = result[rule.first] & result[rule.second]
        else:
            early, late = sorted((rule.first, rule.second), key=list(result).index)
            result[early] = result[early] & ~result[late]
    return result


def slab_of(mask: Mask, plane: Plane, index: int) -> tuple[slice, slice, slice]:
    """The part of a mask's grid that is one slice of a plane."""
    return slab(mask.geometry.axis_of(plane), index, index + 1)
