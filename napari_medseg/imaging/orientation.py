"""Where left becomes right: affines between RAS (NIfTI), ITK and ours, and grids that differ by turns.

Only signs change and axes trade places here, so nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.geometry import Geometry

_SIGNS = np.diag([-1.0, -1.0, 1.0, 1.0])  # RAS <-> LPS


def from_ras(affine: NDArray[Any]) -> NDArray[np.float64]:
    """Turn an affine of (i, j, k) to RAS into one of (z, y, x) to LPS, in the same unit.

    Parameters
    ----------
    affine : (4, 4)
        As nibabel gives it; i counts fastest in the file and is our x.
    """
    # Adding zero turns -0.0 into 0.0.
    return np.asarray(_SIGNS @ np.asarray(affine, np.float64)[:, [2, 1, 0, 3]] + 0.0)


def to_ras(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn an affine of (z, y, x) to LPS into one of (i, j, k) to RAS: the inverse of `from_ras`."""
    return from_ras(affine)


def from_itk(
    spacing: Sequence[float], origin: Sequence[float], direction: Sequence[float]
) -> NDArray[np.float64]:
    """Affine of (z, y, x) to LPS from ITK's spacing, origin and direction of (x, y, z) or of (x, y)."""
    n = len(spacing)
    affine = np.eye(4)
    affine[:n, :n] = np.reshape(direction, (n, n)) * np.asarray(spacing)
    affine[:n, 3] = origin
    return affine[:, [2, 1, 0, 3]]


def to_itk(
    affine: NDArray[np.float64],
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """ITK's spacing, origin and direction of (x, y, z) from an affine of (z, y, x) to LPS."""
    columns = affine[:3, [2, 1, 0]]
    spacing = np.linalg.norm(columns, axis=0)
    direction = columns / spacing
    return tuple(spacing.tolist()), tuple(affine[:3, 3].tolist()), tuple(direction.ravel().tolist())


def align(array: NDArray[Any], geometry: Geometry, target: Geometry) -> NDArray[Any] | None:
    """Turn an array onto another grid whose voxels are the same ones, counted along other axes.

    Parameters
    ----------
    array : (Z, Y, X)
        On `geometry`.

    Returns
    -------
    (Z, Y, X) or None
        A view on `target`, whole axes permuted and flipped; None where the voxels differ.
    """
    turn = np.rint(np.linalg.inv(target.affine[:3, :3]) @ geometry.affine[:3, :3])  # [target, source]
    if not np.array_equal(np.abs(turn) @ np.abs(turn).T, np.eye(3)):
        return None
    order = np.abs(turn).argmax(axis=1)
    signs = turn[np.arange(3), order]
    first = np.zeros(3)
    first[order] = np.where(signs < 0, np.array(geometry.shape)[order] - 1, 0)
    affine = geometry.affine.copy()
    affine[:3, :3] = geometry.affine[:3, order] * signs
    affine[:3, 3] = geometry.index_to_world(first)
    z, y, x = (geometry.shape[axis] for axis in order)
    if not Geometry((z, y, x), affine).same_grid(target):
        return None
    return np.flip(array.transpose(tuple(order)), tuple(int(axis) for axis in np.flatnonzero(signs < 0)))
