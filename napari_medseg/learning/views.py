"""Pictures as a frozen encoder sees them, each a few times moved and recoloured, kept on disk in halves."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_medseg.core.errors import TaskError
from napari_medseg.core.model import Preparation
from napari_medseg.core.task import Task
from napari_medseg.learning.augment import freedom, grids, moved, recolour
from napari_medseg.learning.labelled import Labelled
from napari_medseg.networks.official import OfficialSam
from napari_medseg.networks.sam import CompactSam
from napari_medseg.networks.sam_decoder import Encoded

Random = np.random.Generator
_AT_ONCE = 8
_CLOSER = 0.25  # share of the moved pictures that are looked at from closer
_SMALLEST = 24  # pixels of the canvas along a side of such a picture
_HALF = 65504.0  # the largest value of half precision


@dataclass(frozen=True, eq=False)
class View:
    """One encoded picture and what is outlined on it.

    Parameters
    ----------
    slug : str
        Its task.
    place : int
        Its row in the file.
    packed : (K, S, S / 8) uint8
        Bits of the outlines, in the order of the task's structures.
    known : (K,) bool
        Structures whose truth is known.
    """

    slug: str
    place: int
    packed: NDArray[np.uint8]
    known: NDArray[np.bool_]

    def regions(self) -> NDArray[np.bool_]:
        """The outlines, (K, S, S)."""
        return np.unpackbits(self.packed, axis=-1).astype(bool)


class Views:
    """Encoded pictures of some tasks in a memory-mapped file.

    Parameters
    ----------
    file : Path
        Made anew.
    tasks : sequence
        Each task with its slices.
    most : int
        Views of a small task, its slices up to eight times, each time otherwise; large ones get up to three
        times as many.
    early : bool
        Whether the encoder's first level is kept as well.
    most_bytes : int
        Of the file.

    Raises
    ------
    TaskError
        If a task has no slice.
    """

    def __init__(
        self,
        file: Path,
        tasks: Sequence[tuple[Task, Sequence[Labelled]]],
        sam: CompactSam | OfficialSam,
        preparation: Preparation,
        random: Random,
        *,
        most: int,
        early: bool = False,
        most_bytes: int = 3_000_000_000,
    ) -> None:
        self.file, self.sam, self.preparation, self.random = file, sam, preparation, random
        self.tasks: Mapping[str, Task] = {task.slug: task for task, _ in tasks}
        self.of: dict[str, list[View]] = {slug: [] for slug in self.tasks}
        self.early, self.most_bytes = early, most_bytes
        self.plan: list[tuple[Task, Labelled, bool]] = []
        for task, given in tasks:
            slices = [one for one in given if one.known.any()]  # the others teach nothing
            if not slices:
                raise TaskError(f"There is nothing to train on for the task '{task.slug}'.")
            n = min(8 * len(slices), most + len(slices) // 4, 3 * most)
            order = np.concatenate([random.permutation(len(slices)) for _ in range(-(-n // len(slices)))])
            self.plan += [(task, slices[int(i)], k < len(slices) / 2) for k, i in enumerate(order[:n])]
        self._shapes: list[tuple[int, ...]] = []
        self._rows: NDArray[np.float16] = np.zeros((0, 0), np.float16)
        self._stem = 0

    def fill(self, seconds: float) -> Iterator[int]:
        """Encode one picture of each task, then others while there is time and room; yields how many."""
        first = {task.slug: number for number, (task, *_) in reversed(list(enumerate(self.plan)))}
        rest = self.random.permutation([i for i in range(len(self.plan)) if i not in first.values()])
        order = [*first.values(), *map(int, rest)]
        start, done = time.monotonic(), 0
        while done < len(order):
            late = time.monotonic() - start > seconds
            if done >= len(first) and (late or done >= len(self._rows)):
                break
            some = [self.plan[i] for i in order[done : done + _AT_ONCE]]
            self._add(some, done)
            done += len(some)
            yield done
        self.plan = []  # the pictures are not needed any more

    def encoded(self, views: Sequence[View], device: str) -> Encoded:
        """What the encoder saw of some views, in single precision."""
        rows = self._rows[[view.place for view in views]]
        ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes])
        parts = [
            torch.from_numpy(part.reshape(-1, *shape)).to(device).float()
            for part, shape in zip(np.split(rows, ends[:-1], 1), self._shapes, strict=True)
        ]
        stem, rest = tuple(parts[1 : 1 + self._stem]), parts[1 + self._stem :]
        levels, colour = (rest[:1], rest[1:]) if self.early else ([], rest)
        return Encoded(parts[0], tuple(levels), stem, colour[0] if colour else None)

    def _add(self, some: Sequence[tuple[Task, Labelled, bool]], first: int) -> None:
        """Move, recolour and encode pictures, and write what was seen."""
        images, regions = zip(*(self._moved(*one) for one in some), strict=True)
        mean, std = (torch.tensor(v)[:, None, None] for v in (self.preparation.mean, self.preparation.std))
        device = next(self.sam.parameters()).device
        with torch.no_grad():
            seen = self.sam.encode(((torch.stack(images) - mean) / std).to(device))
        more = [] if seen.colour is None else [seen.colour]
        parts = [seen.embedding, *seen.stem, *seen.levels[: int(self.early)], *more]
        if not self._shapes:
            self._open([tuple(part.shape[1:]) for part in parts], len(seen.stem))
        rows = torch.cat([part.flatten(1) for part in parts], 1).clamp(-_HALF, _HALF).half().cpu().numpy()
        kept = min(len(rows), len(self._rows) - first)
        self._rows[first : first + kept] = rows[:kept]
        for i, ((task, labelled, _), outlined) in enumerate(zip(some[:kept], regions, strict=False)):
            packed = np.packbits(outlined.numpy() > 0.5, axis=-1)
            self.of[task.slug].append(View(task.slug, first + i, packed, labelled.known))

    def _moved(self, task: Task, labelled: Labelled, still: bool) -> tuple[Tensor, Tensor]:
        """One picture (3, S, S) and its outlines (K, S, S), as they are or changed."""
        image = torch.from_numpy(labelled.canvas).permute(2, 0, 1)[None].float() / 255
        regions = torch.from_numpy(labelled.regions)[None].float()
        if still:
            return image[0], regions[0]
        side, size, stored = image.shape[-1], labelled.size, image.shape[-1]
        if labelled.regions.any() and self.random.random() < _CLOSER:
            stored, down, across = self._closer(labelled)
            image, regions, size = image[..., down, across], regions[..., down, across], (stored, stored)
        image, regions = moved(image, regions, grids(self.random, [size], stored, side, freedom(task)))
        return recolour(image, self.random, greys=0.1, inverts=0.03)[0], regions[0]

    def _closer(self, labelled: Labelled) -> tuple[int, slice, slice]:
        """A square around one outlined part, as prompts are looked at: its side, its rows and columns."""
        shown = labelled.regions[self.random.choice(np.flatnonzero(labelled.regions.any((1, 2))))]
        parts, n = ndimage.label(shown)
        down, across = ndimage.find_objects(parts)[int(self.random.integers(n))]
        long = max(down.stop - down.start, across.stop - across.start)
        side = min(max(round(long * self.random.uniform(1.2, 3.5)), _SMALLEST), shown.shape[0])
        middle = ((down.start + down.stop) / 2, (across.start + across.stop) / 2)
        top, left = (min(max(round(m - side / 2), 0), shown.shape[0] - side) for m in middle)
        return side, slice(top, top + side), slice(left, left + side)

    def _open(self, shapes: list[tuple[int, ...]], stem: int) -> None:
        """Make the file, as long as the plan or as there is room."""
        width = sum(int(np.prod(shape)) for shape in shapes)
        n = max(len(self.tasks), min(len(self.plan), self.most_bytes // (2 * width)))
        self._shapes, self._stem = shapes, stem
        self._rows = np.memmap(self.file, np.float16, "w+", shape=(n, width))
