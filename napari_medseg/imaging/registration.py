"""Carrying an outline from one slice to the next by registering the two pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from napari_medseg.core.mask import Region

_ROUNDS = 20
_SMOOTH = 1.5  # pixels, of the displacements
_MARGIN = 16  # pixels around the outline that are registered


def carried(region: Region, pixels: NDArray[Any], onto: NDArray[Any]) -> Region:
    """Move an outline along with the picture it lies on, to where that picture is found on another slice.

    Parameters
    ----------
    region : (rows, columns) bool
        Not empty.
    pixels, onto : (rows, columns)
        The slice it lies on and the one it is carried to.

    Source
    ------
    Vercauteren et al., Diffeomorphic demons, NeuroImage 2009; SimpleITK's fast symmetric forces.
    """
    rows, columns = (np.flatnonzero(region.any(axis)) for axis in (1, 0))
    part = tuple(slice(max(0, at[0] - _MARGIN), at[-1] + 1 + _MARGIN) for at in (rows, columns))
    spread = max(float(pixels[part].std()), 1e-6)
    still, moving = (
        sitk.GetImageFromArray((one[part] / spread).astype(np.float32)) for one in (onto, pixels)
    )
    demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
    demons.SetNumberOfIterations(_ROUNDS)
    demons.SetStandardDeviations(_SMOOTH)
    way = sitk.DisplacementFieldTransform(sitk.Cast(demons.Execute(still, moving), sitk.sitkVectorFloat64))
    outline = sitk.GetImageFromArray(region[part].astype(np.float32))
    result = np.zeros_like(region)
    result[part] = sitk.GetArrayFromImage(sitk.Resample(outline, still, way, sitk.sitkLinear)) > 0.5
    return result
