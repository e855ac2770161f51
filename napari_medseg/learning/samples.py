"""Training samples for promptable models: a canvas, and targets on it that a person might point at.

Most are structures somebody outlined; some are superpixels or shapes laid into the picture, and some prompts
point at what is not there, so that an empty answer is learnt as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from napari_medseg.core.errors import TaskError
from napari_medseg.core.model import Preparation
from napari_medseg.imaging.prepare import Frame, Picture, frame_of, grey_limits, picture
from napari_medseg.learning.augment import recolour
from napari_medseg.learning.data import Dataset, Item
from napari_medseg.learning.pseudo_tasks import lay_shapes, superpixels

Random = np.random.Generator
SMALLEST = 50  # pixels of a component worth a prompt
_VISIBLE = 40  # pixels of a target on the canvas, at 256 px
_SLICES = 12  # of each volume
_KINDS = ("outlined", "superpixels", "shapes", "absent")


@dataclass(frozen=True, eq=False)
class Slice:
    """A picture ready to be cut, its class numbers, and the regions one may point at."""

    picture: Picture
    labels: NDArray[np.uint8]
    regions: tuple[tuple[int, ...], ...]
    source: str


def load_slices(dataset: Dataset, split: str, preparation: Preparation) -> list[Slice]:
    """Read every picture, and a few labelled slices of every volume, of one split."""
    slices = []
    for item in dataset.select(split):
        slices += _slices_of(item, dataset.name, preparation)
    return slices


def _slices_of(item: Item, source: str, preparation: Preparation) -> list[Slice]:
    """Cut one image into its labelled slices, at most a few."""
    volume = item.volume()
    labels = item.labels(volume)
    limits = grey_limits(volume, preparation)
    plane = volume.geometry.native_plane
    used = np.flatnonzero(labels.any((1, 2)))
    found = []
    for index in used[:: max(1, -(-len(used) // _SLICES))]:
        regions = tuple(n for n in item.regions.values() if np.isin(labels[index], n).any())
        found.append(Slice(picture(volume, plane, int(index), limits), labels[index], regions, source))
    return found


@dataclass(frozen=True, eq=False)
class Sample:
    """A batch: images (B, 3, S, S), 0 to 1; targets and what the prompts point at, each (B, P, S, S).

    The two differ only where the prompts point at something absent: the target is empty then. `is_vague`,
    (B, P), says where one click is not enough to know what is meant.
    """

    images: Tensor
    targets: NDArray[np.bool_]
    pointed: NDArray[np.bool_]
    is_vague: NDArray[np.bool_]


class Sampler:
    """Draws canvases with targets, large data sets a little more often than small ones.

    Parameters
    ----------
    shares : (superpixels, shapes, absent)
        How often targets are of these kinds; the rest was outlined by somebody.
    """

    def __init__(
        self,
        slices: Sequence[Slice],
        preparation: Preparation,
        random: Random,
        shares: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> None:
        if not slices:
            raise TaskError("There is nothing to train on: no labelled image in the train split.")
        self.slices, self.preparation, self.random = slices, preparation, random
        self.shares = np.array([1 - sum(shares), *shares])
        sources = [one.source for one in slices]
        size = {name: sources.count(name) for name in set(sources)}
        chance = np.array([size[name] ** -0.6 for name in sources])
        self.chance = chance / chance.sum()

    def draw(self, n_images: int, n_targets: int) -> Sample:
        """Draw canvases, each with some targets."""
        canvases: list[Picture] = []
        targets: list[NDArray[np.bool_]] = []
        kinds: list[str] = []
        while len(canvases) < n_images:
            kind = str(self.random.choice(_KINDS, p=self.shares))
            made = self._make(kind, n_targets)
            if made is not None:
                canvases.append(made[0])
                targets.append(np.stack([made[1][i % len(made[1])] for i in range(n_targets)]))
                kinds.append(kind)
        images = torch.from_numpy(np.stack(canvases)).permute(0, 3, 1, 2).float() / 255.0
        images, pointed = self._augment(images, np.stack(targets))
        absent, vague = (np.array([kind == name for kind in kinds]) for name in ("absent", "superpixels"))
        wanted = pointed & ~absent[:, None, None, None]
        return Sample(images, wanted, pointed, np.repeat(vague[:, None], n_targets, 1))

    def _make(self, kind: str, n: int) -> tuple[Picture, list[NDArray[np.bool_]]] | None:
        """One canvas with at least one thing to point at, None where nothing fits."""
        one = self._pick()
        components = self._components(one)
        if not components:
            return None
        frame = self._frame(one, components[int(self.random.integers(len(components)))])
        canvas: Picture = frame.place(one.picture)
        if kind == "superpixels":
            seen = superpixels(canvas, frame.size, n, self.random)
        elif kind == "shapes":
            canvas, seen = lay_shapes(canvas, n, self.random)
        elif kind == "absent":
            seen = self._elsewhere(one, frame)
        else:
            seen = [frame.place(part.astype(np.uint8) * 255) >= 128 for part in components]
        least = _VISIBLE * (frame.long_side / 256) ** 2
        seen = [part for part in seen if np.count_nonzero(part) >= least]
        return (canvas, seen[:n]) if seen else None

    def _elsewhere(self, one: Slice, frame: Frame) -> list[NDArray[np.bool_]]:
        """Where another image of the same set has its structure, if nothing is outlined there in this one."""
        other = self._pick()
        if other.source != one.source or other is one:
            return []
        height, width = one.labels.shape
        there = frame_of((height, width), self.preparation)
        found = []
        for part in self._components(other):
            placed = frame_of(part.shape, self.preparation).place(part.astype(np.uint8) * 255)
            moved = there.take_back(placed.astype(np.float32), (height, width), 0.0) >= 128
            seen = frame.place(moved.astype(np.uint8) * 255) >= 128
            if not (one.labels[moved] > 0).any():
                found.append(seen)
        return found

    def _pick(self) -> Slice:
        return self.slices[int(self.random.choice(len(self.slices), p=self.chance))]

    def _components(self, one: Slice) -> list[NDArray[np.bool_]]:
        """Connected components of one region of a slice, large enough to point at; at most eight."""
        numbers = one.regions[int(self.random.integers(len(one.regions)))]
        parts, n = ndimage.label(np.isin(one.labels, numbers))
        sizes = np.bincount(parts.ravel(), minlength=n + 1)[1:]
        large = np.flatnonzero(sizes >= SMALLEST) + 1
        return [parts == k for k in self.random.permutation(large)[:8]]

    def _frame(self, one: Slice, target: NDArray[np.bool_]) -> Frame:
        """Look at the whole slice, or closer at the target."""
        height, width = target.shape
        if self.random.random() < 0.35:
            return frame_of((height, width), self.preparation)
        rows, columns = np.flatnonzero(target.any(1)), np.flatnonzero(target.any(0))
        long = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
        side = min(max(long * self.random.uniform(1.15, 4.0), 24), max(height, width))
        middle = np.array([rows[0] + rows[-1] + 1, columns[0] + columns[-1] + 1]) / 2
        middle = middle + self.random.uniform(-0.35, 0.35, 2) * max(0.0, side - long)
        top, left = np.clip(np.round(middle - side / 2), 0, None)
        span = (top, left, min(top + round(side), height), min(left + round(side), width))
        return frame_of((height, width), self.preparation, span=(*map(float, span),))  # type: ignore[arg-type]

    def _augment(self, images: Tensor, targets: NDArray[np.bool_]) -> tuple[Tensor, NDArray[np.bool_]]:
        """Turn, mirror, stretch and recolour; a target that falls off the canvas keeps the old geometry."""
        grid = _warp(len(images), images.shape[-1], self.random)
        moved = F.grid_sample(torch.from_numpy(targets).float(), grid, align_corners=False) > 0.5
        before = targets.sum((2, 3))
        after = moved.sum((2, 3)).numpy()
        fine = torch.from_numpy(((after > 0.5 * before) & (after >= 10)).all(1))[:, None, None, None]
        turned = F.grid_sample(images, grid, align_corners=False)
        images = torch.where(fine, turned, images)
        targets = torch.where(fine, moved, torch.from_numpy(targets)).numpy()
        return recolour(images, self.random), targets


def _warp(n: int, size: int, random: Random) -> Tensor:
    """Sampling grids (B, S, S, 2) of quarter turns, mirrors and small affine changes."""
    angle = random.integers(0, 4, n) * np.pi / 2 * (random.random(n) < 0.5) + random.normal(0, 0.2, n)
    stretch = np.exp(random.normal(0, 0.12, (n, 2))) * np.where(random.random((n, 2)) < 0.4, -1, 1)
    cosine, sine = np.cos(angle), np.sin(angle)
    theta = np.zeros((n, 2, 3), np.float32)
    theta[:, 0, 0], theta[:, 0, 1] = cosine * stretch[:, 0], -sine * stretch[:, 1]
    theta[:, 1, 0], theta[:, 1, 1] = sine * stretch[:, 0], cosine * stretch[:, 1]
    theta[:, :, 2] = random.uniform(-0.1, 0.1, (n, 2))
    return F.affine_grid(torch.from_numpy(theta), [n, 1, size, size], align_corners=False)
