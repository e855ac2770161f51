"""Pictures of outlines on slices, the right way up, for people without a viewer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from napari_medseg.core.geometry import Geometry, Plane
from napari_medseg.core.mask import Region
from napari_medseg.core.prompts import Box, Point, in_plane
from napari_medseg.core.structure import COLOURS
from napari_medseg.core.volume import Volume

if TYPE_CHECKING:
    from napari_medseg.workflow.samples import Sample

_SIDE = 420  # pixels of the longer side
_LINE = 2
_CAPTION = 26
_UPRIGHT = ("A", "S", "R")  # letters that belong at the top or on the left


def panel(
    sample: Sample,
    region: Region | None,
    caption: str,
    with_truth: bool = False,
    with_prompt: bool = True,
) -> Image.Image:
    """Draw a sample's slice with its prompt and an outline, (rows, columns) bool, in screen orientation."""
    volume, plane, prompt = sample.volume, sample.plane, sample.prompt
    grey = _grey(volume, plane, sample.index)
    part = _part(prompt, grey.shape)
    given = _drawn(prompt, volume.geometry.axis_of(plane), grey.shape)
    layers = [upright(layer[part], volume.geometry, plane) for layer in (grey, given)]
    size = _size(volume.geometry, plane, given[part].shape)
    picture = np.array(Image.fromarray(layers[0]).convert("RGB").resize(size, Image.Resampling.BICUBIC))
    if with_prompt:
        picture[_outline(layers[1], size)] = COLOURS[1]
    if with_truth and sample.truth is not None:
        picture[_outline(upright(sample.truth[part], volume.geometry, plane), size)] = COLOURS[2]
    if region is not None:
        picture[_outline(upright(region[part], volume.geometry, plane), size)] = COLOURS[0]
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


def _part(prompt: Box | Point, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The part of a slice that is shown: around a box, with as much again on each side, else all."""
    if not isinstance(prompt, Box):
        return slice(None), slice(None)
    sides = zip(prompt.start, prompt.stop, shape, strict=False)
    rows, columns = (slice(max(0, int(2 * a - b)), min(n, int(2 * b - a))) for a, b, n in sides)
    return rows, columns


def _drawn(prompt: Box | Point, axis: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """A box, or a small square for a click, as pixels (rows, columns)."""
    if isinstance(prompt, Box):
        (top, left), (bottom, right) = prompt.start, prompt.stop
    else:
        (row, column), half = in_plane(prompt.at, axis), 2
        top, left, bottom, right = row - half, column - half, row + half + 1, column + half + 1
    drawn = np.zeros(shape[:2], bool)
    drawn[round(top) : round(bottom), round(left) : round(right)] = True
    return drawn


def _size(geometry: Geometry, plane: Plane, shape: tuple[int, ...]) -> tuple[int, int]:
    """Width and height on the page of a part of a slice, with true proportions."""
    axes = [axis for axis in range(3) if axis != geometry.axis_of(plane)]
    height, width = (n * geometry.spacing[axis] for n, axis in zip(shape, axes, strict=True))
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
