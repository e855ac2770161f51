"""GrowCut: seeds inside and outside fight for the voxels between them until none changes hands."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.mask import Region

_MOST_ROUNDS = 500


def grow_cut(pixels: NDArray[Any], inside: Region, outside: Region) -> Region:
    """Give each voxel to the seeds that reach it over the most even way.

    Parameters
    ----------
    pixels : (Y, X) or (Z, Y, X)
        Grey values.
    inside, outside : bool, of the same shape
        The seeds.

    Returns
    -------
    bool, of the same shape
        What the seeds inside have taken.

    Source
    ------
    Vezhnevets and Konouchine, GrowCut: Interactive multi-label N-D image segmentation by cellular
    automata, GraphiCon 2005, section 3; the distance-decreasing attack g(d) = 1 - d / max d, neighbours by
    faces (von Neumann).

    Differs
    -------
    All neighbours on one side attack at once, side after side, where the paper goes cell by cell. Both
    settle to the same strengths, for a cell is only ever taken by a force greater than its own.
    """
    values = pixels.astype(np.float32)
    most = max(float(np.ptp(values)), 1e-6)
    strength = (inside | outside).astype(np.float32)
    owner = inside.astype(np.int8) - outside
    sides = [_facing(values.ndim, axis, forward) for axis, forward in product(range(values.ndim), (1, 0))]
    weights = {n: 1 - np.abs(values[to] - values[fro]) / most for n, (to, fro) in enumerate(sides)}
    for _ in range(_MOST_ROUNDS):
        taken = False
        for n, (to, fro) in enumerate(sides):
            force = weights[n] * strength[fro]
            wins = force > strength[to]
            if wins.any():
                taken = True
                strength[to][wins] = force[wins]
                owner[to][wins] = owner[fro][wins]
        if not taken:
            break
    return owner > 0


def _facing(n_axes: int, axis: int, forward: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The voxels that have a neighbour on one side, and those neighbours."""
    ahead, behind = [slice(None)] * n_axes, [slice(None)] * n_axes
    ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
    return (tuple(ahead), tuple(behind)) if forward else (tuple(behind), tuple(ahead))
