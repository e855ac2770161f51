"""What a box and clicks say about the pixels of a slice: surely inside, surely outside, likely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.mask import Region
from napari_medseg.core.prompts import Box

_LONG_SIDE = 128  # pixels of the longer side at which floors work; larger parts are scaled down
_MARGIN = 0.25  # of a box's side, looked at around it
_CORE = 0.7  # of a box's half side: the ellipse taken as surely inside; best of 0.3, 0.5, 0.7 on val

Pixels = NDArray[np.float64]
Click = tuple[tuple[float, float], bool]  # (row, column) and whether it is positive


@dataclass(frozen=True, eq=False)
class Scene:
    """The part of a slice a floor works on, and what the prompts say about it.

    Parameters
    ----------
    pixels : (Y, X, C) float64, 0 to 1
        The image.
    inside, outside : (Y, X) bool
        Surely inside and surely outside.
    likely : (Y, X) bool
        A first guess, where the structure may be.
    """

    pixels: Pixels
    inside: Region
    outside: Region
    likely: Region


def part_of(shape: tuple[int, int], box: Box | None) -> tuple[slice, slice]:
    """Rows and columns to look at: all of the slice for clicks, a box with its surroundings."""
    if box is None:
        return slice(0, shape[0]), slice(0, shape[1])
    start, stop = np.array(box.start), np.array(box.stop)
    margin = np.maximum((stop - start) * _MARGIN, 4)
    low = np.clip(np.floor(start - margin), 0, np.array(shape) - 1).astype(int)
    high = np.clip(np.ceil(stop + margin), low + 1, shape).astype(int)
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))


def scene_of(
    pixels: NDArray[Any], corner: tuple[int, int], box: Box | None, clicks: Sequence[Click]
) -> Scene:
    """Scale the part of a slice to work on and mark in it what box and clicks say.

    Parameters
    ----------
    pixels : (rows, columns) or (rows, columns, C)
        The part.
    corner : (row, column)
        Of the slice at which the part begins; box and clicks are in the slice's indices.
    """
    scale = min(1.0, _LONG_SIDE / max(pixels.shape[:2]))
    shape = (max(1, round(pixels.shape[0] * scale)), max(1, round(pixels.shape[1] * scale)))
    image = _unit(resized(pixels.reshape(*pixels.shape[:2], -1).astype(float), shape))
    inside, outside = np.zeros(shape, bool), np.zeros(shape, bool)
    if box is not None:
        start, stop = (np.array(box.start) - corner) * scale, (np.array(box.stop) - corner) * scale
        likely = _filled(shape, start, stop)
        outside |= ~likely
        inside |= ellipse(shape, start, stop, _CORE)
    else:
        outside[[0, -1], :] = outside[:, [0, -1]] = True
        likely = _around([at for at, positive in clicks if positive], corner, scale, shape)
    for at, positive in clicks:
        disc = _disc(shape, (np.array(at) + 0.5 - corner) * scale)
        inside, outside = (inside | disc, outside & ~disc) if positive else (inside & ~disc, outside | disc)
    return Scene(image, inside, outside, (likely | inside) & ~outside)


def _around(
    ats: Sequence[tuple[float, float]], corner: tuple[int, int], scale: float, shape: tuple[int, int]
) -> Region:
    """The first guess for clicks: a rectangle around them, a sixth of the shorter side in each direction."""
    centres, reach = (np.array(ats) + 0.5 - corner) * scale, min(shape) / 6
    return _filled(shape, centres.min(axis=0) - reach, centres.max(axis=0) + reach)


def _unit(pixels: Pixels) -> Pixels:
    """Stretch the values to 0 to 1."""
    low, high = np.percentile(pixels, (0.5, 99.5))
    return np.asarray(np.clip((pixels - low) / max(float(high - low), 1e-9), 0.0, 1.0))


def resized(pixels: Pixels, shape: tuple[int, int]) -> Pixels:
    """Scale (Y, X[, C]) to a shape, smoothing when it shrinks."""
    if pixels.shape[:2] == shape:
        return pixels
    from skimage.transform import resize

    smaller = shape[0] < pixels.shape[0] or shape[1] < pixels.shape[1]
    return np.asarray(resize(pixels, shape, order=1, anti_aliasing=smaller, preserve_range=True))


def _centres(shape: tuple[int, int]) -> tuple[Pixels, Pixels]:
    """Row and column of each pixel's middle, counted from pixel edges."""
    rows, columns = (np.arange(n, dtype=np.float64) + 0.5 for n in shape)
    return rows[:, None], columns[None, :]


def ellipse(shape: tuple[int, int], start: Pixels, stop: Pixels, part: float) -> Region:
    """The ellipse in a rectangle of pixel edges, its half axes times `part`; at least its middle pixel."""
    rows, columns = _centres(shape)
    centre, radii = (start + stop) / 2, np.maximum((stop - start) / 2 * part, 1e-9)
    region = ((rows - centre[0]) / radii[0]) ** 2 + ((columns - centre[1]) / radii[1]) ** 2 <= 1.0
    row, column = np.clip(np.floor(centre), 0, np.array(shape) - 1).astype(int)
    region[row, column] = True
    return np.asarray(region)


def _filled(shape: tuple[int, int], start: Pixels, stop: Pixels) -> Region:
    """The pixels whose middle lies in a rectangle of pixel edges."""
    rows, columns = _centres(shape)
    in_rows, in_columns = (rows >= start[0]) & (rows <= stop[0]), (columns >= start[1]) & (columns <= stop[1])
    return np.asarray(in_rows & in_columns)


def _disc(shape: tuple[int, int], centre: Pixels) -> Region:
    """A small disc about a click, at least its own pixel."""
    radius = np.full(2, max(1.0, 0.012 * min(shape)))
    return ellipse(shape, centre - radius, centre + radius, 1.0)
