"""Training samples for promptable models: a canvas, and targets on it that a person might point at."""

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
from napari_medseg.learning.data import Dataset, Item

Random = np.random.Generator
SMALLEST = 50  # pixels of a component worth a prompt
_VISIBLE = 40  # pixels of a target on the canvas, at 256 px
_SLICES = 6  # of each volume


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


class Sampler:
    """Draws canvases with targets, each data set in proportion to the square root of its size."""

    def __init__(self, slices: Sequence[Slice], preparation: Preparation, random: Random) -> None:
        if not slices:
            raise TaskError("There is nothing to train on: no labelled image in the train split.")
        self.slices, self.preparation, self.random = slices, preparation, random
        sources = [one.source for one in slices]
        size = {name: sources.count(name) for name in set(sources)}
        chance = np.array([size[name] ** -0.5 for name in sources])
        self.chance = chance / chance.sum()

    def draw(self, n_images: int, n_targets: int) -> tuple[Tensor, NDArray[np.bool_]]:
        """Draw prepared-size pictures (B, 3, S, S), 0 to 1, and targets (B, P, S, S)."""
        canvases: list[Picture] = []
        targets: list[NDArray[np.bool_]] = []
        while len(canvases) < n_images:
            one = self.slices[int(self.random.choice(len(self.slices), p=self.chance))]
            components = self._components(one)
            if not components:
                continue
            frame = self._frame(one, components[int(self.random.integers(len(components)))])
            seen = self._targets(frame, components, n_targets)
            if seen is not None:
                canvases.append(frame.place(one.picture))
                targets.append(seen)
        images = torch.from_numpy(np.stack(canvases)).permute(0, 3, 1, 2).float() / 255.0
        return self._augment(images, np.stack(targets))

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

    def _targets(self, frame: Frame, components: list[NDArray[np.bool_]], n: int) -> NDArray[np.bool_] | None:
        """The components as they lie on the canvas, n of them, repeated where there are fewer."""
        least = _VISIBLE * (frame.long_side / 256) ** 2
        placed = [frame.place(part.astype(np.uint8) * 255) >= 128 for part in components]
        seen = [part for part in placed if np.count_nonzero(part) >= least]
        if not seen:
            return None
        return np.stack([seen[i % len(seen)] for i in range(n)])

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
        return _recolour(images, self.random), targets


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


def _recolour(images: Tensor, random: Random) -> Tensor:
    """Gamma, contrast, brightness, colour cast, greyness, inversion, blur and noise, each by chance."""
    n = len(images)

    def draw(low: float, high: float, chance: float, neutral: float, channels: int = 1) -> Tensor:
        values = np.where(
            random.random((n, 1, 1, 1)) < chance, random.uniform(low, high, (n, channels, 1, 1)), neutral
        )
        return torch.from_numpy(values.astype(np.float32))

    images = images.clamp(0, 1) ** torch.exp(draw(-0.5, 0.5, 0.6, 0.0))
    images = (images - 0.5) * draw(0.6, 1.4, 0.6, 1.0) + 0.5 + draw(-0.15, 0.15, 0.5, 0.0)
    images = images * draw(0.8, 1.2, 0.4, 1.0, 3)
    grey = images.mean(1, keepdim=True)
    images = torch.lerp(images, grey.expand_as(images), draw(1, 1, 0.25, 0.0))
    images = torch.lerp(images, 1 - images, draw(1, 1, 0.15, 0.0))
    images = torch.lerp(images, F.avg_pool2d(images, 3, 1, 1), draw(0.3, 1, 0.25, 0.0))
    images = images + torch.randn(images.shape) * draw(0.0, 0.06, 0.3, 0.0)
    return images.clamp(0, 1)
