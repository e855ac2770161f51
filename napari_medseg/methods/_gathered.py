"""Answers slice by slice, gathered into one proposal."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from napari_medseg.core.geometry import slab
from napari_medseg.core.mask import Region
from napari_medseg.core.request import Alternative, Request, Segmentation
from napari_medseg.methods._follow import Answer

_PARTIAL_EVERY = 8  # slices, more when many are done


class Gathered:
    """The answers to one request so far, laid slice by slice on the part asked for.

    Results made on the way share its arrays, which go on being filled: nothing is copied for them.
    """

    def __init__(self, request: Request, names: list[str]) -> None:
        self.request, self.n, self._told = request, 0, 0
        self.mask = request.mask_of({name: request.region() for name in names})
        self.quality = {name: [0.0] * len(request.slices) for name in names}
        self.interval = {name: [(0.0, 0.0)] * len(request.slices) for name in names}
        self.doubt = np.zeros(request.part.shape, np.float32)
        self.others: tuple[tuple[Region, float], ...] = ()

    def add(self, name: str, index: int, answer: Answer) -> None:
        """Lay one answer on its slice; of several structures the largest doubt is kept."""
        axis, k = self.request.axis, index - self.request.slices[0]
        self.mask = self.mask.put(name, np.expand_dims(answer.region, axis), slab(axis, k, k + 1))
        doubt = np.moveaxis(self.doubt, axis, 0)
        doubt[k] = np.maximum(doubt[k], 1.0 - np.abs(2.0 * answer.probability - 1.0))
        self.quality[name][k], self.interval[name][k] = answer.quality, answer.interval
        self.others = answer.others
        self.n += 1

    def partial(self) -> Segmentation | None:
        """The result so far, now and then: rarely enough that showing it costs little beside the work."""
        if self.n - self._told < max(_PARTIAL_EVERY, self.n // 4):
            return None
        self._told = self.n
        return self.result()

    def result(self, notes: tuple[str, ...] = ()) -> Segmentation:
        """The proposal; readings of a click are offered where one structure on one slice was asked for."""
        request = self.request
        single = len(self.quality) == len(request.slices) == 1
        alternatives = tuple(
            Alternative(request.mask_of({name: np.expand_dims(region, request.axis)}), expected)
            for name in self.quality
            for region, expected in (self.others if single else ())
        )
        quality = {name: tuple(values) for name, values in self.quality.items()}
        said = any(low < high for values in self.interval.values() for low, high in values)
        interval = {name: tuple(values) for name, values in self.interval.items()} if said else {}
        return Segmentation(
            self.mask, request.start, self.doubt, quality, alternatives, notes, interval=interval
        )


def absent(gathered: Gathered, chances: Mapping[str, float]) -> list[str]:
    """A sentence for each structure that was found nowhere, with its chance where the model denies it."""
    where = "on these slices" if len(gathered.request.slices) > 1 else "on this slice"
    found = []
    for name in gathered.mask.names:
        if name in chances and not gathered.mask.of(name).any():
            percent = f"{100 * chances[name]:.0f} %"
            denied = f"; the model gives it a chance of {percent} at most" if chances[name] < 0.5 else ""
            found.append(f"No {name} found {where}{denied}.")
    return found
