"""Outline what is brighter, or darker, than a grey value: no model, no waiting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Region
from napari_medseg.core.model import Model
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.prompts import Box, Point, Prompt, in_plane
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.settings import setting
from napari_medseg.core.volume import Volume

TITLE = "Threshold"
WAY = "prompt"
NETWORK = ""
HELP = "Everything brighter or darker than a value; a click keeps the part under it, a box what is inside."


@dataclass(frozen=True)
class Settings:
    """Which grey values belong to the structure."""

    rule: str = setting(
        "Otsu", "Choose values by", choices=("Otsu", "range"), help="Otsu finds the value itself"
    )
    bright: bool = setting(True, "Bright structure", help="for Otsu: above the value, else below")
    low: float = setting(100.0, "From", low=-1e6, high=1e6, help="for a range, in the image's own units")
    high: float = setting(1000.0, "To", low=-1e6, high=1e6, help="for a range, in the image's own units")
    fill: bool = setting(True, "Fill holes")


class Threshold:
    """Threshold with the parts chosen by prompts."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def prepare(self, volume: Volume, plane: Plane, slices: tuple[int, ...]) -> Job[None]:
        """Nothing is slow here."""
        yield Progress(1.0, "Ready")

    def segment(self, request: Request) -> Job[Segmentation]:
        """Threshold every slice asked for and keep the parts the prompts choose."""
        regions = {name: request.region() for name in request.wanted}
        for done, index in enumerate(request.slices):
            grey = _grey(request.volume, request.plane, index)
            for name, region in regions.items():
                prompts = request.prompts_on(name, index)
                part = self._threshold(grey, prompts)
                np.moveaxis(region, request.axis, 0)[done] = _chosen(part, prompts, request.axis)
            yield Progress((done + 1) / len(request.slices), f"Slice {index}")
        return Segmentation(request.mask_of(regions), request.start)

    def _threshold(self, grey: NDArray[np.float32], prompts: tuple[Prompt, ...]) -> Region:
        """Pixels (rows, columns) whose value belongs to the structure; Otsu looks only inside a box."""
        from skimage.filters import threshold_otsu

        settings = self.settings
        if settings.rule == "range":
            part = (grey >= settings.low) & (grey <= settings.high)
        else:
            boxes = [_box_part(p, grey.shape) for p in prompts if isinstance(p, Box)]
            values = grey[boxes[-1]] if boxes and grey[boxes[-1]].size else grey
            if values.min() == values.max():
                return np.zeros(grey.shape, bool)
            value = threshold_otsu(values)
            part = grey > value if settings.bright else grey <= value
        return np.asarray(ndimage.binary_fill_holes(part)) if settings.fill else np.asarray(part)


def _grey(volume: Volume, plane: Plane, index: int) -> NDArray[np.float32]:
    """One slice as grey values; colours are averaged."""
    values = np.nan_to_num(volume.slice(plane, index).astype(np.float32))
    return values if values.ndim == 2 else values.mean(axis=2, dtype=np.float32)


def _box_part(box: Box, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The whole pixels of a box, cut to the slice."""
    edges = [
        (max(0, int(a)), min(n, int(np.ceil(b)))) for a, b, n in zip(box.start, box.stop, shape, strict=True)
    ]
    return slice(*edges[0]), slice(*edges[1])


def _chosen(part: Region, prompts: tuple[Prompt, ...], axis: int) -> Region:
    """Keep what lies in a box and, where there are clicks, the pieces under the positive ones only."""
    for box in (p for p in prompts if isinstance(p, Box)):
        inside = np.zeros_like(part)
        inside[_box_part(box, part.shape)] = True
        part = part & inside
    points = [p for p in prompts if isinstance(p, Point)]
    if not points:
        return part
    pieces, _ = ndimage.label(part)
    under: dict[bool, set[int]] = {True: set(), False: set()}
    for point in points:
        row, column = (int(round(value)) for value in in_plane(point.at, axis))
        if 0 <= row < part.shape[0] and 0 <= column < part.shape[1]:
            under[point.positive].add(int(pieces[row, column]))
    keep = (under[True] or set(np.unique(pieces).tolist())) - under[False] - {0}
    return np.isin(pieces, list(keep))


def build(settings: Settings, model: Model | None, device: str) -> Threshold:
    """Make the method; it needs neither model nor device."""
    return Threshold(settings)
