"""Pictures of outlines on slices, the right way up, for people without a viewer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from napari_medseg.core.geometry import Geometry, Plane
from napari_medseg.core.mask import Region
from napari_medseg.core.prompts import Box
from napari_medseg.core.structure import COLOURS
from napari_medseg.core.volume import Volume

_SIDE = 420  # pixels of the longer side
_LINE = 2
_CAPTION = 26
_UPRIGHT = ("A", "S", "R")  # letters that belong at the top or on the left


def panel(volume: Volume, box: Box, region: Region | None, caption: str) -> Image.Image:
    """Draw one slice with a box and an outline, (rows, columns) bool, in screen orientation."""
    grey = _grey(volume, box.plane, box.index)
    edge = np.zeros(grey.shape[:2], bool)
    edge[round(box.start[0]) : round(box.stop[0]), round(box.start[1]) : round(box.stop[1])] = True
    layers = [upright(layer, volume.geometry, box.plane) for layer in (grey, edge)]
    size = _size(volume.geometry, box.plane)
    picture = np.array(Image.fromarray(layers[0]).convert("RGB").resize(size, Image.Resampling.BICUBIC))
    picture[_outline(layers[1], size)] = COLOURS[1]
    if region is not None:
        picture[_outline(upright(region, volume.geometry, box.plane), size)] = COLOURS[0]
    whole = Image.new("RGB", (size[0], size[1] + _CAPTION), (255, 255, 255))
    whole.paste(Image.fromarray(picture), (0, _CAPTION))
    ImageDraw.Draw(whole).text((4, 4), caption, fill=(0, 0, 0), font=ImageFont.load_default(15))
    return whole


def beside(panels: Sequence[Image.Image]) -> Image.Image:
    """Join pictures from left to right."""
    gap = 6
    width = sum(one.width + gap for one in panels) - gap
    whole = Image.new("RGB", (width, max(one.height for one in panels)), (255, 255, 255))
    left = 0
    for one in panels:
        whole.paste(one, (left, 0))
        left += one.width + gap
    return whole


def upright(slice_: NDArray[Any], geometry: Geometry, plane: Plane) -> NDArray[Any]:
    """Turn a slice (rows, columns[, C]) so that anterior or head is up and the patient's right is left."""
    if not geometry.spacing_known:
        return slice_
    rows, columns = (axis for axis in range(3) if axis != geometry.axis_of(plane))
    for position, axis in enumerate((rows, columns)):
        if geometry.ends(axis)[0] not in _UPRIGHT:
            slice_ = np.flip(slice_, position)
    return np.ascontiguousarray(slice_.swapaxes(0, 1) if _is_turned(geometry, plane) else slice_)


def _is_turned(geometry: Geometry, plane: Plane) -> bool:
    """Whether the slice's rows run sideways on the screen."""
    rows = next(axis for axis in range(3) if axis != geometry.axis_of(plane))
    across = "sagittal" if plane != "sagittal" else "coronal"
    return geometry.spacing_known and geometry.plane_of(rows) == across


def _size(geometry: Geometry, plane: Plane) -> tuple[int, int]:
    """Width and height on the page, with true proportions."""
    axes = [axis for axis in range(3) if axis != geometry.axis_of(plane)]
    height, width = (geometry.shape[axis] * geometry.spacing[axis] for axis in axes)
    if _is_turned(geometry, plane):
        height, width = width, height
    scale = _SIDE / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _grey(volume: Volume, plane: Plane, index: int) -> NDArray[np.uint8]:
    """A slice as the screen shows it; colour stays."""
    values = volume.slice(plane, index)
    if volume.n_channels in (3, 4) and values.dtype == np.uint8:
        return np.asarray(values[..., :3])
    from napari_medseg.imaging.window import default_window

    low, high = default_window(volume).limits
    values = values if values.ndim == 2 else values[..., 0]
    return np.asarray(np.clip((values - low) / max(high - low, 1e-6), 0, 1) * 255, np.uint8)


def _outline(region: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels of the inner border of a region after scaling it to (width, height)."""
    from scipy.ndimage import binary_erosion

    large = np.asarray(Image.fromarray(region).resize(size, Image.Resampling.NEAREST))
    return np.asarray(large & ~binary_erosion(large, iterations=_LINE, border_value=0))
