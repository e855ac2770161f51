"""Values on another grid, by SimpleITK: only where a person or a method asks for it, and it is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from napari_medseg.core.errors import GeometryError
from napari_medseg.core.geometry import Geometry, from_spacing
from napari_medseg.core.mask import Mask
from napari_medseg.core.volume import Volume
from napari_medseg.imaging.orientation import to_itk


def resample(volume: Volume, geometry: Geometry) -> Volume:
    """Compute an image on another grid, linearly; outside it is as dark as its darkest value.

    The result has no header, and a note that says what was done.

    Raises
    ------
    GeometryError
        If one of the grids is uneven or knows no mm, or the image lies elsewhere altogether.
    """
    _check(volume.geometry, geometry)
    array = _resample(volume.array, volume.geometry, geometry, sitk.sitkLinear, float(volume.array.min()))
    was, now = (" x ".join(f"{s:.3g}" for s in g.spacing) for g in (volume.geometry, geometry))
    note = f"The image was resampled from voxels of {was} mm to {now} mm, by linear interpolation."
    return replace(volume, array=array, geometry=geometry, notes=(*volume.notes, note), header=None)


def resample_mask(mask: Mask, geometry: Geometry) -> Mask:
    """Compute a mask on another grid from the nearest voxels; nothing of it counts as reviewed any more.

    Raises
    ------
    GeometryError
        If one of the grids is uneven or knows no mm, or the mask lies elsewhere altogether.
    """
    _check(mask.geometry, geometry)
    result = Mask.empty(geometry, mask.structures)
    for name in mask.names:
        region = mask.of(name).astype(np.uint8)
        region = _resample(region, mask.geometry, geometry, sitk.sitkNearestNeighbor, 0.0)
        result = result.put(name, region > 0)
    return result.record(*mask.provenance)


def square_pixels(image: NDArray[Any], pixel: tuple[float, float], nearest: bool = False) -> NDArray[Any]:
    """Scale one slice so that its pixels are squares of their shorter side; edges stay where they are.

    Parameters
    ----------
    image : (rows, columns) or (rows, columns, C)
        Its type stays.
    pixel : (row, column)
        Pixel size in mm; only its ratio counts.
    nearest : bool
        Take the nearest value instead of the linear mean: for masks.
    """
    side = min(pixel)
    rows, columns = (max(1, round(n * p / side)) for n, p in zip(image.shape[:2], pixel, strict=True))
    if image.shape[:2] == (rows, columns):
        return image
    step = (1.0, image.shape[0] / rows, image.shape[1] / columns)
    edge = (step[2] / 2 - 0.5, step[1] / 2 - 0.5, 0.0)  # centre of the first pixel, (x, y, z)
    target = Geometry((1, rows, columns), from_spacing(step, edge))
    # Half a pixel beyond the outermost centres is still image: repeat the border instead of a fill value.
    padded = np.pad(image, [(1, 1), (1, 1)] + [(0, 0)] * (image.ndim - 2), mode="edge")
    source = Geometry((1, padded.shape[0], padded.shape[1]), from_spacing((1.0, 1.0, 1.0), (-1.0, -1.0, 0.0)))
    how = sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear
    return np.asarray(_resample(padded[np.newaxis], source, target, how, 0.0)[0])


def _check(source: Geometry, target: Geometry) -> None:
    """Refuse grids between which nothing can be computed."""
    if not (source.regular and target.regular):
        raise GeometryError("Unevenly spaced slices cannot be resampled; work slice by slice.")
    if not (source.spacing_known and target.spacing_known):
        raise GeometryError("An image without a voxel size in mm cannot be resampled onto another one.")
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in source.shape])).reshape(3, -1).T
    at = target.world_to_index(source.index_to_world(corners))
    if np.any(at.max(axis=0) < -0.5) or np.any(at.min(axis=0) > np.array(target.shape) - 0.5):
        raise GeometryError("The two images share no place in the patient, so nothing could be resampled.")


def _resample(
    array: NDArray[Any], source: Geometry, target: Geometry, how: int, outside: float
) -> NDArray[Any]:
    """Values (Z, Y, X[, C]) of one grid on another, in the same type."""
    image = sitk.GetImageFromArray(array, isVector=array.ndim == 4)
    spacing, origin, direction = to_itk(source.affine)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(direction)
    spacing, origin, direction = to_itk(target.affine)
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(target.shape[::-1])
    resampler.SetOutputSpacing(spacing)
    resampler.SetOutputOrigin(origin)
    resampler.SetOutputDirection(direction)
    resampler.SetInterpolator(how)
    resampler.SetDefaultPixelValue(outside)
    return np.asarray(sitk.GetArrayFromImage(resampler.Execute(image)))
