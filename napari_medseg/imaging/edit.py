"""Small repairs of one structure: on a slice (rows, columns) or on a volume (Z, Y, X).

A region is a boolean array; `spacing` are its voxels' sizes in mm, or in pixels where mm are unknown.
Pieces are connected where voxels share a face (on a slice: an edge).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_medseg.core.errors import TaskError
from napari_medseg.core.mask import Region

Spacing = tuple[float, ...]


def fill_holes(region: Region) -> Region:
    """Fill what is enclosed on all sides; on a volume a tunnel to the outside is no hole."""
    return np.asarray(ndimage.binary_fill_holes(region))


def keep_largest(region: Region) -> Region:
    """Keep the largest connected piece; of equal ones the first."""
    pieces, sizes = _pieces(region)
    return np.asarray(pieces == sizes[1:].argmax() + 1) if len(sizes) > 1 else region.copy()


def remove_islands(region: Region, smaller_than: float, spacing: Spacing) -> Region:
    """Remove connected pieces smaller than so many mm3, on a slice mm2."""
    pieces, sizes = _pieces(region)
    keep = sizes * math.prod(spacing) >= smaller_than
    keep[0] = False
    return np.asarray(keep[pieces])


def remove_specks(region: Region, share: float) -> Region:
    """Remove connected pieces smaller than a share of the largest one."""
    pieces, sizes = _pieces(region)
    keep = sizes >= share * sizes[1:].max(initial=0)
    keep[0] = False
    return np.asarray(keep[pieces])


def smooth(region: Region, size: float, spacing: Spacing) -> Region:
    """Round off corners and spikes by the median over a box of about `size` mm on each side.

    Raises
    ------
    TaskError
        If the size is negative.
    """
    _check(size)
    window = tuple(2 * int(size / (2 * step)) + 1 for step in spacing)
    where = _around(region, window)
    result = np.zeros_like(region)
    # The median of odd many booleans is whether their mean exceeds one half.
    result[where] = ndimage.uniform_filter(region[where].astype(np.float32), window, mode="nearest") > 0.5
    return result


def grow(region: Region, distance: float, spacing: Spacing) -> Region:
    """Add every voxel whose centre lies within `distance` mm of a centre in the region.

    Raises
    ------
    TaskError
        If the distance is negative.
    """
    _check(distance)
    if not region.any():
        return region.copy()
    where = _around(region, tuple(math.ceil(distance / step) for step in spacing))
    result = region.copy()
    result[where] = ndimage.distance_transform_edt(~region[where], sampling=spacing) <= distance
    return result


def shrink(region: Region, distance: float, spacing: Spacing) -> Region:
    """Take away every voxel whose centre lies within `distance` mm of a centre outside the region.

    Beyond the image's border nothing is known, so it takes nothing away.

    Raises
    ------
    TaskError
        If the distance is negative.
    """
    _check(distance)
    where = _around(region, (1,) * region.ndim)
    if region[where].all():
        return region.copy()
    result = region.copy()
    result[where] &= ndimage.distance_transform_edt(region[where], sampling=spacing) > distance
    return result


def _pieces(region: Region) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Number the connected pieces from 1, and count the voxels of the outside and of each."""
    pieces, n = ndimage.label(region)
    return pieces, np.bincount(pieces.ravel(), minlength=n + 1)


def _around(region: Region, margin: tuple[int, ...]) -> tuple[slice, ...]:
    """The smallest part of the grid that holds the region and a margin of voxels, inside the grid."""
    boxes = ndimage.find_objects(region.astype(np.uint8))
    if not boxes:
        return tuple(slice(0, 0) for _ in margin)
    return tuple(slice(max(box.start - m, 0), box.stop + m) for box, m in zip(boxes[0], margin, strict=True))


def _check(length: float) -> None:
    """Refuse a length below zero."""
    if not length >= 0:
        raise TaskError(f"A length must be 0 mm or more, not {length:g}.")
