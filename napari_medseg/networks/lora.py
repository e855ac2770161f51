"""Low-rank adaptation of SAM's attention: a few numbers beside frozen weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn


class LowRank(nn.Module):
    """What is added to the queries and the values of one block; begins by adding nothing.

    Source
    ------
    Hu et al., LoRA, ICLR 2022; on queries and values of SAM as in Zhang and Liu, SAMed, 2023.
    """

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.down_q = nn.Linear(width, rank, bias=False)
        self.up_q = nn.Linear(rank, width, bias=False)
        self.down_v = nn.Linear(width, rank, bias=False)
        self.up_v = nn.Linear(rank, width, bias=False)
        for down, up in ((self.down_q, self.up_q), (self.down_v, self.up_v)):
            nn.init.kaiming_uniform_(down.weight, a=math.sqrt(5))
            nn.init.zeros_(up.weight)

    def forward(self, project: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Project (..., C) tokens to queries, keys and values (..., 3 C), with what was learnt added."""
        queries, values = self.up_q(self.down_q(x)), self.up_v(self.down_v(x))
        return project(x) + torch.cat([queries, torch.zeros_like(queries), values], -1)
