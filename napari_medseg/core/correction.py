"""What a person has decided, which no model may change: painted, erased, accepted, locked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.errors import GeometryError
from napari_medseg.core.geometry import Plane, Where, slab
from napari_medseg.core.mask import Mask, Region
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
        1 must be inside, -1 must be outside, 0 free. Of corrections later ones count, locked structures
        outweigh them, and accepted slices outweigh both. A structure the mask lacks was accepted nowhere.

    Raises
    ------
    GeometryError
        If a correction is not of a slice of the mask.
    """
    fixed = np.zeros(mask.geometry.shape, np.int8)
    for correction in corrections:
        if correction.structure == name:
            _correct(fixed, mask, correction)
    for structure in sorted(mask.structures, key=lambda one: one.name == name):  # itself last
        if structure.locked:
            _lock(fixed, mask, name, structure.name, task)
    for plane, indices in mask.reviewed.items():
        if indices and name in mask.names:
            _keep_slices(fixed, mask, name, plane, indices)
    return fixed


def _correct(fixed: Fixed, mask: Mask, correction: Correction) -> None:
    """Fix what a person painted and erased on one slice."""
    axis = mask.geometry.axis_of(correction.plane)
    part = fixed[slab_of(mask, correction.plane, correction.index)]
    for region, side in ((correction.painted, INSIDE), (correction.erased, OUTSIDE)):
        region = np.expand_dims(region, axis)
        if region.shape != part.shape:
            where = f"{correction.plane} slice {correction.index}"
            raise GeometryError(f"A correction of '{correction.structure}' does not fit {where} of the mask.")
        np.copyto(part, side, where=region)


def _lock(fixed: Fixed, mask: Mask, name: str, locked: str, task: Task | None) -> None:
    """Fix what a locked structure means for one structure.

    For itself that it does not change at all; for others that they stay off it, unless the task says that
    one lies inside the other: an outer structure keeps what is locked in it, an inner one is free.
    """
    nested = task.nested if task else frozenset()
    if locked == name:
        np.copyto(fixed, np.where(mask.of(name), INSIDE, OUTSIDE))
    elif (locked, name) in nested:
        np.copyto(fixed, INSIDE, where=mask.of(locked))
    elif (name, locked) not in nested:
        np.copyto(fixed, OUTSIDE, where=mask.of(locked))


def _keep_slices(fixed: Fixed, mask: Mask, name: str, plane: Plane, indices: frozenset[int]) -> None:
    """Fix a structure as it is on accepted slices."""
    axis = mask.geometry.axis_of(plane)
    first, last = min(indices), max(indices)
    where = slab(axis, first, last + 1)
    accepted = np.isin(np.arange(first, last + 1), list(indices))
    accepted = np.expand_dims(accepted, tuple(other for other in range(3) if other != axis))
    np.copyto(fixed[where], OUTSIDE, where=accepted)
    np.copyto(fixed[where], INSIDE, where=accepted & mask.of(name, where))


def obey(region: Region, fixed: Fixed | None) -> Region:
    """Give a model's region what the person decided: fixed voxels win over the model.

    Raises
    ------
    GeometryError
        If the two do not have the same shape.
    """
    if fixed is None:
        return region
    if region.shape != fixed.shape:
        raise GeometryError(f"A region of {region.shape} does not fit what was decided on {fixed.shape}.")
    return np.asarray((region & (fixed >= 0)) | (fixed > 0))


def obey_rules(regions: Mapping[str, Region], task: Task | None) -> dict[str, Region]:
    """Make the regions of one result follow the task's rules.

    A structure that lies inside another is cut to it, and to what that lies in; of two that exclude each
    other the earlier one in the task's order gives way.
    """
    result = dict(regions)
    if task is None:
        return result
    order = tuple(dict.fromkeys((*task.structure_names, *result)))
    _cut(result, task)
    for rule in task.rules:
        if rule.kind == "excludes" and rule.first in result and rule.second in result:
            early, late = sorted((rule.first, rule.second), key=order.index)
            result[early] = result[early] & ~result[late]
    _cut(result, task)  # again: what gave way may have held something
    return result


def _cut(regions: dict[str, Region], task: Task) -> None:
    """Cut every region to those it lies inside."""
    for inner, outer in task.nested:
        if inner in regions and outer in regions:
            regions[inner] = regions[inner] & regions[outer]


def slab_of(mask: Mask, plane: Plane, index: int) -> Where:
    """The part of a mask's grid that is one slice of a plane."""
    return mask.geometry.one_slice(plane, index)
