"""An automatic method that knows the truth about the phantom, for tests of what the panel makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event

import numpy as np
from scipy.ndimage import binary_erosion

from napari_medseg import workflow
from napari_medseg.core.likeness import FOREIGN
from napari_medseg.core.progress import Progress
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.settings import setting
from napari_medseg.methods import Entry

NAME, TITLE = "seer", "All structures"


class Held:
    """Holds a run at a slice until a test lets it go on."""

    def __init__(self) -> None:
        self.at: int | None = None
        self.reached, self.go_on = Event(), Event()

    def pause(self, n: int) -> None:
        """Called before each slice, on the thread that works."""
        if n == self.at:
            self.reached.set()
            assert self.go_on.wait(100)


@dataclass(frozen=True)
class Settings:
    """One number, so that the form has something to show."""

    level: int = setting(3, "Level", low=0, high=9)


class Seer:
    """Answers with the truth, slice by slice, and says which slices it trusts least."""

    def __init__(self, truth: Mapping[str, np.ndarray], pause: Callable[[int], None], foreign: bool) -> None:
        self.truth, self.pause, self.foreign = truth, pause, foreign
        self.requests: list[Request] = []

    def prepare(self, _volume, _plane, slices):
        """Nothing is slow here."""
        for n, _ in enumerate(slices):
            yield Progress((n + 1) / len(slices), "Looking")

    def segment(self, request: Request):
        """The truth, with doubt along its edge; the expected Dice falls from slice to slice."""
        self.requests.append(request)
        wanted = request.task.structure_names
        regions = {name: request.region() for name in wanted}
        for n, index in enumerate(request.slices):
            self.pause(n)
            for name in set(wanted) & set(self.truth):
                slices = np.moveaxis(regions[name], request.axis, 0)
                slices[n] = np.moveaxis(self.truth[name], request.axis, 0)[index]
            yield Progress((n + 1) / len(request.slices), f"Slice {index}", self.answer(request, regions))
        return self.answer(request, regions)

    def answer(self, request: Request, regions: Mapping[str, np.ndarray]) -> Segmentation:
        """What is found so far."""
        edges = [region & ~binary_erosion(region) for region in regions.values()]
        notes = [f"No {name} found on these slices." for name, region in regions.items() if not region.any()]
        return Segmentation(
            request.mask_of(regions),
            request.start,
            uncertainty=np.logical_or.reduce(edges).astype(np.float32),
            quality={name: tuple(0.9 - 0.03 * i for i in request.slices) for name in regions},
            notes=(*notes, *((FOREIGN,) if self.foreign else ())),
        )


def entry(seer: Seer) -> Entry:
    """Its line of the menu."""
    help_ = "Outlines everything in the phantom."
    return Entry(NAME, TITLE, "automatic", help_, "sam", Settings, lambda settings, model, device: seer)


def install(monkeypatch, truth: Mapping[str, np.ndarray], foreign: bool = False) -> tuple[Seer, Held]:
    """Put it on the menu, to be held at a slice where a test says so."""
    held = Held()
    seer = Seer(truth, held.pause, foreign)
    monkeypatch.setitem(workflow.menu(), NAME, entry(seer))
    return seer, held
