"""What the prompts on one slice amount to, for methods that are pointed at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_medseg.core.mask import Region
from napari_medseg.core.prompts import Box, Lasso, MaskPrompt, Point, Prompt, Scribble, in_plane
from napari_medseg.imaging.prepare import Frame, Span

_ALONG = 8  # points taken along a scribble
_MARGIN = 1.6  # the frame around a structure, in its own lengths
_GRID = 16  # closer frames begin and end on this grid, so that the next click finds them prepared


@dataclass(frozen=True, eq=False)
class Pointed:
    """Everything pointed at on one slice, in slice pixels.

    Parameters
    ----------
    shape : (rows, columns)
        Of the slice.
    points : (N, 2)
        (row, column) counted from pixel edges, so that the middle of the first pixel is 0.5.
    positive : (N,)
        Whether each lies inside the structure.
    box : (top, left, bottom, right) or None
        Pixel edges.
    previous : (rows, columns) bool or None
        The mask so far, or a first guess.
    cut_away : (rows, columns) bool or None
        What a lasso took away.
    """

    shape: tuple[int, int]
    points: NDArray[np.float64]
    positive: NDArray[np.bool_]
    box: Span | None = None
    previous: Region | None = None
    cut_away: Region | None = None

    @property
    def is_one_click(self) -> bool:
        """A single positive click says little: several structures may be meant."""
        return len(self.points) == 1 and bool(self.positive[0]) and self.box is None and self.previous is None

    def without_cut_away(self, region: Region) -> Region:
        """Take away what a lasso excluded."""
        return region if self.cut_away is None else region & ~self.cut_away

    def on_canvas(self, frame: Frame) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
        """Points (N, 2) as (x, y), labels (N,), previous mask (S/4, S/4), as the network reads them."""
        points = [frame.to_canvas(self.points)[:, ::-1]] if len(self.points) else []
        labels = self.positive.astype(np.int64).tolist()
        if self.box is not None:
            corners = np.array([self.box[:2], self.box[2:]], np.float64)
            points.append(np.clip(frame.to_canvas(corners), 0, frame.long_side)[:, ::-1])
            labels += [2, 3]
        quarter = frame.long_side // 4
        map_so_far = np.zeros((quarter, quarter), np.float32)
        if self.previous is not None:
            cover = frame.place(self.previous.astype(np.uint8) * 255).astype(np.float32) / 255
            cover = cover.reshape(quarter, 4, quarter, 4).mean((1, 3))
            map_so_far = 2 * cover - 1
        if not points:
            return np.zeros((1, 2), np.float32), np.array([-1]), map_so_far
        return np.concatenate(points).astype(np.float32), np.array(labels), map_so_far


def pointed(
    prompts: tuple[Prompt, ...], axis: int, shape: tuple[int, int], previous: Region | None
) -> Pointed:
    """Gather the prompts on one slice of the plane counted along `axis`."""
    points: list[tuple[float, float]] = []
    positive: list[bool] = []
    box: Span | None = None
    cut_away: Region | None = None
    for prompt in prompts:
        if isinstance(prompt, Point):
            row, column = in_plane(prompt.at, axis)
            points.append((row + 0.5, column + 0.5))
            positive.append(prompt.positive)
        elif isinstance(prompt, Scribble):
            chosen = np.linspace(0, len(prompt.path) - 1, min(_ALONG, len(prompt.path))).astype(int)
            points += [(float(r) + 0.5, float(c) + 0.5) for r, c in np.asarray(prompt.path)[chosen]]
            positive += [prompt.positive] * len(chosen)
        elif isinstance(prompt, Box):
            box = (*prompt.start, *prompt.stop)
        elif isinstance(prompt, MaskPrompt):
            previous = prompt.region
        elif isinstance(prompt, Lasso):
            region = _inside_lasso(prompt, shape)
            if prompt.positive:
                previous = region if previous is None else previous | region
            else:
                cut_away = region if cut_away is None else cut_away | region
    where = np.array(points, np.float64).reshape(-1, 2)
    return Pointed(shape, where, np.array(positive, bool), box, previous, cut_away)


def span_around(what: Pointed, shape: tuple[int, int], most: float) -> Span | None:
    """The part of a slice around a small structure, or None where the whole slice should be looked at.

    Parameters
    ----------
    most : float
        A part longer than this share of the slice is not worth a closer look.
    """
    edges = []
    if what.previous is not None and what.previous.any():
        rows, columns = np.flatnonzero(what.previous.any(1)), np.flatnonzero(what.previous.any(0))
        edges += [(rows[0], columns[0]), (rows[-1] + 1, columns[-1] + 1)]
    if what.box is not None:
        edges += [what.box[:2], what.box[2:]]
    if not edges:
        return None
    edges += [(float(r), float(c)) for r, c in what.points]
    low, high = np.min(edges, axis=0), np.max(edges, axis=0)
    side = max(_MARGIN * float(max(high - low)), 2.0 * _GRID)
    if side > most * max(shape) * _MARGIN:
        return None
    middle = (low + high) / 2
    top, left = (max(0, int((m - side / 2) // _GRID) * _GRID) for m in middle)
    bottom, right = (
        min(n, int(-(-(m + side / 2) // _GRID)) * _GRID) for m, n in zip(middle, shape, strict=True)
    )
    return (float(top), float(left), float(bottom), float(right))


def keep_prompted(region: Region, what: Pointed) -> Region:
    """Keep the pieces under positive clicks; without clicks, those that touch the box or the mask so far."""
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    if not len(rows):
        return region
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)  # the rest would only cost time
    pieces, n = ndimage.label(region[part])
    if n < 2:
        return region
    at = np.floor(what.points[what.positive]).astype(int) - (rows[0], columns[0])
    row, column = at[((at >= 0) & (at < pieces.shape)).all(1)].T
    wanted = np.setdiff1d(pieces[row, column], 0)
    if not len(wanted):
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        wanted = np.flatnonzero(sizes >= 0.1 * sizes.max())
    kept = np.zeros_like(region)
    kept[part] = np.isin(pieces, wanted)
    return kept


def _inside_lasso(lasso: Lasso, shape: tuple[int, int]) -> Region:
    """Pixels inside a closed outline."""
    from skimage.draw import polygon2mask

    return np.asarray(polygon2mask(shape, np.asarray(lasso.path, np.float64))) > 0
