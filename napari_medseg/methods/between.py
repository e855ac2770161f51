"""Fill the slices between outlined ones: no model, no image, only shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Region
from napari_medseg.core.model import Model
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.prompts import MaskPrompt
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.settings import setting
from napari_medseg.core.volume import Volume
from napari_medseg.imaging.between import fill_between
from napari_medseg.methods._decided import accepted

TITLE = "Fill between slices"
WAY = "automatic"
NETWORK = ""
HELP = "Outline some slices of a plane; the slices between them are filled, without looking at the image."
ALL, ACCEPTED = "all outlined slices", "accepted slices only"


@dataclass(frozen=True)
class Settings:
    """Which slices are taken as given."""

    given: str = setting(
        ALL,
        "Fill between",
        choices=(ALL, ACCEPTED),
        help="with accepted slices only, what was filled before is filled anew",
    )


class Between:
    """Shapes interpolated from slice to slice."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def prepare(self, volume: Volume, plane: Plane, slices: tuple[int, ...]) -> Job[None]:
        """Nothing is slow here."""
        yield Progress(1.0, "Ready")

    def segment(self, request: Request) -> Job[Segmentation]:
        """Keep the outlined slices and fill the gaps between them, structure by structure.

        Raises
        ------
        TaskError
            If no structure leaves a gap between two outlined slices, or slices are not evenly spaced.
        """
        if not request.volume.geometry.regular:
            raise TaskError("These slices are not evenly spaced, so what lies between cannot be filled in.")
        regions: dict[str, Region] = {}
        notes = []
        n_filled = 0
        for number, name in enumerate(request.wanted):
            given = self._given(request, name)
            outlined = [index for index, region in given.items() if region.any()]
            if len(outlined) == 1:
                notes.append(f"{name}: only {request.plane} slice {outlined[0]} is outlined; two are needed.")
            if len(outlined) < 2:
                continue
            regions[name] = request.region()
            for part in _lay(request, regions[name], given):
                n_filled += 1
                yield Progress((number + part) / len(request.wanted), f"{name}: filling between slices")
        if not n_filled:
            raise TaskError(
                f"There is no gap to fill here: outline a structure on two {request.plane} slices with "
                "others between them."
            )
        yield Progress(1.0, "Filled")
        return Segmentation(request.mask_of(regions), request.start, notes=tuple(notes))

    def _given(self, request: Request, name: str) -> dict[int, Region]:
        """Slices that are taken as they are: accepted ones, empty or not, and others that are outlined."""
        sure = accepted(request, name)
        if self.settings.given == ACCEPTED:
            return sure
        drawn = {
            p.index: p.region
            for p in request.prompts
            if isinstance(p, MaskPrompt) and (p.structure, p.plane) == (name, request.plane)
        }
        before = request.previous
        if before is not None and name in before.names:
            n = request.volume.n_slices(request.plane)
            every = ((i, before.on_slice(name, request.plane, i)) for i in range(n))
            drawn |= {i: region for i, region in every if region.any()}
        return drawn | sure


def _lay(request: Request, part: Region, given: Mapping[int, Region]) -> Iterator[float]:
    """Lay given and filled slices on the part asked for; yields how far it is after each one filled."""
    first, last = request.slices[0], request.slices[-1]
    low = max((i for i in given if i <= first), default=first)
    high = min((i for i in given if i >= last), default=last)
    near = {i: region for i, region in given.items() if low <= i <= high}
    rows, columns = (s for axis, s in enumerate(request.volume.geometry.spacing) if axis != request.axis)
    slices = np.moveaxis(part, request.axis, 0)
    for index, region in near.items():
        if index in request.slices:
            slices[index - first] = region
    for index, region in fill_between(near, (rows, columns)):
        if index in request.slices:
            slices[index - first] = region
            yield (index - first + 1) / len(request.slices)


def build(settings: Settings, model: Model | None, device: str) -> Between:
    """Make the method; it needs neither model nor device."""
    return Between(settings)
