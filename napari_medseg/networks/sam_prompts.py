"""Prompts as a promptable network reads them: points and boxes, and the same drawn as dense maps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

N_MAPS = 4  # previous mask, inside, outside, box
MARK_RADIUS = 1.5  # of a drawn point, in cells of a quarter of the canvas


@dataclass(frozen=True)
class PromptBatch:
    """Points and boxes of P prompts, padded to the same number N of points.

    Parameters
    ----------
    points : (P, N, 2)
        (x, y) on the canvas, counted from pixel edges.
    labels : (P, N)
        1 inside, 0 outside, 2 and 3 the box's first and last corner, -1 padding.
    maps : (P, 4, Y/4, X/4)
        Dense prompts: previous mask (-1 to 1, 0 unknown), inside marks, outside marks, and the box as its
        inscribed ellipse (1 in the middle, 0.5 on the ellipse, towards 0 outside).
    """

    points: Tensor
    labels: Tensor
    maps: Tensor

    def to(self, device: str | torch.device) -> PromptBatch:
        """The same prompts on another device."""
        return PromptBatch(self.points.to(device), self.labels.to(device), self.maps.to(device))


def prompt_maps(points: Tensor, labels: Tensor, previous: Tensor) -> Tensor:
    """Draw points and boxes as dense maps beside the previous mask.

    Parameters
    ----------
    points, labels : (P, N, 2), (P, N)
        As in `PromptBatch`.
    previous : (P, Y/4, X/4)
        Previous mask, -1 to 1, 0 where unknown.

    Returns
    -------
    (P, 4, Y/4, X/4)
    """
    _, rows, columns = previous.shape
    y = torch.arange(rows, device=points.device) + 0.5
    x = torch.arange(columns, device=points.device) + 0.5
    cells = points / 4.0  # canvas pixels -> cells of a quarter of the canvas
    near_x = torch.exp(-((cells[..., 0, None] - x) ** 2) / (2 * MARK_RADIUS**2))  # (P, N, X)
    near_y = torch.exp(-((cells[..., 1, None] - y) ** 2) / (2 * MARK_RADIUS**2))  # (P, N, Y)
    marks = near_y[..., :, None] * near_x[..., None, :]  # (P, N, Y, X)
    inside = (marks * (labels == 1)[..., None, None]).amax(1)
    outside = (marks * (labels == 0)[..., None, None]).amax(1)
    first = (cells * (labels == 2)[..., None]).sum(1)
    last = (cells * (labels == 3)[..., None]).sum(1)
    middle, half = (first + last) / 2, ((last - first) / 2).clamp(min=0.5)
    across = ((x - middle[:, :1]) / half[:, :1]) ** 2
    along = ((y - middle[:, 1:]) / half[:, 1:]) ** 2
    within = 1.0 / (1.0 + (along[:, :, None] + across[:, None, :]) ** 2)
    box = within * (labels == 3).any(1)[:, None, None]
    return torch.stack([previous, inside, outside, box], 1)
