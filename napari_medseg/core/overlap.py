"""Regions that may overlap, in as few label arrays as possible, as 3D Slicer keeps its segments.

Regions that do not overlap share a label array; one that would hide another moves to one of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.geometry import EVERYWHERE, Where, slab

Region = NDArray[np.bool_]
Labels = NDArray[np.uint8]
Place = tuple[int, int]  # which array, which value in it
_MOST = 255  # regions that fit one label array


def set_region(labels: Labels, value: int, region: Region, where: Where) -> bool:
    """Make the voxels of a value equal to `region` in one part of a label array, in place.

    Returns
    -------
    bool
        False where that would hide another value; nothing was changed then.
    """
    part = labels[where]
    new = part.copy()  # next to each other in memory, which the voxels of a sagittal slice are not
    np.copyto(new, 0, where=new == value)
    if np.any(new[region]):
        return False
    np.copyto(new, value, where=region)
    part[...] = new
    return True


def clear(labels: Labels, value: int, where: Where = EVERYWHERE) -> None:
    """Set the voxels of a value to 0 in one part of a label array, in place."""
    for part in labels[where]:
        np.copyto(part, 0, where=part == value)


def move(
    arrays: tuple[Labels, ...], places: Mapping[str, Place], name: str, region: Region, where: Where
) -> tuple[tuple[Labels, ...], Place]:
    """Set a region that would hide another, giving it another place with all its voxels elsewhere.

    Returns
    -------
    tuple of (Z, Y, X) uint8, (array, value)
        The label arrays, perhaps one more, edited in place; and where the region is now.
    """
    labels, value = arrays[places[name][0]], places[name][1]
    reach = _reach(labels, value)
    whole = _around(reach, where, labels.shape)
    full = np.zeros(labels.shape, bool)  # takes memory only where it is written to
    full[reach] = labels[reach] == value
    np.copyto(labels[reach], 0, where=full[reach])
    full[where] = region
    arrays, place = room_for(arrays, places, labels.shape, full[whole], whole)
    np.copyto(arrays[place[0]][whole], place[1], where=full[whole])
    return arrays, place


def room_for(
    arrays: tuple[Labels, ...],
    places: Mapping[str, Place],
    shape: tuple[int, ...],
    region: Region | None = None,
    where: Where = EVERYWHERE,
) -> tuple[tuple[Labels, ...], Place]:
    """Find, or make, a label array with a free value where `region` hides nothing."""
    for position, labels in enumerate(arrays):
        taken = {value for at, value in places.values() if at == position}
        if len(taken) < _MOST and (region is None or not np.any(labels[where][region])):
            return arrays, (position, min(set(range(1, _MOST + 1)) - taken))
    return (*arrays, np.zeros(shape, np.uint8)), (len(arrays), 1)


def _reach(labels: Labels, value: int) -> Where:
    """The slices, along the first array axis, from the first to the last voxel of a value."""
    used = [index for index, part in enumerate(labels) if np.any(part == value)]
    return slab(0, used[0], used[-1] + 1) if used else slab(0, 0, 0)


def _around(one: Where, other: Where, shape: tuple[int, ...]) -> Where:
    """The smallest box around two parts of a grid; a part that is empty does not count."""
    ends = [[part.indices(n) for part, n in zip(where, shape, strict=True)] for where in (one, other)]
    full = [e for e in ends if all(start < stop for start, stop, _ in e)] or ends[1:]
    z, y, x = (slice(min(e[a][0] for e in full), max(e[a][1] for e in full)) for a in range(3))
    return z, y, x
