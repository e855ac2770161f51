"""An image on its grid, and the images of one patient that share a mask."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.errors import GeometryError
from napari_medseg.core.geometry import Geometry, Plane


@dataclass(frozen=True)
class Window:
    """How grey values meet the screen: the middle and the width of what is shown."""

    centre: float
    width: float
    name: str = ""

    @property
    def limits(self) -> tuple[float, float]:
        """Darkest and brightest value."""
        return self.centre - self.width / 2, self.centre + self.width / 2


@dataclass(frozen=True, eq=False)
class Volume:
    """One image, 2-D or 3-D, grey or with channels, placed in the patient.

    Parameters
    ----------
    array : (Z, Y, X) or (Z, Y, X, C)
        Values as read, rescaled where the file says so (Hounsfield units in CT).
    geometry : Geometry
        The grid; its shape is the array's without channels.
    name : str
        What to call it on screen; never a patient's name.
    modality : str
        DICOM modality or the data set's words, "" when unknown.
    anatomy : str
        Body region, "" when unknown.
    windows : tuple of Window
        Windows named by the file, the first one first.
    notes : tuple of str
        Sentences the person must be told, such as uneven slice distances.
    header : Any
        Whatever the reader needs to write a mask back as the file was; opaque to all other rooms.
    group : str
        Salted hash of the patient's identifier, "" when unknown.

    Raises
    ------
    GeometryError
        If the array does not lie on the grid, or has no channel.
    """

    array: NDArray[Any]
    geometry: Geometry
    name: str = "image"
    modality: str = ""
    anatomy: str = ""
    windows: tuple[Window, ...] = ()
    notes: tuple[str, ...] = ()
    header: Any = field(default=None, repr=False)
    group: str = ""

    def __post_init__(self) -> None:
        shape = self.array.shape
        if len(shape) not in (3, 4) or shape[:3] != self.geometry.shape or shape[-1] == 0:
            raise GeometryError(f"The image array {shape} does not lie on its grid {self.geometry.shape}.")

    @property
    def n_channels(self) -> int:
        """Number of channels, 1 for a grey image."""
        return 1 if self.array.ndim == 3 else int(self.array.shape[3])

    def n_slices(self, plane: Plane) -> int:
        """How many slices a plane has."""
        return self.geometry.n_slices(plane)

    def slice(self, plane: Plane, index: int) -> NDArray[Any]:
        """One slice as (rows, columns[, C]): the two remaining array axes in their order.

        Raises
        ------
        GeometryError
            If there is no such slice.
        """
        part = self.array[self.geometry.one_slice(plane, index)]
        return np.array(part.squeeze(self.geometry.axis_of(plane)))


@dataclass(frozen=True, eq=False)
class Case:
    """Several images of one patient, perhaps a prior, with one grid for the mask.

    The mask lives on the grid of the first volume.

    Raises
    ------
    GeometryError
        If there is no volume.
    """

    volumes: tuple[Volume, ...]
    prior: Volume | None = None
    name: str = "case"

    def __post_init__(self) -> None:
        if not self.volumes:
            raise GeometryError("A case needs at least one image.")

    @property
    def geometry(self) -> Geometry:
        """The grid the mask lives on."""
        return self.volumes[0].geometry
