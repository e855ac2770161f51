"""A small method of way "examples", for tests of what stands around such methods."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from PIL import Image

from napari_medseg import methods
from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Mask
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.settings import setting
from napari_medseg.core.volume import Volume


@dataclass(frozen=True)
class Settings:
    samples: int = setting(1, "Readings averaged", low=1, high=16)


class Lookalike:
    """Outlines what is about as bright as the structure is in the examples."""

    def __init__(self, settings: Settings, asked: list[Request]) -> None:
        self.settings, self.asked = settings, asked

    def prepare(self, volume: Volume, plane: Plane, slices: tuple[int, ...]) -> Job[None]:
        yield Progress(1.0, "Ready")

    def describe(self, volume: Volume, plane: Plane, slices: tuple[int, ...]) -> Job[Any]:
        yield Progress(0.5, f"Looking at slice {slices[0]}")
        return np.array([[volume.slice(plane, index).mean()] for index in slices])

    def segment(self, request: Request) -> Job[Segmentation]:
        self.asked.append(request)
        levels = {name: _levels(request, name) for name in request.wanted}
        levels = {name: values for name, values in levels.items() if len(values)}
        if not levels:
            raise TaskError("There is no example to go by; annotate a slice first.")
        regions = {}
        for name, values in levels.items():
            low, high = np.percentile(values, (2, 98))
            regions[name] = (request.volume.array[request.where] >= low) & (
                request.volume.array[request.where] <= high
            )
            yield Progress(
                0.5,
                f"{name}: slice {request.slices[0]}",
                Segmentation(request.mask_of(regions), request.start),
            )
        quality = {name: (0.9,) * len(request.slices) for name in regions}
        return Segmentation(request.mask_of(regions), request.start, quality=quality)


def _levels(request: Request, name: str) -> Any:
    """Grey values of a structure on the slices that teach."""
    found = [np.empty(0)]
    for example in request.examples:
        for plane, indices in example.mask.reviewed.items():
            for index in indices if name in example.mask.names else ():
                found.append(example.volume.slice(plane, index)[example.mask.on_slice(name, plane, index)])
    return np.concatenate(found)


def install(monkeypatch: Any) -> list[Request]:
    """Put it on the menu; what it is asked is listed."""
    asked: list[Request] = []
    entry = methods.Entry(
        "lookalike", "Lookalike", "examples", "Outlines what looks alike.", "", Settings,
        lambda settings, model, device: Lookalike(settings, asked),
    )  # fmt: skip
    menu = {**methods.menu(), "lookalike": entry}
    monkeypatch.setattr(methods, "menu", lambda: menu)
    return asked


def write_picture(folder: Path, name: str, values: Any, labels: Any = None) -> None:
    """Write a picture, and its label map where it has one."""
    for part, array in (("images", values), ("masks", labels)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        if array is not None:
            Image.fromarray(np.asarray(array, np.uint8)).save(folder / part / f"{name}.png")


def write_volume(folder: Path, name: str, volume: Volume, mask: Mask | None) -> None:
    """Write a volume as nibabel does, and the flat label map of its mask; the grid is RAS on disk."""
    affine = np.diag([-1, -1, 1, 1]) @ volume.geometry.affine[:, [2, 1, 0, 3]]
    parts = {"images": volume.array, "masks": mask.flat().astype(np.uint8) if mask else None}
    for part, array in parts.items():
        (folder / part).mkdir(parents=True, exist_ok=True)
        if array is not None:
            nibabel.save(nibabel.Nifti1Image(array.T, affine), folder / part / f"{name}.nii.gz")
