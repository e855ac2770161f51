"""How a grid is turned for the screen, the only place where the body's axes become napari's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_medseg.core.geometry import Geometry, Plane


@dataclass(frozen=True, eq=False)
class Display:
    """How a grid is turned for the screen: whole axes permuted and flipped, never resampled.

    Displayed dimension 0 runs from head to foot, 1 from front to back, 2 from the patient's right to
    left, so that axial slices show the front above and the patient's right on the left, and coronal and
    sagittal slices the head above. A grid whose place in the body is unknown is shown as it is stored.

    Parameters
    ----------
    geometry : Geometry
        The grid.
    """

    geometry: Geometry

    @property
    def axes(self) -> tuple[int, int, int]:
        """Array axis of each displayed dimension."""
        if not self.geometry.oriented:
            return 0, 1, 2
        axis_of = self.geometry.axis_of
        return axis_of("axial"), axis_of("coronal"), axis_of("sagittal")

    @property
    def flipped(self) -> tuple[bool, bool, bool]:
        """Whether each displayed dimension runs against its array axis."""
        if not self.geometry.oriented:
            return False, False, False
        first = [self.geometry.ends(axis)[0] for axis in self.axes]
        return first[0] != "S", first[1] != "A", first[2] != "R"

    @property
    def scale(self) -> tuple[float, float, float]:
        """Distance between neighbours along the displayed dimensions, in `unit`."""
        spacing = self.geometry.spacing if self.geometry.spacing_known else (1.0, 1.0, 1.0)
        a, b, c = self.axes
        return spacing[a], spacing[b], spacing[c]

    @property
    def unit(self) -> str:
        """Unit of lengths on screen: "mm", or "pixel" where no spacing is known."""
        return "mm" if self.geometry.spacing_known else "pixel"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along the displayed dimensions."""
        a, b, c = (self.geometry.shape[axis] for axis in self.axes)
        return a, b, c

    @property
    def placement(self) -> dict[str, Any]:
        """What every layer on this grid is added with: scale, units and axis labels."""
        labels = ("axial", "coronal", "sagittal") if self.geometry.oriented else ("slice", "row", "column")
        return {"scale": self.scale, "units": (self.unit,) * 3, "axis_labels": labels}

    def view(self, array: NDArray[Any]) -> NDArray[Any]:
        """See an array (Z, Y, X[, C]) as displayed; what is written to the view is written to the array."""
        turned = array.transpose(*self.axes, *range(3, array.ndim))
        return turned[self._steps]

    def stored(self, view: NDArray[Any]) -> NDArray[Any]:
        """See a displayed array as stored (Z, Y, X[, C]): the inverse of `view`, no copy either."""
        return view[self._steps].transpose(*np.argsort(self.axes), *range(3, view.ndim))

    @property
    def _steps(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1 if flipped else None) for flipped in self.flipped)

    def to_array(self, at: ArrayLike) -> tuple[float, float, float]:
        """Array index (z, y, x) of a displayed index, fractions kept."""
        at = np.asarray(at, dtype=np.float64)
        turned = np.where(self.flipped, np.subtract(self.shape, 1) - at, at)
        index = turned[np.argsort(self.axes)]
        return float(index[0]), float(index[1]), float(index[2])

    def to_display(self, at: ArrayLike) -> tuple[float, float, float]:
        """Displayed index of an array index (z, y, x), fractions kept."""
        at = np.asarray(at, dtype=np.float64)[list(self.axes)]
        index = np.where(self.flipped, np.subtract(self.shape, 1) - at, at)
        return float(index[0]), float(index[1]), float(index[2])

    def dim_of(self, plane: Plane) -> int:
        """Displayed dimension a plane's slices are counted along."""
        return self.axes.index(self.geometry.axis_of(plane))

    def position(self, plane: Plane, index: int) -> int:
        """Place of a slice in its plane as napari counts, from 0; the way back is the same."""
        dim = self.dim_of(plane)
        return self.shape[dim] - 1 - index if self.flipped[dim] else index

    def order(self, plane: Plane) -> tuple[int, int, int]:
        """`viewer.dims.order` that shows a plane upright."""
        dim = self.dim_of(plane)
        first, second = (d for d in range(3) if d != dim)
        return dim, first, second
