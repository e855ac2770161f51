"""Repairs of the outline on the slice on screen, by name; each counts as a person's own stroke."""

from __future__ import annotations

from collections.abc import Callable

from napari_medseg.core.mask import Region
from napari_medseg.imaging import edit

Spacing = tuple[float, ...]
_SPECK = 10  # pixels of the smallest piece worth keeping

TIDY: dict[str, Callable[[Region, Spacing], Region]] = {
    "Fill holes": lambda region, _: edit.fill_holes(region),
    "Keep the largest piece": lambda region, _: edit.keep_largest(region),
    "Remove specks": lambda region, pixel: edit.remove_islands(region, _SPECK * pixel[0] * pixel[1], pixel),
    "Smooth": lambda region, pixel: edit.smooth(region, 5 * max(pixel), pixel),
    "Grow by a pixel": lambda region, pixel: edit.grow(region, max(pixel), pixel),
    "Shrink by a pixel": lambda region, pixel: edit.shrink(region, max(pixel), pixel),
}
