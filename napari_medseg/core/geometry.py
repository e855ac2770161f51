"""Where voxels lie: one affine is the only truth about spacing, direction and origin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_medseg.core.errors import GeometryError

Where = tuple[slice, slice, slice]  # a part of a grid
EVERYWHERE: Where = (slice(None), slice(None), slice(None))
Plane = Literal["axial", "coronal", "sagittal"]
PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
# World axis (x, y, z of LPS) that each plane's normal follows.
_WORLD_AXIS: dict[str, int] = {"axial": 2, "coronal": 1, "sagittal": 0}
_LETTERS = (("R", "L"), ("A", "P"), ("I", "S"))  # towards smaller, towards larger LPS coordinate
ANISOTROPY_LIMIT = 3.0
_VOXEL_MM = (1e-9, 1e6)  # smaller than an atom, larger than a city
_FLAT = 1e-3  # volume spanned by the three unit axes, below which they are as good as in one plane
_ROUNDING = 1e-6  # differences below this are noise of floating point, not of a scanner


@dataclass(frozen=True, eq=False)
class Geometry:
    """A grid of voxels placed in the patient.

    Parameters
    ----------
    shape : (Z, Y, X)
        Number of voxels along each array axis; a 2-D image has Z = 1.
    affine : (4, 4) float64
        Maps a homogeneous array index (z, y, x, 1) to world (x, y, z, 1) in mm, LPS.
    spacing_known : bool
        False for pictures without a size in mm; lengths are then pixels.
    regular : bool
        False when the slices are not evenly spaced; 3-D tools are then off.
    oriented : bool
        False where the file does not say how the grid lies in the body, such as in a photograph or most
        ultrasound: no orientation letters are then shown and nothing is turned.

    Raises
    ------
    GeometryError
        If the affine is not finite, flat or otherwise senseless, or a size is not a count.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    spacing_known: bool = True
    regular: bool = True
    oriented: bool = True

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.all(np.isfinite(affine)):
            raise GeometryError("The image's affine is not a finite 4 x 4 matrix, so it cannot be placed.")
        if not np.array_equal(affine[3], (0, 0, 0, 1)):
            raise GeometryError("The last row of the image's affine is not 0 0 0 1, so it cannot be placed.")
        if len(self.shape) != 3 or any(n < 1 or int(n) != n for n in self.shape):
            raise GeometryError(f"An image needs three sizes of at least 1, not {self.shape}.")
        longest = np.abs(affine[:3, :3]).max(axis=0)
        if longest.min() < _VOXEL_MM[0] or longest.max() > _VOXEL_MM[1]:
            sizes = f"{longest.min():g} to {longest.max():g} mm"
            raise GeometryError(f"The image's affine makes voxels of {sizes}, which cannot be right.")
        axes = affine[:3, :3] / longest
        if abs(np.linalg.det(axes / np.linalg.norm(axes, axis=0))) < _FLAT:
            raise GeometryError("The image's affine is flat: its three axes lie in one plane.")
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    @classmethod
    def of_pixels(cls, shape: tuple[int, int, int]) -> Geometry:
        """Place a picture that knows no millimetres: pixels, upright, origin at the first pixel."""
        return cls(shape, from_spacing((1.0, 1.0, 1.0)), spacing_known=False, oriented=False)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxels along (z, y, x), in mm or pixels."""
        z, y, x = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(z), float(y), float(x)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres; means nothing unless `spacing_known`."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    @property
    def is_2d(self) -> bool:
        """Whether there is a single slice."""
        return self.shape[0] == 1

    def axis_of(self, plane: Plane) -> int:
        """Array axis (0, 1 or 2) a plane's slices are counted along."""
        return self._world_axes.index(_WORLD_AXIS[plane])

    def plane_of(self, axis: int) -> Plane:
        """Name the plane whose slices are counted along an array axis."""
        world = self._world_axes[axis]
        return next(plane for plane in PLANES if _WORLD_AXIS[plane] == world)

    def n_slices(self, plane: Plane) -> int:
        """How many slices a plane has."""
        return self.shape[self.axis_of(plane)]

    def one_slice(self, plane: Plane, index: int) -> Where:
        """The part of the grid that is one slice.

        Raises
        ------
        GeometryError
            If there is no such slice.
        """
        n = self.n_slices(plane)
        if not 0 <= index < n:
            raise GeometryError(f"There is no {plane} slice {index}; this image has 0 to {n - 1}.")
        return slab(self.axis_of(plane), index, index + 1)

    @property
    def native_plane(self) -> Plane:
        """The plane of the stored slices (array axis 0)."""
        return self.plane_of(0)

    @cached_property
    def _world_axes(self) -> tuple[int, int, int]:
        """World axis nearest to each array axis; a permutation, the best of the six.

        Of several that are equally good, such as at 45 degrees, the first: axial slices where possible.
        """
        if not self.oriented:
            return (2, 1, 0)
        cosines = np.abs(self.direction)  # [world, array axis]
        orders = permutations((2, 1, 0))
        z, y, x = max(orders, key=lambda order: round(float(cosines[order, (0, 1, 2)].sum()), 6))
        return z, y, x

    @property
    def direction(self) -> NDArray[np.float64]:
        """(3, 3) unit world vector (x, y, z) of each array axis, one a column."""
        columns = self.affine[:3, :3]
        return np.asarray(columns / np.linalg.norm(columns, axis=0))

    @property
    def obliqueness_degrees(self) -> float:
        """Largest angle between an array axis and the body axis it stands for."""
        cosines = [abs(self.direction[w, a]) for a, w in enumerate(self._world_axes)]
        return float(np.degrees(np.arccos(np.clip(min(cosines), -1.0, 1.0))))

    @property
    def is_sheared(self) -> bool:
        """Whether the array axes are not at right angles to each other (beyond 0.1 degree)."""
        gram = self.direction.T @ self.direction
        return bool(np.abs(gram - np.eye(3)).max() > np.sin(np.radians(0.1)))

    @property
    def is_anisotropic(self) -> bool:
        """Whether slices lie more than three pixel sizes apart: in-plane methods only.

        The slices may be counted along any array axis: the one with the longest spacing.
        """
        _, pixel, between = sorted(self.spacing)
        return not self.is_2d and between > ANISOTROPY_LIMIT * pixel * (1 + _ROUNDING)

    @property
    def supports_3d(self) -> bool:
        """Whether tools that join slices may be used."""
        return self.regular and not self.is_2d

    def ends(self, axis: int) -> tuple[str, str]:
        """Body letters at the first and at the last index of an array axis, such as ('A', 'P')."""
        world = self._world_axes[axis]
        low, high = _LETTERS[world]
        return (low, high) if self.direction[world, axis] > 0 else (high, low)

    def index_to_world(self, index: ArrayLike) -> NDArray[np.float64]:
        """Map (..., 3) array indices (z, y, x) to (..., 3) world positions (x, y, z) in mm, LPS."""
        index = np.asarray(index, dtype=np.float64)
        return np.asarray(index @ self.affine[:3, :3].T + self.affine[:3, 3])

    def world_to_index(self, world: ArrayLike) -> NDArray[np.float64]:
        """Map (..., 3) world positions (x, y, z) in mm, LPS, to (..., 3) array indices (z, y, x)."""
        inverse = np.linalg.inv(self.affine[:3, :3])
        return np.asarray((np.asarray(world, dtype=np.float64) - self.affine[:3, 3]) @ inverse.T)

    def crop(self, start: tuple[int, int, int], stop: tuple[int, int, int]) -> Geometry:
        """Take the part of the grid between two array indices, half-open.

        Raises
        ------
        GeometryError
            If the part is empty or reaches beyond the grid.
        """
        if not all(0 <= a < b <= n for a, b, n in zip(start, stop, self.shape, strict=True)):
            raise GeometryError(f"There is no part {start} to {stop} in an image of {self.shape} voxels.")
        affine = self.affine.copy()
        affine[:3, 3] = self.index_to_world(start)
        shape = (stop[0] - start[0], stop[1] - start[1], stop[2] - start[2])
        return Geometry(shape, affine, self.spacing_known, self.regular, self.oriented)

    def same_grid(self, other: Geometry, tolerance: float = 1e-3) -> bool:
        """Whether two grids have the same shape and no voxel differs by more than `tolerance` voxels.

        What no voxel can tell, such as the thickness of a single slice, does not count.
        """
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape])).reshape(3, -1).T
        shift = self.world_to_index(other.index_to_world(corners)) - corners
        return bool(np.abs(shift).max() <= tolerance)


def slab(axis: int, start: int, stop: int) -> Where:
    """The part of a grid between two slices counted along an array axis, half-open."""
    where = [slice(None), slice(None), slice(None)]
    where[axis] = slice(start, stop)
    return where[0], where[1], where[2]


def from_spacing(
    spacing: tuple[float, float, float], origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> NDArray[np.float64]:
    """Affine of an upright axial grid from its (z, y, x) spacing and (x, y, z) origin in mm."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2] = spacing
    affine[:3, 3] = origin
    affine[3, 3] = 1.0
    return affine
