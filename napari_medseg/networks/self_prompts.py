"""Self-prompting: learnt prompts in the image encoder become prompts of the mask decoder."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class RowMlp(nn.Module):
    """A small perceptron of its own for each of R rows.

    Parameters
    ----------
    n_rows : int
    sizes : tuple of int
        Widths from input to output, with a ReLU between layers.
    """

    def __init__(self, n_rows: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
        self.weights = nn.ParameterList(_uniform(a, n_rows, a, b) for a, b in pairs)
        self.biases = nn.ParameterList(_uniform(a, n_rows, b) for a, b in pairs)

    def forward(self, x: Tensor, rows: Tensor) -> Tensor:
        """(..., P, C) to (..., P, C'), each of the P by the perceptron of its row (P,)."""
        last = len(self.weights) - 1
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.einsum("...pc,pcd->...pd", x, weight[rows]) + bias[rows]
            x = x if number == last else torch.relu(x)
        return x


def _uniform(inputs: int, *shape: int) -> nn.Parameter:
    """Begin as torch's linear layers do."""
    bound = 1 / math.sqrt(inputs)
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


class TaskPrompts(nn.Module):
    """What belongs to one row alone: a structure, or the background of a task.

    Parameters
    ----------
    n_rows : int
        Structures and backgrounds of all tasks.
    width, decoder : int
        Of the image encoder and of the mask decoder.
    n_levels : int
        Global-attention blocks; 0 for a network that is not self-prompted.
    n_decoders : int
        Levels whose coarse masks are trained.
    weighing : sequence of widths
        Of the perceptrons that turn a row's token into weights of features.
    """

    def __init__(
        self,
        n_rows: int,
        width: int,
        decoder: int,
        n_levels: int,
        n_decoders: int = 0,
        weighing: Sequence[tuple[int, ...]] = (),
    ) -> None:
        super().__init__()
        inner = decoder // 4
        self.queries = nn.ParameterList(
            nn.Parameter(0.02 * torch.randn(n_rows, width)) for _ in range(n_levels)
        )
        self.answers = nn.ModuleList(
            RowMlp(n_rows, (decoder, inner, inner, decoder)) for _ in range(n_levels)
        )
        self.masks = nn.Parameter(0.02 * torch.randn(n_rows, decoder))
        self.aside = nn.ParameterList(nn.Parameter(torch.zeros(n_rows, decoder)) for _ in range(n_decoders))
        self.weighing = nn.ModuleList(RowMlp(n_rows, sizes) for sizes in weighing)
        self.judged = nn.Parameter(torch.zeros(n_rows, 2))  # quality and presence, added as logits


def bridge(width: int, decoder: int) -> nn.Sequential:
    """The way from the encoder's prompts to the decoder's that all rows share: (..., C) to (..., D).

    Source
    ------
    HSP-SAM, eq. 1, f; layers as in the authors' code.
    """
    inner = width // 4
    return nn.Sequential(
        nn.Linear(width, inner),
        nn.LeakyReLU(),
        nn.Linear(inner, inner),
        nn.LeakyReLU(),
        nn.Linear(inner, decoder),
    )
