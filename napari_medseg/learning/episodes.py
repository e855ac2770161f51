"""Studies to learn from examples on: some images of one task, any of which may explain any other.

Half of them are real tasks with the outlines people drew; the others are superpixels of real images and
synthetic pictures, so that a network learns to look at its examples instead of remembering twenty tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_medseg.core.errors import TaskError
from napari_medseg.core.model import Preparation
from napari_medseg.imaging.prepare import Picture, frame_of
from napari_medseg.learning.data import Dataset
from napari_medseg.learning.pseudo_tasks import superpixels
from napari_medseg.learning.samples import load_slices
from napari_medseg.learning.study import recolour, scenes, warped, warps

Random = np.random.Generator
_STORED = (
    1.25  # side of the stored pictures beside that of the canvas, so that a closer look has something to see
)
_LEAST = 30  # pixels of a target on the canvas, at 192 px
_ABSENT = 0.4  # of studies have one or two images without the target
_KINDS = ("real", "superpixels", "synthetic")


@dataclass(frozen=True, eq=False)
class Study:
    """N images of one task.

    Parameters
    ----------
    images : (N, 3, S, S)
        0 to 1.
    masks : (N, 1, S, S)
        0 to 1; some may be empty.
    valid : (N, 1, S, S)
        1 where the picture is, 0 in the padding.
    text : str
        What is outlined, in words; "" where there are none.
    """

    images: Tensor
    masks: Tensor
    valid: Tensor
    text: str = ""


@dataclass(frozen=True, eq=False)
class Stored:
    """A picture at the size it is kept, (S, S, 3), its size there, and its class numbers (S, S)."""

    picture: Picture
    size: tuple[int, int]
    labels: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Target:
    """A structure of a data set: which class numbers it has, on which of the set's pictures it is seen."""

    name: str
    text: str
    numbers: tuple[int, ...]
    pictures: tuple[Stored, ...]
    without: tuple[Stored, ...]


def load_targets(dataset: Dataset, split: str, canvas: int) -> list[Target]:
    """Read the pictures of one split of a data set, and list its structures."""
    side = round(canvas * _STORED / 16) * 16
    preparation = Preparation(long_side=side)
    pictures = []
    for one in load_slices(dataset, split, preparation):
        frame = frame_of((one.labels.shape[0], one.labels.shape[1]), preparation)
        rows, columns = (
            np.linspace(0.5, n - 0.5, m).astype(int)
            for n, m in zip(one.labels.shape, frame.size, strict=True)
        )
        labels = np.zeros((side, side), np.uint8)
        labels[: frame.size[0], : frame.size[1]] = one.labels[np.ix_(rows, columns)]
        pictures.append(Stored(frame.place(one.picture), frame.size, labels))
    found = []
    for name, numbers in dataset.regions.items():
        seen = [np.count_nonzero(np.isin(p.labels, numbers)) >= _LEAST for p in pictures]
        there = tuple(p for p, is_seen in zip(pictures, seen, strict=True) if is_seen)
        without = tuple(p for p, is_seen in zip(pictures, seen, strict=True) if not is_seen)
        if len(there) >= 2:
            text = f"{name} in {dataset.task.modality}"
            found.append(Target(name, text, tuple(numbers), there, without))
    return found


class Episodes:
    """Draws studies.

    Parameters
    ----------
    shares : (superpixels, synthetic)
        How often studies are of these kinds; the rest are real tasks.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        canvas: int,
        random: Random,
        shares: tuple[float, float] = (0.25, 0.25),
    ) -> None:
        if not targets:
            raise TaskError("There is nothing to train on: no structure is outlined on two training images.")
        self.targets, self.canvas, self.random = targets, canvas, random
        self.shares = np.array([1 - sum(shares), *shares])
        chance = np.array([len(target.pictures) ** 0.3 for target in targets])
        self.chance = chance / chance.sum()

    def draw(self, n: int) -> Study:
        """Draw a study of n images."""
        kind = str(self.random.choice(_KINDS, p=self.shares))
        while True:
            if kind == "synthetic":
                return self._synthetic(n)
            study = self._real(n) if kind == "real" else self._superpixels(n)
            if study is not None:
                return study

    def _target(self) -> Target:
        return self.targets[int(self.random.choice(len(self.targets), p=self.chance))]

    def _real(self, n: int) -> Study | None:
        """Images of one structure, changed alike, and each a little in its own way."""
        target = self._target()
        chosen = [target.pictures[i] for i in self.random.permutation(len(target.pictures))[:n]]
        chosen += [chosen[int(self.random.integers(len(chosen)))] for _ in range(n - len(chosen))]
        if target.without and self.random.random() < _ABSENT:
            for i in range(int(self.random.integers(1, 3))):
                chosen[-1 - i] = target.without[int(self.random.integers(len(target.without)))]
        numbers = target.numbers
        text = target.text
        others = [t for t in self.targets if t.pictures[0] is target.pictures[0] and t is not target]
        if others and self.random.random() < 0.15:
            numbers, text = (*numbers, *others[int(self.random.integers(len(others)))].numbers), ""
        masks = [np.isin(one.labels, numbers) for one in chosen]
        closer = self.random.random() < 0.35
        grid = warps(
            self.random, masks, [one.size for one in chosen], self.canvas, closer=closer, strong=False
        )
        return self._made(chosen, masks, grid, text, alike=True)

    def _superpixels(self, n: int) -> Study | None:
        """One image seen n times, each time changed a lot, with some of its superpixels as the target."""
        target = self._target()
        one = target.pictures[int(self.random.integers(len(target.pictures)))]
        found = superpixels(one.picture, one.size, 1, self.random)
        if not found:
            return None
        masks = [found[0]] * n
        grid = warps(self.random, masks, [one.size] * n, self.canvas, closer=False, strong=True)
        return self._made([one] * n, masks, grid, "", alike=False)

    def _made(
        self,
        chosen: Sequence[Stored],
        masks: Sequence[NDArray[np.bool_]],
        grid: Tensor,
        text: str,
        alike: bool,
    ) -> Study | None:
        """Warp pictures and masks, and recolour the pictures; None where the target is lost."""
        images = torch.from_numpy(np.stack([one.picture for one in chosen])).permute(0, 3, 1, 2).float() / 255
        truth = torch.from_numpy(np.stack(masks)).float()[:, None]
        valid = torch.zeros_like(truth)
        for i, one in enumerate(chosen):
            valid[i, :, : one.size[0], : one.size[1]] = 1
        images, truth, valid = warped(images, truth, valid, grid)
        least = _LEAST * (self.canvas / 192) ** 2
        if (truth.sum((1, 2, 3)) >= least).sum() < max(2, len(chosen) // 2):
            return None
        return Study(recolour(images, self.random, alike) * valid, truth, valid, text)

    def _synthetic(self, n: int) -> Study:
        """A picture nobody took: regions with textures of their own, bent anew for every image."""
        n_without = int(self.random.integers(1, 3)) if self.random.random() < _ABSENT else 0
        images, labels, n_labels = scenes(self.random, n, self.canvas, n_without)
        wanted = self.random.choice(n_labels, 2 if self.random.random() < 0.2 else 1, replace=False)
        wanted = np.zeros(1, int) if n_without else wanted  # the label that is missing on some
        masks = torch.isin(labels, torch.from_numpy(wanted)).float()
        return Study(recolour(images, self.random, alike=False), masks, torch.ones_like(masks))
