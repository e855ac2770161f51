"""How training pictures are moved and recoloured, so that a network learns what matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_medseg.core.model import Preparation
from napari_medseg.core.task import Task

Random = np.random.Generator
_RADIOLOGY = ("ct", "mr", "mri", "x-ray", "ultrasound", "mammography", "cr", "dx", "us", "mg", "pt", "nm")


@dataclass(frozen=True)
class Freedom:
    """What may be done to a task's pictures without making another anatomy of them.

    Parameters
    ----------
    mirrors : bool
        Left and right may be exchanged.
    turns : bool
        There is no up and no down, as under a microscope.
    """

    mirrors: bool
    turns: bool


def freedom(task: Task) -> Freedom:
    """What a task allows: sides are kept where its structures name them, the head stays up in radiology."""
    words = {word for name in task.structure_names for word in name.casefold().replace("-", " ").split()}
    kind = task.modality.casefold().replace("(", " ").replace(",", " ").split()
    return Freedom(not words & {"left", "right"}, bool(kind) and not any(word in _RADIOLOGY for word in kind))


def grids(
    random: Random, sizes: Sequence[tuple[int, int]], stored: int, canvas: int, allowed: Freedom
) -> Tensor:
    """Sampling grids (B, S, S, 2) that zoom, turn, shear, shift and bend pictures a little.

    Parameters
    ----------
    sizes : of (rows, columns)
        Which part of each stored picture, from its upper left corner, is used.
    stored, canvas : int
        Side of the stored pictures, and of those to be trained on.
    """
    n = len(sizes)
    angle = random.normal(0, 0.15, n)
    mirror = np.ones((n, 2))
    if allowed.turns:
        angle = angle + random.integers(0, 4, n) * np.pi / 2
    if allowed.mirrors:
        mirror[:, 1] = np.where(random.random(n) < 0.5, -1.0, 1.0)
    zoom = np.exp(random.normal(0, 0.15, (n, 1)) + random.normal(0, 0.06, (n, 2)))
    reach = np.array([max(size) / 2 for size in sizes])[:, None] * zoom  # of the canvas, in stored pixels
    used = np.array(sizes)
    middle = used / 2 + random.uniform(-0.08, 0.08, (n, 2)) * used
    return _affine(angle, reach * mirror, middle, stored, canvas) + _bend(random, n, canvas, reach / stored)


def still(sizes: Sequence[tuple[int, int]], stored: int, canvas: int) -> Tensor:
    """Grids (B, S, S, 2) that do nothing but scale the stored pictures to the canvas."""
    whole = np.full((len(sizes), 2), stored / 2)
    return _affine(np.zeros(len(sizes)), whole, whole, stored, canvas)


def moved(images: Tensor, masks: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """Sample images (B, 3, T, T) and masks (B, K, T, T) by a grid; masks stay 0 or 1."""
    together = F.grid_sample(torch.cat([images, masks], 1), grid, align_corners=False)
    return together[:, :3], (together[:, 3:] > 0.5).float()


def _affine(angle: np.ndarray, reach: np.ndarray, middle: np.ndarray, stored: int, canvas: int) -> Tensor:
    """Grids from angles (B,), reaches and middles (B, 2) as (row, column) of the stored picture."""
    cosine, sine = np.cos(angle), np.sin(angle)
    theta = np.zeros((len(angle), 2, 3), np.float32)  # (x, y) of the canvas to (x, y) there, -1 to 1
    theta[:, 0, 0], theta[:, 0, 1] = cosine * reach[:, 1], -sine * reach[:, 0]
    theta[:, 1, 0], theta[:, 1, 1] = sine * reach[:, 1], cosine * reach[:, 0]
    theta /= stored / 2
    theta[:, :, 2] = middle[:, ::-1] / (stored / 2) - 1
    return F.affine_grid(torch.from_numpy(theta), [len(angle), 1, canvas, canvas], align_corners=False)


def _bend(random: Random, n: int, canvas: int, scale: np.ndarray) -> Tensor:
    """Smooth displacements (B, S, S, 2) of a few hundredths of the canvas."""
    noise = random.normal(0, 0.03, (n, 2, 5, 5)) * random.random((n, 1, 1, 1)) * scale[:, :, None, None]
    field = torch.from_numpy(noise.astype(np.float32))
    return F.interpolate(field, (canvas, canvas), mode="bicubic", align_corners=False).permute(0, 2, 3, 1)


def recolour(images: Tensor, random: Random, greys: float = 0.25, inverts: float = 0.15) -> Tensor:
    """Gamma, contrast, brightness, colour cast, greyness, inversion, blur and noise, each by chance.

    Parameters
    ----------
    images : (B, 3, Y, X), 0 to 1
    greys, inverts : float
        How often an image loses its colours, or is turned into its negative.
    """
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
    images = torch.lerp(images, grey.expand_as(images), draw(1, 1, greys, 0.0))
    images = torch.lerp(images, 1 - images, draw(1, 1, inverts, 0.0))
    images = torch.lerp(images, F.avg_pool2d(images, 3, 1, 1), draw(0.3, 1, 0.25, 0.0))
    images = images + torch.randn(images.shape) * draw(0.0, 0.06, 0.3, 0.0)
    return images.clamp(0, 1)


def normalised(images: Tensor, preparation: Preparation) -> Tensor:
    """Images (B, 3, Y, X) from 0 to 1 with the mean and standard deviation a network was made for."""
    mean = torch.tensor(preparation.mean, device=images.device)[:, None, None]
    std = torch.tensor(preparation.std, device=images.device)[:, None, None]
    return (images - mean) / std
