"""What trained rivals learn from, and how they are asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_medseg.core.geometry import Plane
from napari_medseg.core.model import Preparation
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.task import Task
from napari_medseg.core.volume import Volume
from napari_medseg.learning.data import Dataset
from napari_medseg.learning.labelled import Labelled, labelled_dataset
from napari_medseg.methods._automatic import Automatic, AutomaticSettings, known_task

if TYPE_CHECKING:
    from torch import Tensor, nn

PREPARATION = Preparation(long_side=256)
_MOST_LOOKED_AT = 48  # slices of the validation split


@dataclass(frozen=True, eq=False)
class Rival:
    """A network to be trained: how it is built, and how it answers normalised images.

    Parameters
    ----------
    network : callable
        Number of structures to what is learnt.
    logits : callable
        What is learnt and images (B, 3, S, S) to logits (B, K, S, S).
    """

    network: Callable[[int], nn.Module]
    logits: Callable[[nn.Module, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Material:
    """One task with what is learnt from and what the weights are chosen on."""

    task: Task
    train: Sequence[Labelled]
    val: Sequence[Labelled]


def read_material(datasets: Sequence[Dataset], preparation: Preparation = PREPARATION) -> Job[list[Material]]:
    """Read the train and the validation split of some sets."""
    found = []
    for dataset in datasets:
        train = yield from labelled_dataset(dataset, "train", PREPARATION)
        val = yield from labelled_dataset(dataset, "val", PREPARATION)
        kept = np.linspace(0, len(val) - 1, min(len(val), max(2, _MOST_LOOKED_AT // len(datasets))))
        found.append(Material(dataset.task, train, [val[round(i)] for i in kept]))
    return found


def rows_of(tasks: Sequence[Task]) -> dict[str, list[int]]:
    """Which of a network's outputs belong to which task, in the order in which the tasks are given."""
    rows, first = {}, 0
    for task in tasks:
        rows[task.slug] = list(range(first, first + len(task.structures)))
        first += len(task.structures)
    return rows


class RivalMethod:
    """A trained rival as a method, prepared, cut and freed of specks as our own; it foretells no absence."""

    def __init__(
        self,
        rival: Rival,
        network: nn.Module,
        tasks: Sequence[Task],
        rows: Mapping[str, list[int]],
        device: str,
    ) -> None:
        self.rival, self.network, self.rows = rival, network, rows
        self.names = {task.slug: task.structure_names for task in tasks}
        self.runs = Automatic((network,), PREPARATION, device, AutomaticSettings())

    def prepare(self, volume: Volume, plane: Plane, slices: tuple[int, ...]) -> Job[None]:
        """Nothing can be done before the task is known."""
        yield Progress(1.0, "Ready")

    def segment(self, request: Request) -> Job[Segmentation]:
        """Outline a task's structures on every slice asked for; TaskError where it was not trained for it."""
        slug = known_task(request, self.names, "rival")

        def outline(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            logits = self.rival.logits(self.network, images)[:, self.rows[slug]]
            sure = logits.new_ones(logits.shape[:2])
            return logits, sure, sure

        return (yield from self.runs.answer(request, self.names[slug], outline))
