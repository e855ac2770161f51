"""Carrying an outline from one slice to the next by registering the two pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_medseg.core.mask import Region
from napari_medseg.imaging.seeds import resized

Picture = NDArray[np.float64]
_ROUNDS = 20
_SMOOTH = 1.5  # pixels, of the displacements
_MARGIN = 16  # pixels around the outline that are registered
_LONGEST = 96  # pixels a side that are registered; larger parts are scaled down for it


def carried(region: Region, pixels: NDArray[Any], onto: NDArray[Any]) -> Region:
    """Move an outline along with the picture it lies on, to where that picture is found on another slice.

    Parameters
    ----------
    region : (rows, columns) bool
        Not empty.
    pixels, onto : (rows, columns)
        The slice it lies on and the one it is carried to.
    """
    rows, columns = (np.flatnonzero(region.any(axis)) for axis in (1, 0))
    part = tuple(slice(max(0, at[0] - _MARGIN), at[-1] + 1 + _MARGIN) for at in (rows, columns))
    spread = max(float(pixels[part].std()), 1e-6)
    shape = region[part].shape
    small = [max(1, round(n * min(1.0, _LONGEST / max(shape)))) for n in shape]
    still, moving = (_scaled(np.asarray(one[part] / spread, np.float64), small) for one in (onto, pixels))
    axes = zip(displacements(still, moving), shape, small, strict=True)
    way = np.stack([_scaled(axis, shape) * (n / fewer) for axis, n, fewer in axes])
    result = np.zeros_like(region)
    result[part] = _moved(region[part].astype(np.float64), way) > 0.5
    return result


def displacements(still: Picture, moving: Picture) -> Picture:
    """Where each pixel of one picture is found on another, (2, rows, columns) in pixels down and right.

    Source
    ------
    Thirion, Image matching as a diffusion process, Medical Image Analysis 1998, with the symmetric forces of
    Vercauteren et al., NeuroImage 2009.

    Differs
    -------
    In numpy, for pictures so small that SimpleITK's filter spends two thirds of its time on threads; the
    outlines it carries on the validation volumes are as good (Dice 0.655 and 0.654).
    """
    way = np.zeros((2, *still.shape), np.float64)
    slope = np.array(np.gradient(still))
    for _ in range(_ROUNDS):
        seen = _moved(moving, way)
        mean = (slope + np.array(np.gradient(seen))) / 2
        wrong = still - seen
        way += mean * (wrong / ((mean**2).sum(0) + wrong**2 + 1e-6))
        way = np.stack([ndimage.gaussian_filter(axis, _SMOOTH) for axis in way])
    return way


def _moved(picture: Picture, way: Picture) -> Picture:
    """The picture (rows, columns) as seen at displaced pixels."""
    at = np.indices(picture.shape) + way
    return np.asarray(ndimage.map_coordinates(picture, at, order=1, mode="nearest"))


def _scaled(picture: Picture, shape: Sequence[int]) -> Picture:
    """The picture (rows, columns) on another number of pixels, smoothed where it shrinks."""
    if picture.shape == tuple(shape):
        return picture
    return resized(picture, (shape[0], shape[1]))
