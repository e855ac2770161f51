"""Small pictures of annotated slices, as they lie on screen, with the outlines drawn; on any thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtGui import QImage

from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Region
from napari_medseg.core.request import Example
from napari_medseg.core.volume import Volume, Window
from napari_medseg.gui.display import Display
from napari_medseg.gui.example_pieces import largest
from napari_medseg.imaging.window import default_window, is_ct, percentile_window

Colour = tuple[int, int, int]
SIDE = 64  # pixels on screen, four of which fit a row
_FINE = 2 * SIDE  # pixels of the picture, for screens with twice the density
_ROOM = 2.2  # times the outlines' extent that is shown around them,
_FEW = 40  # values along an axis that tell how bright an image is
_LEAST = 0.5  # but at least this part of the slice's shorter side


def example_picture(example: Example, colours: Mapping[str, Colour]) -> QImage:
    """The annotated slice of an example with the largest outlines, in these colours or its own."""
    plane, index = largest(example)
    mask = example.mask
    outlines = [(mask.on_slice(s.name, plane, index), colours.get(s.name, s.colour)) for s in mask.structures]
    return slice_picture(example.volume, plane, index, outlines)


def slice_picture(
    volume: Volume, plane: Plane, index: int, outlines: Sequence[tuple[Region, Colour]]
) -> QImage:
    """A square picture around the outlines (rows, columns) of one slice, turned as on screen."""
    display = Display(volume.geometry)
    part = _turned(volume.array[volume.geometry.one_slice(plane, index)], display, plane)
    axis = volume.geometry.axis_of(plane)
    regions = [_turned(np.expand_dims(region, axis), display, plane) for region, _ in outlines]
    pixel = tuple(size for dim, size in enumerate(display.scale) if dim != display.dim_of(plane))
    rows, columns = _shown(regions, part.shape[:2], (pixel[0], pixel[1]))
    picture = _as_shown(volume, part, _sampled(part, rows, columns))
    for region, (_, colour) in zip(regions, outlines, strict=True):
        picture[_edge(_sampled(region, rows[::2], columns[::2]))] = colour
    data = picture.tobytes()
    return QImage(data, _FINE, _FINE, 3 * _FINE, QImage.Format.Format_RGB888).copy()  # owns its bytes


def _turned(slab: NDArray[Any], display: Display, plane: Plane) -> NDArray[Any]:
    """One slice of an array as displayed, (rows, columns[, C]), without a copy."""
    return display.view(slab).squeeze(display.dim_of(plane))


def _shown(
    regions: Sequence[Region], shape: tuple[int, ...], pixel: tuple[float, float]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which rows and columns two samples for each of the picture's pixels show, -1 beyond the slice."""
    size = np.array(shape) * pixel
    corners = [_box(region) for region in regions if region.any()]
    low = np.min([c[0] for c in corners], axis=0) * pixel if corners else np.zeros(2)
    high = np.max([c[1] for c in corners], axis=0) * pixel if corners else size
    side = min(max(_ROOM * float((high - low).max()), _LEAST * float(size.min())), float(size.max()))
    middle = (low + high) / 2
    middle = np.where(size > side, np.clip(middle, side / 2, size - side / 2), size / 2)
    steps = (np.arange(2 * _FINE) + 0.5) / (2 * _FINE) - 0.5
    found = []
    for axis in (0, 1):
        at = np.floor((middle[axis] + steps * side) / pixel[axis]).astype(np.int64)
        found.append(np.where((at >= 0) & (at < shape[axis]), at, -1))
    return found[0], found[1]


def _box(region: Region) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last row and column of an outline, half-open."""
    there = [np.flatnonzero(region.any(axis=other)) for other in (1, 0)]
    return np.array([t[0] for t in there]), np.array([t[-1] + 1 for t in there])


def _as_shown(volume: Volume, part: NDArray[Any], sampled: NDArray[Any]) -> NDArray[np.uint8]:
    """Samples of a slice as the screen shows them: windowed, averaged by two, (rows, columns, 3)."""
    pairs = sampled.reshape(_FINE, 2, _FINE, 2, *sampled.shape[2:])
    values: NDArray[np.float32] = pairs.mean(axis=(1, 3), dtype=np.float32)
    if values.ndim == 3 and values.shape[2] in (3, 4) and part.dtype == np.uint8:
        return values[..., :3].astype(np.uint8)
    grey = values[..., 0] if values.ndim == 3 else values
    named = volume.windows or is_ct(volume) or part.dtype == np.uint8
    low, high = (default_window(volume) if named else _rough_window(volume)).limits
    shown = np.clip((grey - low) * (255.0 / max(high - low, 1e-6)), 0, 255)
    return np.repeat(shown.astype(np.uint8)[..., None], 3, axis=2)


def _rough_window(volume: Volume) -> Window:
    """The window an image opens with, from few of its values, so that nobody waits for it."""
    z, y, x = (slice(None, None, max(1, n // _FEW)) for n in volume.geometry.shape)
    return percentile_window(volume.array[z, y, x])


def _sampled(part: NDArray[Any], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[Any]:
    """The picture's pixels of a slice, 0 beyond it."""
    picture = part[np.ix_(rows, columns)]
    picture[rows < 0] = 0
    picture[:, columns < 0] = 0
    return picture


def _edge(inside: Region) -> Region:
    """The rim of a region, two pixels wide, which are one on screen."""
    core = inside
    for _ in range(2):
        wide = np.pad(core, 1, constant_values=True)
        core = core & wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return np.asarray(inside & ~core)
