"""How well two outlines agree: overlap, surfaces and distances, with fixed rules for empty ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.errors import GeometryError
from napari_medseg.core.mask import Region

TOLERANCE = 2.0  # mm, or pixels where no mm are known


@dataclass(frozen=True)
class Scores:
    """Agreement of one outlined structure with the truth.

    Parameters
    ----------
    dice, iou, surface_dice : float, 0 to 1
        Both empty is 1, one empty is 0.
    hd95, asd : float, mm or pixels
        95th percentile and mean of the distances between the surfaces; both empty is 0, one empty is
        the diagonal of the grid.
    false_positive : float, 0 to 1, or NaN
        Part of the grid outlined although the structure is absent; NaN where it is present.
    """

    dice: float
    iou: float
    surface_dice: float
    hd95: float
    asd: float
    false_positive: float


def score(pred: Region, truth: Region, spacing: Sequence[float], tolerance: float = TOLERANCE) -> Scores:
    """Compare an outline with the truth by every measure at once.

    Parameters
    ----------
    pred, truth : bool arrays of equal shape
        A slice (Y, X) or a volume (Z, Y, X).
    spacing : one length an axis
        Distance between neighbours in mm, or pixels.
    tolerance : float
        Distance, in the unit of `spacing`, up to which two surfaces count as equal.

    Raises
    ------
    GeometryError
        If the shapes or the number of spacings differ.
    """
    distances = surface_distances(pred, truth, spacing)
    return Scores(
        dice(pred, truth),
        iou(pred, truth),
        surface_dice(distances, tolerance),
        hd95(distances),
        asd(distances),
        float("nan") if truth.any() else float(np.mean(pred)),
    )


def dice(pred: Region, truth: Region) -> float:
    """Overlap as twice the shared size over the sum of sizes, 0 to 1.

    Source
    ------
    Dice, Ecology 1945; Sorensen 1948.
    """
    _check(pred, truth)
    total = np.count_nonzero(pred) + np.count_nonzero(truth)
    return 1.0 if total == 0 else 2.0 * float(np.count_nonzero(pred & truth)) / float(total)


def iou(pred: Region, truth: Region) -> float:
    """Overlap as the shared size over the joint size (Jaccard), 0 to 1."""
    _check(pred, truth)
    joint = np.count_nonzero(pred | truth)
    return 1.0 if joint == 0 else float(np.count_nonzero(pred & truth)) / float(joint)


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """Distances from each surface voxel to the other surface, in the unit of the spacing.

    `to_truth` (N,) runs over the surface of the outline, `to_pred` (M,) over that of the truth; either is
    empty when its region is. `diagonal` is the largest distance possible on the grid.
    """

    to_truth: NDArray[np.float64]
    to_pred: NDArray[np.float64]
    diagonal: float

    @property
    def one_empty(self) -> bool:
        """Whether exactly one of the two regions is empty."""
        return (self.to_truth.size == 0) != (self.to_pred.size == 0)

    @property
    def both_empty(self) -> bool:
        """Whether both regions are empty."""
        return self.to_truth.size == 0 and self.to_pred.size == 0


def surface_distances(pred: Region, truth: Region, spacing: Sequence[float]) -> SurfaceDistances:
    """Measure how far each surface lies from the other.

    A surface voxel lies in the region and touches, over a face, a voxel outside it or the grid's edge.
    """
    from scipy.spatial import cKDTree

    _check(pred, truth)
    if len(spacing) != pred.ndim:
        raise GeometryError(f"A grid of {pred.ndim} axes needs as many spacings, not {len(spacing)}.")
    extent = np.asarray(spacing, dtype=np.float64)
    diagonal = float(np.linalg.norm((np.array(pred.shape) - 1) * extent))
    one, two = _surface(pred) * extent, _surface(truth) * extent
    if len(one) == 0 or len(two) == 0:
        return SurfaceDistances(np.full(len(one), diagonal), np.full(len(two), diagonal), diagonal)
    return SurfaceDistances(cKDTree(two).query(one)[0], cKDTree(one).query(two)[0], diagonal)


def surface_dice(distances: SurfaceDistances, tolerance: float = TOLERANCE) -> float:
    """Part of both surfaces that lies within a tolerance of the other one, 0 to 1.

    Source
    ------
    Nikolov et al., J Med Internet Res 2021.

    Differs
    -------
    Surface voxels are counted, as in MONAI, where the paper weights surface elements by area.
    """
    if distances.both_empty:
        return 1.0
    if distances.one_empty:
        return 0.0
    both = np.concatenate([distances.to_truth, distances.to_pred])
    return float(np.mean(both <= tolerance))


def hd95(distances: SurfaceDistances) -> float:
    """95th percentile of the distances, the larger of the two directions (mm or pixels)."""
    if distances.both_empty:
        return 0.0
    if distances.one_empty:
        return distances.diagonal
    return float(max(np.percentile(distances.to_truth, 95), np.percentile(distances.to_pred, 95)))


def asd(distances: SurfaceDistances) -> float:
    """Mean of the distances in both directions taken together (mm or pixels)."""
    if distances.both_empty:
        return 0.0
    if distances.one_empty:
        return distances.diagonal
    return float(np.concatenate([distances.to_truth, distances.to_pred]).mean())


def _surface(region: Region) -> NDArray[np.intp]:
    """Indices (N, axes) of the surface voxels; an axis of length one has no surface of its own."""
    from scipy.ndimage import binary_erosion, find_objects, generate_binary_structure

    box = find_objects(region.astype(np.uint8))
    if not box:
        return np.zeros((0, region.ndim), np.intp)
    part = region[box[0]]
    touching = generate_binary_structure(region.ndim, 1)
    for axis, n in enumerate(region.shape):
        if n == 1:  # a slice is eroded in its plane only
            touching = np.moveaxis(touching, axis, 0)
            touching[[0, 2]] = False
            touching = np.moveaxis(touching, 0, axis)
    rim = part & ~binary_erosion(part, touching)
    return np.asarray(np.argwhere(rim) + [s.start for s in box[0]])


def _check(pred: Region, truth: Region) -> None:
    """Refuse arrays that do not lie on one grid."""
    if pred.shape != truth.shape:
        raise GeometryError(f"The outline {pred.shape} and the truth {truth.shape} have different sizes.")
