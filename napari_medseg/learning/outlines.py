"""Batches for networks that outline the structures of known tasks, and the loss of their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from monai.losses.dice import DiceLoss
from torch import Tensor
from torch.nn import functional as F

from napari_medseg.core.errors import TaskError
from napari_medseg.core.task import Task
from napari_medseg.learning.augment import freedom, grids, moved, recolour
from napari_medseg.learning.labelled import Labelled, may_show
from napari_medseg.learning.study import scenes
from napari_medseg.networks.hsp_sam import Outlined

Random = np.random.Generator
_MOST_OFTEN = 0.45  # power of a set's size by which its tasks are drawn


@dataclass(frozen=True)
class Batch:
    """Images of one task.

    Parameters
    ----------
    images : (B, 3, S, S), 0 to 1
    regions : (B, K, S, S), 0 or 1
    known : (B, K) bool
        Where the truth is known; elsewhere nothing is learnt.
    """

    task: str
    images: Tensor
    regions: Tensor
    known: Tensor


class Lessons:
    """The labelled slices of some tasks, drawn a batch of one task at a time.

    Parameters
    ----------
    tasks : sequence
        Each task with its slices.
    absent : float
        Share of pictures that do not show the task: those of others that cannot hold it, a part of a slice
        without its structures, or an invented scene.

    Raises
    ------
    TaskError
        If a task has no slice.
    """

    def __init__(
        self, tasks: Sequence[tuple[Task, Sequence[Labelled]]], random: Random, absent: float
    ) -> None:
        for task, slices in tasks:
            if not slices:
                raise TaskError(f"There is nothing to train on for the task '{task.slug}'.")
        self.tasks: Mapping[str, tuple[Task, Sequence[Labelled]]] = {
            task.slug: (task, s) for task, s in tasks
        }
        self.random, self.absent = random, absent
        often = np.array([len(slices) ** _MOST_OFTEN for _, slices in tasks])
        self.chance = often / often.sum()
        self.foreign = {
            task.slug: [one.slug for one, _ in tasks if not may_show(task, one)] for task, _ in tasks
        }

    def draw(self, n: int, canvas: int) -> Batch:
        """Images of one task, each moved and recoloured."""
        slug = str(self.random.choice(list(self.tasks), p=self.chance))
        task, slices = self.tasks[slug]
        picked = [slices[int(self.random.integers(len(slices)))] for _ in range(n)]
        stored = picked[0].canvas.shape[0]
        pictures = torch.from_numpy(np.stack([one.canvas for one in picked]))
        masks = torch.from_numpy(np.stack([one.regions for one in picked])).float()
        grid = grids(self.random, [one.size for one in picked], stored, canvas, freedom(task))
        images, regions = moved(pictures.permute(0, 3, 1, 2).float() / 255, masks, grid)
        known = torch.from_numpy(np.stack([one.known for one in picked]))
        for i in np.flatnonzero(self.random.random(n) < self.absent):
            images[i], regions[i], known[i] = self._without(slug, images[i], regions[i], known[i])
        images = recolour(images, self.random, greys=0.1, inverts=0.03)
        return Batch(slug, images, regions, known)

    def _without(
        self, slug: str, image: Tensor, regions: Tensor, known: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Something else in the place of one picture, that does not show the task."""
        nothing, canvas = torch.zeros_like(regions), image.shape[-1]
        foreign = self.foreign[slug]
        kind = self.random.random()
        if foreign and kind < 0.6:
            other, slices = self.tasks[foreign[int(self.random.integers(len(foreign)))]]
            one = slices[int(self.random.integers(len(slices)))]
            picture = torch.from_numpy(one.canvas)[None].permute(0, 3, 1, 2).float() / 255
            grid = grids(self.random, [one.size], one.canvas.shape[0], canvas, freedom(other))
            return F.grid_sample(picture, grid, align_corners=False)[0], nothing, torch.ones_like(known)
        if known.all() and kind < 0.9 and (part := self._beside(regions)) is not None:
            scaled = F.interpolate(image[None, :, part[0], part[1]], (canvas, canvas), mode="bilinear")
            return scaled[0], nothing, known
        return scenes(self.random, 1, canvas)[0][0], nothing, torch.ones_like(known)

    def _beside(self, regions: Tensor) -> tuple[slice, slice] | None:
        """A square part of a picture without any structure; None where a few tries find none."""
        canvas, shown = regions.shape[-1], regions.amax(0) > 0
        for _ in range(6):
            side = int(self.random.uniform(0.3, 0.6) * canvas)
            top, left = (int(self.random.integers(0, canvas - side + 1)) for _ in range(2))
            part = slice(top, top + side), slice(left, left + side)
            if not bool(shown[part].any()):
                return part
        return None


def outline_loss(answer: Outlined, regions: Tensor, known: Tensor, aside: float) -> Tensor:
    """How far an answer is from the truth (B, P, Y, X), where that is known (B, P).

    Parameters
    ----------
    aside : float
        Weight of the coarse masks of all levels.

    Source
    ------
    HSP-SAM, eq. 3, with the authors' 0.8 and squared denominators.

    Differs
    -------
    The two parts are those of each structure against the background; presence by cross entropy and quality
    by squared error are added.
    """
    count = known.sum().clamp(min=1)
    each = _eq3(answer.masks, regions)
    rows, columns = answer.coarse[0].shape[-2:]
    small = F.adaptive_avg_pool2d(regions, (rows, columns))
    levels = torch.stack([_eq3(masks, small) for masks in answer.coarse]).mean(0)
    there = regions.flatten(2).any(2).float()
    presence = F.binary_cross_entropy_with_logits(answer.presence, there, reduction="none")
    with torch.no_grad():
        drawn, real = answer.masks > 0, regions > 0.5
        union = (drawn | real).sum((2, 3))
        overlap = torch.where(union > 0, (drawn & real).sum((2, 3)) / union.clamp(min=1), 1.0)
    quality = (answer.quality.sigmoid() - overlap) ** 2
    total: Tensor = ((each + aside * levels + 0.2 * presence + quality) * known).sum() / count
    return total


def _eq3(masks: Tensor, truth: Tensor) -> Tensor:
    """Dice and cross entropy of each structure, (B, P)."""
    loss = DiceLoss(sigmoid=True, squared_pred=True, reduction="none", smooth_nr=1.0, smooth_dr=1.0)
    entropy = F.binary_cross_entropy_with_logits(masks, truth, reduction="none").mean((2, 3))
    dice: Tensor = loss(masks, truth)[..., 0, 0]
    return 0.8 * dice + 0.2 * entropy
