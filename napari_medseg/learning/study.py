"""How the images of a study are made: bent, recoloured, or drawn from nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Random = np.random.Generator


def warps(
    random: Random,
    masks: Sequence[NDArray[np.bool_]],
    sizes: Sequence[tuple[int, int]],
    canvas: int,
    *,
    closer: bool,
    strong: bool,
) -> Tensor:
    """Sampling grids (N, S, S, 2): turned and mirrored alike, each bent a little in its own way.

    Parameters
    ----------
    masks : of (T, T) bool
        Where the target lies on the stored pictures.
    sizes : of (rows, columns)
        Of the pictures there.
    closer : bool
        Whether to look closer at the target.
    strong : bool
        Whether each image is bent a lot.
    """
    n, stored = len(masks), masks[0].shape[0]
    quarter = random.integers(0, 4) * np.pi / 2 if random.random() < 0.35 else 0.0
    mirror = np.where(random.random(2) < 0.25, -1.0, 1.0)
    zoom = np.exp(random.uniform(np.log(1.3), np.log(3.0)))
    much = 2.0 if strong else 1.0
    grids = []
    for mask, size in zip(masks, sizes, strict=True):
        middle, reach = np.array(size) / 2, max(size) / 2
        if closer and mask.any():
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            middle = np.array([rows[0] + rows[-1] + 1, columns[0] + columns[-1] + 1]) / 2
            long = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
            reach = float(np.clip(zoom * long / 2 * np.exp(random.normal(0, 0.15)), 16, max(size) / 2))
            middle = middle + random.uniform(-0.3, 0.3, 2) * max(0.0, reach - long / 2)
        angle = quarter + random.normal(0, 0.12 * much)
        stretch = np.exp(random.normal(0, 0.1 * much, 2)) * mirror * reach
        middle = middle + random.uniform(-0.1, 0.1, 2) * much * reach
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = np.zeros((2, 3))  # (x, y) of the canvas, -1 to 1, to (x, y) of the stored picture
        matrix[:, :2] = (turn * stretch[::-1]) / (stored / 2)
        matrix[:, 2] = middle[::-1] / (stored / 2) - 1
        grids.append(matrix)
    theta = torch.from_numpy(np.stack(grids).astype(np.float32))
    grid = F.affine_grid(theta, [n, 1, canvas, canvas], align_corners=False)
    bend = _field(random, (n, 2), canvas, (4, 8)) * random.uniform(0.0, 0.045) * much
    return grid + bend.permute(0, 2, 3, 1) * theta[:, :, :2].abs().sum(2)[:, None, None]


def warped(images: Tensor, masks: Tensor, valid: Tensor, grid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bend images (N, 3, T, T) with masks and what is valid (N, 1, T, T) onto the canvas of a grid."""
    together = F.grid_sample(torch.cat([images, masks, valid], 1), grid, align_corners=False)
    inside = (together[:, 4:] > 0.5).float()
    return together[:, :3], together[:, 3:4] * inside, inside


def recolour(images: Tensor, random: Random, alike: bool) -> Tensor:
    """Change grey values of a study (N, 3, S, S): all images in one way, and each a little in its own.

    Parameters
    ----------
    alike : bool
        Whether the images keep most of the likeness they have.
    """
    n = len(images)
    own = 0.35 if alike else 0.8

    def draw(low: float, high: float, chance: float, channels: int = 1) -> Tensor:
        """A value for the study plus one for each image, 0 by chance."""
        shared = random.uniform(low, high, (1, channels, 1, 1)) * (random.random() < chance)
        each = random.uniform(low, high, (n, channels, 1, 1)) * own * (random.random((n, 1, 1, 1)) < chance)
        return torch.from_numpy((shared + each).astype(np.float32))

    images = images.clamp(0, 1) ** torch.exp(draw(-0.5, 0.5, 0.5))
    images = (images - 0.5) * torch.exp(draw(-0.35, 0.3, 0.5)) + 0.5 + draw(-0.12, 0.12, 0.5)
    images = images * torch.exp(draw(-0.2, 0.2, 0.4, 3))
    if random.random() < 0.15:
        images = 1 - images
    if random.random() < 0.2:
        images = images.mean(1, keepdim=True).expand_as(images)
    if random.random() < 0.3:
        images = images + _field(random, (n, 1), images.shape[-1], (2, 4)) * random.uniform(0, 0.12)
    soft = torch.from_numpy((random.random((n, 1, 1, 1)) < 0.2).astype(np.float32))
    images = torch.lerp(images, F.avg_pool2d(images, 3, 1, 1), soft)
    noise = torch.from_numpy(
        (random.uniform(0, 0.05, (n, 1, 1, 1)) * (random.random() < 0.4)).astype(np.float32)
    )
    return (images + noise * torch.from_numpy(random.standard_normal(images.shape).astype(np.float32))).clamp(
        0, 1
    )


