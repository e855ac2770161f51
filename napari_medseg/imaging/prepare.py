"""Turn a slice into a network's input, and a network's answer back into the slice.

One function for training and for use, so that the two can never differ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_medseg.core.errors import GeometryError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.model import Preparation
from napari_medseg.core.volume import Volume

_SAMPLE = 2_000_000  # voxels looked at for percentiles

Picture = NDArray[np.uint8]
Span = tuple[float, float, float, float]


@dataclass(frozen=True)
class Frame:
    """The part of a slice a network looks at, and how large it sees it.

    Parameters
    ----------
    span : (top, left, bottom, right)
        The part of the slice in whole pixels, half-open.
    size : (rows, columns)
        Its size on the network's square canvas, from the upper left corner.
    long_side : int
        Size of the canvas.
    """

    span: Span
    size: tuple[int, int]
    long_side: int

    @property
    def scale(self) -> tuple[float, float]:
        """Canvas pixels for each slice pixel along rows and columns."""
        top, left, bottom, right = self.span
        return self.size[0] / (bottom - top), self.size[1] / (right - left)

    def to_canvas(self, edges: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map (N, 2) positions (row, column), counted from pixel edges, onto the canvas."""
        return np.asarray((edges - np.array(self.span[:2])) * np.array(self.scale))

    def place(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Cut and scale a slice, (rows, columns[, 3]) uint8 or (rows, columns) float32, onto the canvas.

        Scaling is bilinear, with area averaging when it shrinks (Pillow); the rest of the canvas is 0.
        """
        top, left, bottom, right = self.span
        scaled = Image.fromarray(picture).resize(
            self.size[::-1], Image.Resampling.BILINEAR, box=(left, top, right, bottom)
        )
        canvas = np.zeros((self.long_side, self.long_side, *picture.shape[2:]), picture.dtype)
        canvas[: self.size[0], : self.size[1]] = np.asarray(scaled)
        return canvas

    def take_back(
        self, canvas: NDArray[np.float32], shape: tuple[int, int], outside: float
    ) -> NDArray[np.float32]:
        """Scale a (S, S) map on the canvas, of any resolution, back to the slice; `outside` elsewhere."""
        top, left, bottom, right = (int(edge) for edge in self.span)
        ratio = canvas.shape[0] / self.long_side
        rows, columns = self.size[0] * ratio, self.size[1] * ratio
        used = np.ascontiguousarray(
            canvas[: math.ceil(rows), : math.ceil(columns)]
        )  # the rest bleeds in else
        part = Image.fromarray(used).resize(
            (right - left, bottom - top), Image.Resampling.BILINEAR, box=(0.0, 0.0, columns, rows)
        )
        result = np.full(shape, outside, np.float32)
        result[top:bottom, left:right] = np.asarray(part)
        return result


def frame_of(
    shape: tuple[int, int],
    preparation: Preparation,
    pixel: tuple[float, float] = (1.0, 1.0),
    span: Span | None = None,
) -> Frame:
    """Choose the frame for a slice, or for a part of it.

    Parameters
    ----------
    shape : (rows, columns)
        Of the slice.
    pixel : (row, column)
        Pixel size in mm; only its ratio counts.
    span : (top, left, bottom, right), optional
        The part to look at, widened to whole pixels and cut to the slice; all of it by default.

    Raises
    ------
    GeometryError
        If no pixel of the slice lies in the part.
    """
    span = _whole_pixels(span or (0.0, 0.0, *shape), shape)
    height, width = span[2] - span[0], span[3] - span[1]
    if preparation.square_pixels:
        height, width = height * pixel[0], width * pixel[1]
    scale = preparation.long_side / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return Frame(span, size, preparation.long_side)


def _whole_pixels(span: Span, shape: tuple[int, int]) -> Span:
    """Widen a part of a slice to whole pixels and cut it to the slice."""
    if span[0] < span[2] and span[1] < span[3]:
        top, left = (float(math.floor(max(0.0, edge))) for edge in span[:2])
        bottom, right = (float(math.ceil(min(n, edge))) for n, edge in zip(shape, span[2:], strict=True))
        if top < bottom and left < right:
            return top, left, bottom, right
    raise GeometryError(f"The part {span} to look at does not lie on a slice of {shape} pixels.")


def grey_limits(volume: Volume, preparation: Preparation) -> tuple[float, float]:
    """Values of an image that become black and white: the model's window, else percentiles of the volume."""
    window = preparation.window(volume.modality)
    if window is not None and volume.n_channels == 1 and volume.array.dtype != np.uint8:
        return window.limits
    voxels = volume.array.reshape(-1, volume.n_channels)
    step = max(1, voxels.size // _SAMPLE)
    values = _shown(voxels[:: step if step % 2 else step + 1]).astype(
        np.float32
    )  # odd: not always one column
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(values, preparation.percentiles))
    return low, high if high > low else low + max(1.0, abs(low))


def picture(volume: Volume, plane: Plane, index: int, limits: tuple[float, float]) -> Picture:
    """One slice as (rows, columns, 3) uint8, grey values between the limits stretched to 0 to 255.

    What is not a number is black. Of more than three channels the first three are shown, of two the first.
    """
    low, high = limits
    values = volume.slice(plane, index)
    values = values if values.ndim == 3 else values[..., None]
    grey = np.nan_to_num(_shown(values).astype(np.float32), nan=low, posinf=high, neginf=low)
    scaled = np.clip((grey - low) / (high - low), 0.0, 1.0)
    stretched = (scaled * 255.0 + 0.5).astype(np.uint8)
    return np.repeat(stretched, 3, axis=2) if stretched.shape[2] == 1 else np.ascontiguousarray(stretched)


def _shown(values: NDArray[Any]) -> NDArray[Any]:
    """The channels (..., C) that a picture shows: three colours, or one grey."""
    return values[..., : 3 if values.shape[-1] >= 3 else 1]


def normalise(canvas: Picture, preparation: Preparation) -> NDArray[np.float32]:
    """(S, S, 3) uint8 to (3, S, S) float32 with the model's mean and standard deviation."""
    mean = np.array(preparation.mean, np.float32)
    std = np.array(preparation.std, np.float32)
    return np.ascontiguousarray(((canvas / np.float32(255.0) - mean) / std).transpose(2, 0, 1))
