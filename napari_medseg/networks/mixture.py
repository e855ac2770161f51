"""A mixture of experts over tokens: a router gives each token to the expert that suits it.

Source: Shazeer et al., Outrageously Large Neural Networks, ICLR 2017 (noisy gate, smooth load); Fedus et al.,
Switch Transformers, JMLR 2022 (one expert a token, weighed by its probability).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LEAST_NOISE = 1e-2


@dataclass(frozen=True)
class Routing:
    """What a router decided for P samples of T tokens among E experts.

    Parameters
    ----------
    share : (P, T, E)
        Probability of each expert.
    load : (P, T, E)
        Probability, over the noise, that an expert is among those chosen; without noise 0 or 1.
    chosen : (P, T)
        The first choice.
    confidence : (P, T)
        Its logit.
    """

    share: Tensor
    load: Tensor
    chosen: Tensor
    confidence: Tensor

    def balance(self) -> Tensor:
        """How unevenly the experts are used: 0 where all are used alike."""
        return uneven(self.share.sum((0, 1))) + uneven(self.load.sum((0, 1)))


def uneven(amounts: Tensor) -> Tensor:
    """The squared coefficient of variation of (E,) amounts: variance over squared mean."""
    return amounts.var(correction=0) / amounts.mean().square().clamp(min=1e-10)


class Router(nn.Module):
    """Weigh experts for each token; while training with noise, so that all are tried.

    Differs
    -------
    SegMoTE's code takes a softmax over the kept logit alone, which is always 1 and gives the router no
    gradient. As in the Switch Transformer, the softmax goes over all experts here.
    """

    def __init__(self, width: int, n_experts: int, n_chosen: int = 1) -> None:
        super().__init__()
        self.n_chosen = min(n_chosen, n_experts)
        self.gate = nn.Parameter(torch.randn(width, n_experts) * 0.02)
        self.noise = nn.Parameter(torch.zeros(width, n_experts))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Routing]:
        """(P, T, D) to the weights (P, T, E), 0 for experts that were not chosen, and the decision."""
        plain = tokens @ self.gate
        spread = F.softplus(tokens @ self.noise) + _LEAST_NOISE
        logits = plain + torch.randn_like(plain) * spread if self.training else plain
        share = logits.softmax(-1)
        top = logits.topk(self.n_chosen, -1)
        kept = torch.zeros_like(share).scatter(-1, top.indices, 1.0)
        load = self._smooth_load(plain, spread, logits, kept) if self.training else kept
        weights = share * kept
        if self.n_chosen > 1:
            weights = weights / weights.sum(-1, keepdim=True)
        return weights, Routing(share, load, top.indices[..., 0], top.values[..., 0])

    def _smooth_load(self, plain: Tensor, spread: Tensor, logits: Tensor, kept: Tensor) -> Tensor:
        """The chance that each expert would be chosen again with other noise of its own (Shazeer, eq. 9)."""
        k = self.n_chosen
        if k == logits.shape[-1]:
            return kept
        top = logits.topk(k + 1, -1).values
        to_beat = torch.where(kept > 0, top[..., k : k + 1], top[..., k - 1 : k])
        return torch.special.ndtr((plain - to_beat) / spread)


class TokenMixture(nn.Module):
    """Experts of low rank in place of a decoder layer's perceptron, for the expert tokens only.

    Differs
    -------
    SegMoTE's code replaces the token by a product of matrices. Here the experts' answer passes two
    non-linearities and is added, through a projection that begins at zero.
    """

    def __init__(self, width: int, n_experts: int, rank: int = 64, n_chosen: int = 1) -> None:
        super().__init__()
        self.n_experts = n_experts
        self.router = Router(width, n_experts, n_chosen)
        self.experts = nn.Linear(width, n_experts * rank)
        self.first, self.second = nn.Linear(rank, rank), nn.Linear(rank, rank)
        self.project = begin_at_zero(nn.Linear(rank, width))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Routing | None]:
        """(P, T, D) to the same, and what the router decided."""
        weights, routing = self.router(tokens)
        seen = self.experts(tokens).unflatten(-1, (self.n_experts, -1))  # (P, T, E rank) -> (P, T, E, rank)
        mixed = torch.einsum("pte,pter->ptr", weights, seen)
        return tokens + self.project(F.gelu(self.second(F.gelu(self.first(mixed))))), routing


class PlainStep(nn.Module):
    """The control: one perceptron with as many parameters as a mixture, and no router."""

    def __init__(self, width: int, n_parameters: int) -> None:
        super().__init__()
        hidden = max(1, round((n_parameters - width) / (2 * width + 1)))
        self.widen, self.project = nn.Linear(width, hidden), begin_at_zero(nn.Linear(hidden, width))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Routing | None]:
        """(P, T, D) to the same; nothing was routed."""
        return tokens + self.project(F.gelu(self.widen(tokens))), None


def choose(of_tokens: Tensor, confidence: Tensor) -> tuple[Tensor, Tensor]:
    """Take what the most confident token says, in a way that all tokens learn from.

    Parameters
    ----------
    of_tokens : (P, T, ...)
        Something of each token: its mask, or the token itself.
    confidence : (P, T)
        Logits.

    Returns
    -------
    hard, soft : (P, ...)
        The best token's, with the gradient of the soft one (straight through); and the average weighed by
        the softmax of the confidence.
    """
    shape = (*confidence.shape, *(1,) * (of_tokens.dim() - 2))
    soft = (confidence.softmax(1).view(shape) * of_tokens).sum(1)
    hard = of_tokens[torch.arange(len(of_tokens), device=of_tokens.device), confidence.argmax(1)]
    return soft + (hard - soft).detach(), soft


def n_parameters(module: nn.Module) -> int:
    """How many numbers a module learns."""
    return sum(part.numel() for part in module.parameters())


def perceptron(inner: int, outer: int, n_wanted: int) -> nn.Sequential:
    """Two hidden layers, as wide as it takes to have about so many parameters."""
    b = inner + outer + 2
    hidden = max(1, round((-b + (b * b + 4 * (n_wanted - outer)) ** 0.5) / 2))
    return nn.Sequential(
        nn.Linear(inner, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, outer)
    )


def begin_at_zero(layer: nn.Linear) -> nn.Linear:
    """Let a layer say nothing until it has learnt something."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