def scenes(random: Random, n: int, canvas: int, n_without: int = 0) -> tuple[Tensor, Tensor, int]:
    """Draw n pictures of one invented anatomy, the last few of them without its first label.

    Returns
    -------
    Images (N, 3, S, S), 0 to 1; labels (N, 1, S, S); and how many labels there are.

    Source
    ------
    Butoi et al., UniverSeg, ICCV 2023, and Hoffmann et al., SynthMorph, TMI 2022: labels from smooth noise,
    textures drawn for each label.

    Differs
    -------
    Some labels are ellipses laid on top, and colours occur.
    """
    n_labels = int(random.integers(3, 9))
    coarse = (3, 5, 8, 14)[int(random.integers(4))]
    score = _field(random, (1, n_labels), canvas, (coarse,)).expand(n, -1, -1, -1)
    score = score + _field(random, (n, n_labels), canvas, (coarse,)) * random.uniform(0.1, 0.45)
    labels = score.argmax(1, keepdim=True)
    for number in range(int(random.integers(0, 4))):
        labels = torch.where(_ellipses(random, n, canvas), number % n_labels, labels)
    turned = _bent(random, labels.float(), n, canvas).long()
    if n_without:
        gone = turned[-n_without:]
        turned[-n_without:] = torch.where(gone == 0, int(random.integers(1, n_labels)), gone)
    channels = 3 if random.random() < 0.4 else 1
    middles = random.uniform(0.05, 0.95, (1, n_labels, channels))
    middles = middles + random.normal(0, random.uniform(0.01, 0.06), (n, n_labels, channels))
    rough = random.uniform(0.0, 0.16, n_labels)
    images = torch.zeros(n, channels, canvas, canvas)
    for k in range(n_labels):
        grain = (canvas // 3, canvas // 8, canvas // 20)[int(random.integers(3))]
        texture = _field(random, (n, 1), canvas, (grain,)) * rough[k]
        colour = torch.from_numpy(middles[:, k, :, None, None].astype(np.float32))
        images = torch.where(turned == k, colour + texture, images)
    soft = random.random()
    images = torch.lerp(images, F.avg_pool2d(images, 3, 1, 1), soft)
    return images.expand(-1, 3, -1, -1).clamp(0, 1), turned, n_labels


def _ellipses(random: Random, n: int, canvas: int) -> Tensor:
    """An ellipse on every image, about alike: (N, 1, S, S) bool."""
    line = torch.linspace(-1, 1, canvas)
    middle = random.uniform(-0.6, 0.6, 2) + random.normal(0, 0.08, (n, 2))
    reach = np.exp(random.uniform(np.log(0.08), np.log(0.45), 2) + random.normal(0, 0.1, (n, 2)))
    angle = random.uniform(0, np.pi) + random.normal(0, 0.15, n)
    y, x = (torch.from_numpy(middle[:, i].astype(np.float32))[:, None, None] for i in (0, 1))
    rows, columns = line[None, :, None] - y, line[None, None, :] - x
    cosine, sine = (torch.from_numpy(f(angle).astype(np.float32))[:, None, None] for f in (np.cos, np.sin))
    a, b = (torch.from_numpy(reach[:, i].astype(np.float32))[:, None, None] for i in (0, 1))
    u, v = rows * cosine + columns * sine, columns * cosine - rows * sine
    return ((u / a) ** 2 + (v / b) ** 2 < 1)[:, None]


def _bent(random: Random, labels: Tensor, n: int, canvas: int) -> Tensor:
    """Bend each label map in its own way; labels stay whole numbers."""
    theta = torch.eye(2, 3).repeat(n, 1, 1) + torch.from_numpy(
        random.normal(0, 0.08, (n, 2, 3)).astype(np.float32)
    )
    grid = F.affine_grid(theta, [n, 1, canvas, canvas], align_corners=False)
    grid = grid + (_field(random, (n, 2), canvas, (5, 9)) * random.uniform(0.02, 0.1)).permute(0, 2, 3, 1)
    return F.grid_sample(labels, grid, mode="nearest", padding_mode="reflection", align_corners=False)


def _field(random: Random, shape: tuple[int, int], canvas: int, grids: Sequence[int]) -> Tensor:
    """Smooth noise (*shape, S, S) of unit spread, the mean of noises on grids of some sizes."""
    total = torch.zeros(*shape, canvas, canvas)
    for grid in grids:
        noise = torch.from_numpy(
            random.standard_normal((*shape, max(2, grid), max(2, grid))).astype(np.float32)
        )
        total = total + F.interpolate(noise, (canvas, canvas), mode="bicubic", align_corners=False)
    return total / math.sqrt(len(grids))
