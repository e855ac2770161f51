"""What a person is told about examples: where they differ from an image, which slice to annotate first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.geometry import Plane
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.request import Example
from napari_medseg.core.task import Task
from napari_medseg.core.volume import Volume

MOST_LOOKED_AT = 24  # slices of a volume
_SAME_PIXEL = 1.1  # times another pixel size that is as good as the same


@runtime_checkable
class Describes(Protocol):
    """A method that sees slices as numbers, near each other for slices that look alike."""

    def describe(self, volume: Volume, plane: Plane, slices: tuple[int, ...]) -> Job[NDArray[Any]]:
        """Features (N, F) of some slices."""


def suggest_slice(method: Describes, volume: Volume, plane: Plane) -> Job[int]:
    """Choose the slice to annotate first: the one most like all others, of at most 24 evenly spaced ones."""
    n = volume.n_slices(plane)
    evenly = np.linspace(0, n - 1, min(n, MOST_LOOKED_AT))
    slices = tuple(sorted({round(float(index)) for index in evenly}))
    yield Progress(0.0, "Looking for the slice to annotate first")
    features = yield from method.describe(volume, plane, slices)
    return slices[medoid(features)]


def medoid(features: NDArray[Any]) -> int:
    """Which of several descriptions (N, F) has the smallest mean distance to the others."""
    features = np.asarray(features, np.float64)
    apart = np.linalg.norm(features[:, None] - features[None], axis=2)  # (N, N)
    return int(apart.mean(axis=1).argmin())


def likeness(task: Task, volume: Volume) -> int:
    """How much an image is like those of a task: 2 in modality and region, 1 in modality, else 0."""
    if not volume.modality or _other_kind(task.modality or task.slug.replace("_", " "), volume.modality):
        return 0
    regions = set(_words(task.anatomy or task.slug.replace("_", " "))) & set(_words(volume.anatomy))
    return 2 if regions else 1


def unlike(examples: Sequence[Example], volume: Volume) -> tuple[str, ...]:
    """Say where examples differ from the image that is outlined, in pixel size, size or modality."""
    notes = []
    pixels = sum(_other_pixel(example.volume, volume) for example in examples)
    sizes = sum(_other_size(example.volume, volume) for example in examples)
    kinds = {e.volume.modality for e in examples if _other_kind(e.volume.modality, volume.modality)}
    for n, what in ((pixels, "pixel size"), (sizes, "picture size")):
        if n:
            has, scaled = ("has", "it is") if n == 1 else ("have", "they are")
            notes.append(f"{_counted(n, len(examples))} {has} another {what}; {scaled} scaled.")
    if kinds:
        n = sum(e.volume.modality in kinds for e in examples)
        shows = "is" if n == 1 else "are"
        told = f"({', '.join(sorted(kinds))}, not {volume.modality})"
        notes.append(f"{_counted(n, len(examples))} {shows} of another modality {told}; look closely.")
    return tuple(notes)


def _counted(n: int, n_all: int) -> str:
    """How many examples of all, as a sentence begins."""
    if n == n_all:
        return "The example" if n == 1 else f"All {n} examples"
    return f"{n} of {n_all} examples"


def _other_pixel(example: Volume, volume: Volume) -> bool:
    """Whether both know their pixels' size in mm, and the sizes differ."""
    one, other = example.geometry, volume.geometry
    if not (one.spacing_known and other.spacing_known):
        return False
    ratios = [_pixel(one)[i] / _pixel(other)[i] for i in (0, 1)]
    return any(max(ratio, 1 / ratio) > _SAME_PIXEL for ratio in ratios)


def _other_size(example: Volume, volume: Volume) -> bool:
    """Whether pictures of unknown pixel size differ in their number of pixels."""
    known = example.geometry.spacing_known and volume.geometry.spacing_known
    return not known and example.geometry.shape[1:] != volume.geometry.shape[1:]


def _pixel(geometry: Any) -> tuple[float, float]:
    """Pixel size in the plane of the stored slices."""
    _, rows, columns = geometry.spacing
    return float(rows), float(columns)


def _other_kind(one: str, other: str) -> bool:
    """Whether two modalities, in DICOM's or other words, differ; unknown ones do not."""
    if not one or not other:
        return False
    words, others = (set(_words(kind)) for kind in (one, other))
    return not words & others


def _words(kind: str) -> list[str]:
    """The words of a modality, DICOM's abbreviations written out."""
    written = {"us": "ultrasound", "cr": "x-ray", "dx": "x-ray", "mg": "mammography"}
    written |= {"mri": "mr", "op": "fundus", "cxr": "x-ray", "mammo": "mammography"}
    return [written.get(word, word) for word in kind.split("(")[0].casefold().split()]
