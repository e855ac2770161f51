"""Turn a slice into a network's input, and a network's answer back into the slice.

One function for training and for use, so that the two can never differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

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
        The part of the slice, pixel edges, half-open.
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
        top, left, bottom, right = (int(round(edge)) for edge in self.span)
        ratio = canvas.shape[0] / self.long_side
        box = (0.0, 0.0, self.size[1] * ratio, self.size[0] * ratio)
        part = Image.fromarray(canvas).resize(
            (right - left, bottom - top), Image.Resampling.BILINEAR, box=box
        )
        result = np.full(shape, outside, np.float32)
        rows = slice(max(top, 0), min(bottom, shape[0]))
        columns = slice(max(left, 0), min(right, shape[1]))
        result[rows, columns] = np.asarray(part)[
            rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]
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
        The part to look at; all of it by default.
    """
    span = span or (0.0, 0.0, float(shape[0]), float(shape[1]))
    height, width = span[2] - span[0], span[3] - span[1]
    if preparation.square_pixels:
        height, width = height * pixel[0], width * pixel[1]
    scale = preparation.long_side / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return Frame(span, size, preparation.long_side)


def grey_limits(volume: Volume, preparation: Preparation) -> tuple[float, float]:
    """Values of an image that become black and white: the model's window, else percentiles of the volume."""
    window = preparation.window(volume.modality)
    if window is not None and volume.n_channels == 1 and volume.array.dtype != np.uint8:
        return window.limits
    values = volume.array.reshape(-1)
    values = values[:: max(1, values.size // _SAMPLE)].astype(np.float32)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(values, preparation.percentiles)
    return float(low), float(high) if high > low else float(low) + 1.0


def picture(volume: Volume, plane: Plane, index: int, limits: tuple[float, float]) -> Picture:
    """One slice as (rows, columns, 3) uint8, grey values between the limits stretched to 0 to 255."""
    values = volume.slice(plane, index).astype(np.float32)
    scaled = np.clip((np.nan_to_num(values) - limits[0]) / (limits[1] - limits[0]), 0.0, 1.0)
    grey = (scaled * 255.0 + 0.5).astype(np.uint8)
    if grey.ndim == 2:
        return np.repeat(grey[..., None], 3, axis=2)
    if grey.shape[2] >= 3:
        return np.ascontiguousarray(grey[..., :3])
    return np.repeat(grey[..., :1], 3, axis=2)


def normalise(canvas: Picture, preparation: Preparation) -> NDArray[np.float32]:
    """(S, S, 3) uint8 to (3, S, S) float32 with the model's mean and standard deviation."""
    mean = np.array(preparation.mean, np.float32)
    std = np.array(preparation.std, np.float32)
    return np.ascontiguousarray(((canvas / np.float32(255.0) - mean) / std).transpose(2, 0, 1))
