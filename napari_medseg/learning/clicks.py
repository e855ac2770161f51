"""Prompts as a person would give them, made from the truth: boxes, clicks, scribbles, corrections."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_medseg.learning.prompting import shaken
from napari_medseg.networks.sam_prompts import PromptBatch, prompt_maps

Random = np.random.Generator
_KINDS = ("box", "click", "scribble", "mask")
_CHANCE = (0.35, 0.50, 0.05, 0.10)
_CHANCE_VAGUE = (0.6, 0.0, 0.2, 0.2)  # nobody would know what one click on a superpixel means
_CHANCE_ABSENT = (0.15, 0.0, 0.0, 0.85)  # a click on anything means that thing
_MOST_POINTS = 12


@dataclass(frozen=True, eq=False)
class Marks:
    """The prompts so far for P targets: points (P, N, 2) as (x, y) pixel edges, labels (P, N)."""

    points: Tensor
    labels: Tensor
    previous: Tensor  # (P, Y/4, X/4), -1 to 1

    def batch(self) -> PromptBatch:
        """As the network reads them."""
        return PromptBatch(self.points, self.labels, prompt_maps(self.points, self.labels, self.previous))


def first_prompts(
    pointed: NDArray[np.bool_],
    random: Random,
    is_absent: NDArray[np.bool_] | None = None,
    is_vague: NDArray[np.bool_] | None = None,
) -> Marks:
    """Give each of P regions, (P, S, S) on the canvas, a first prompt of a random kind.

    Parameters
    ----------
    is_absent : (P,) bool, optional
        Where nothing is there to be found; such a region gets a box or a rough mask.
    is_vague : (P,) bool, optional
        Where one click would not be enough to know what is meant.
    """
    quarter = pointed.shape[1] // 4
    points = np.zeros((len(pointed), _MOST_POINTS, 2), np.float32)
    labels = np.full((len(pointed), _MOST_POINTS), -1, np.int64)
    previous = np.zeros((len(pointed), quarter, quarter), np.float32)
    for i, target in enumerate(pointed):
        absent = is_absent is not None and bool(is_absent[i])
        vague = is_vague is not None and bool(is_vague[i])
        kind = random.choice(_KINDS, p=_CHANCE_ABSENT if absent else _CHANCE_VAGUE if vague else _CHANCE)
        if kind == "mask":
            previous[i] = _rough(target, random)
        if kind == "box" or (kind == "mask" and random.random() < 0.5):  # as when a slice follows a slice
            jitter = 0.1 if kind == "box" else 0.2
            points[i, :2], labels[i, :2] = box_around(target, random, jitter), (2, 3)
        elif kind != "mask":
            n = 1 if kind == "click" else int(random.integers(3, 8))
            points[i, :n], labels[i, :n] = _inside(target, n, random), 1
    return Marks(torch.from_numpy(points), torch.from_numpy(labels), torch.from_numpy(previous))


def box_around(target: NDArray[np.bool_], random: Random, jitter: float = 0.1) -> NDArray[np.float32]:
    """Corners (x, y) of a target's box, each side moved by up to `jitter` of its length."""
    rows, columns = np.flatnonzero(target.any(1)), np.flatnonzero(target.any(0))
    edges = np.array([[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]], np.float32)
    moved = edges + random.uniform(-jitter, jitter, (2, 2)) * (edges[1] - edges[0])
    return np.asarray(np.clip(moved, 0, target.shape[0]), np.float32)


def correct(marks: Marks, logits: Tensor, truth: NDArray[np.bool_], random: Random) -> Marks:
    """Click once in the middle of each target's largest error and hand the mask back.

    Parameters
    ----------
    logits : (P, S/4, S/4)
        The answer so far.
    truth : (P, S, S) bool
        The targets.
    """
    answer = logits.detach().cpu()
    small = truth[:, 2::4, 2::4]
    points, labels = marks.points.clone(), marks.labels.clone()
    for i, wrong in enumerate((answer.numpy() > 0) != small):
        free = torch.nonzero(labels[i] == -1)
        if not wrong.any() or len(free) == 0:
            continue
        depth = ndimage.distance_transform_edt(np.pad(wrong, 1))[1:-1, 1:-1]
        best = np.flatnonzero(depth >= 0.8 * depth.max())
        row, column = divmod(int(random.choice(best)), wrong.shape[1])
        slot = int(free[0])
        points[i, slot] = torch.tensor([4 * column + 2.5, 4 * row + 2.5])
        labels[i, slot] = int(small[i, row, column])
    handed = torch.tanh(answer / 2)
    is_cut = torch.from_numpy(random.random(len(truth)) < 0.5)[:, None, None]  # as the product hands it back
    return replace(
        marks, points=points, labels=labels, previous=torch.where(is_cut, torch.sign(answer), handed)
    )


def _inside(target: NDArray[np.bool_], n: int, random: Random) -> NDArray[np.float32]:
    """N points (x, y) inside a target: the first anywhere, the others near a line through it."""
    rows, columns = np.nonzero(target)
    if n == 1:
        chosen = random.integers(0, len(rows), 1)
    else:
        angle = random.uniform(0, np.pi)
        along = rows * np.sin(angle) + columns * np.cos(angle)
        across = columns * np.sin(angle) - rows * np.cos(angle)
        near = np.argsort(np.abs(across - random.choice(across)))[: max(n, len(rows) // 8)]
        order = near[np.argsort(along[near])]
        chosen = order[np.linspace(0, len(order) - 1, n).astype(int)]
    return np.stack([columns[chosen] + 0.5, rows[chosen] + 0.5], 1).astype(np.float32)


def _rough(target: NDArray[np.bool_], random: Random) -> NDArray[np.float32]:
    """A first guess of a target at a quarter of the canvas: shifted, grown or shrunk, -1 to 1."""
    small = shaken(target[2::4, 2::4], random.uniform(-3, 3, 2), int(random.integers(-2, 4)))
    return np.where(small, 1.0, -1.0).astype(np.float32)
