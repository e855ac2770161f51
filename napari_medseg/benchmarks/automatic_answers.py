"""Asking the automatic methods: for what an image shows, and for what it cannot show."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_medseg.benchmarks.automatic_arms import Arm
from napari_medseg.benchmarks.harness import Row, Unit, random_of
from napari_medseg.core.mask import Mask, Region
from napari_medseg.core.metrics import score
from napari_medseg.core.progress import finish
from napari_medseg.core.request import Request
from napari_medseg.core.task import Task, task_of
from napari_medseg.core.volume import Volume
from napari_medseg.learning.data import Dataset
from napari_medseg.learning.labelled import may_show
from napari_medseg.learning.prompting import ASKED, SMALLEST, Target, box_of

if TYPE_CHECKING:
    from napari_medseg.benchmarks.automatic_arms import Loader
    from napari_medseg.methods import Method

AUTOMATIC, FOREIGN = "automatic", "another task's image"
_AT_HAND = 12  # networks kept in memory


@dataclass(frozen=True, eq=False)
class Piece:
    """One arm's answer about one image for one task, which may not be the image's own."""

    unit: Unit
    task: Task
    arm: Arm
    version: str
    load: Loader

    @property
    def key(self) -> str:
        """The image, the task, the arm and its weights."""
        return f"{self.unit.key} for {self.task.slug} @ {self.arm.name} @ {self.version}"


def pieces_of(units: Sequence[Unit], datasets: Sequence[Dataset], arms: Sequence[Arm]) -> list[Piece]:
    """Image by image, what every arm that can is asked; those with a box only for what is there."""
    found = []
    for unit in units:
        foreign = foreign_task(unit, datasets)
        for task in (unit.dataset.task, *([foreign] if foreign else [])):
            for arm in arms:
                known = None if arm.boxed and task is foreign else arm.of(task.slug)
                if known is not None:
                    found.append(Piece(unit, task, arm, *known))
    return found


def foreign_task(unit: Unit, datasets: Sequence[Dataset]) -> Task | None:
    """A task whose structures an image cannot show, drawn by the image's name; None where there is none."""
    own = unit.dataset.task
    among = [one.task for one in datasets if not may_show(one.task, own)]
    return among[int(random_of(0, unit.key).integers(len(among)))] if among else None


class Desk:
    """Does pieces; the last image and the networks used last stay at hand."""

    def __init__(self) -> None:
        self._unit: Unit | None = None
        self._read: tuple[Volume, Mask] | None = None
        self._loaded = lru_cache(maxsize=_AT_HAND)(self._load)
        self._loaders: dict[tuple[str, str], Loader] = {}

    def do(self, piece: Piece) -> list[Row]:
        """Let one arm answer."""
        if self._unit is not piece.unit or self._read is None:
            volume = piece.unit.item.volume()
            self._unit, self._read = piece.unit, (volume, piece.unit.item.mask(volume))
        volume, truth = self._read
        known = piece.arm.name, piece.version
        self._loaders[known] = piece.load
        method = self._loaded(known)
        if piece.task.slug != piece.unit.dataset.name:
            return _foreign(piece, method, volume)
        return _own(piece, method, volume, truth)

    def _load(self, known: tuple[str, str]) -> Method:
        return self._loaders[known]()


def _own(piece: Piece, method: Method, volume: Volume, truth: Mask) -> list[Row]:
    """Every structure of an image's own task, of a volume in 3-D; those absent are asked for as well."""
    start = time.perf_counter()
    if piece.arm.boxed:
        found = {
            name: _by_boxes(piece, method, volume, name, truth.of(name))
            for name in piece.task.structure_names
        }
    else:
        found = _outlined(
            method, volume, piece.task, tuple(range(volume.n_slices(volume.geometry.native_plane)))
        )
    seconds = time.perf_counter() - start
    rows = []
    for name, answer in found.items():
        row = _row_of(piece, name, f"{piece.unit.key}/{name}")
        rows.append(_scored(row, AUTOMATIC, answer, truth.of(name), volume, seconds, not piece.arm.boxed))
    return rows


def _foreign(piece: Piece, method: Method, volume: Volume) -> list[Row]:
    """Every structure of another task, on the middle slice."""
    middle = volume.n_slices(volume.geometry.native_plane) // 2
    start = time.perf_counter()
    found = _outlined(method, volume, piece.task, (middle,))
    seconds = time.perf_counter() - start
    rows = []
    for name, answer in found.items():
        row = _row_of(piece, name, f"{piece.unit.key}/{piece.task.slug}/{name}")
        rows.append(_scored(row, FOREIGN, answer, np.zeros_like(answer), volume, seconds, True))
    return rows


def _row_of(piece: Piece, structure: str, target: str) -> Callable[..., Row]:
    item = piece.unit.item
    where = piece.unit.dataset.name, item.image.name, item.group, structure, target
    return lambda part, *scores, **more: Row(*where, part, piece.arm.name, *scores, **more)


def _scored(
    row: Callable[..., Row],
    part: str,
    answer: Region,
    truth: Region,
    volume: Volume,
    seconds: float,
    unaided: bool,
) -> Row:
    """One structure, scored; `row` knows the rest. The false area is over that of the image."""
    flat = answer.shape[0] == 1
    one, two = (answer[0], truth[0]) if flat else (answer, truth)
    found = score(one, two, volume.geometry.spacing[1:] if flat else volume.geometry.spacing)
    false_area = found.false_positive if unaided and not two.any() else None
    scores = found.dice, found.surface_dice, found.hd95, seconds
    return row(part, *scores, false_area=false_area)


def _outlined(method: Method, volume: Volume, task: Task, slices: tuple[int, ...]) -> dict[str, Region]:
    """What a method outlines by itself: structure to (Z, Y, X) bool, stored slices first."""
    from napari_medseg import workflow

    plane = volume.geometry.native_plane
    answer = finish(workflow.segment(method, Request(volume, plane, slices, task)))
    return {name: answer.mask.of(name) for name in task.structure_names}


def _by_boxes(piece: Piece, method: Method, volume: Volume, name: str, truth: Region) -> Region:
    """A structure put together from the answers to a box around each of its parts, one at a time.

    Parts of fewer than 50 pixels are not pointed at, unless a slice has no larger one.
    """
    from napari_medseg import workflow

    named = piece.arm.name != "sam_box"  # SAM is told no name
    task = piece.task if named else task_of("benchmark", (ASKED,))
    asked = name if named else ASKED
    plane, found = volume.geometry.native_plane, np.zeros_like(truth)
    for index in np.flatnonzero(truth.any((1, 2))).tolist():
        for number, part in enumerate(_parts(truth[index])):
            key = f"{piece.unit.key}/{name}/{index}/{number}"
            box = replace(box_of(Target(name, plane, index, part, key)), structure=asked)
            answer = finish(workflow.segment(method, Request(volume, plane, (index,), task, (box,))))
            found[index] |= answer.mask.of(asked)[0]
    return found


def _parts(region: Region) -> list[Region]:
    """The connected parts of an outline worth a box."""
    labels, n = ndimage.label(region)
    sizes = np.bincount(labels.ravel(), minlength=n + 1)[1:]
    worth = np.flatnonzero(sizes >= min(SMALLEST, int(sizes.max())))
    return [np.asarray(labels == number + 1) for number in worth]
