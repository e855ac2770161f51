"""How good a promptable network expects its own answers to be."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_N_FACTS = 6


class AnswerQuality(nn.Module):
    """Judge each answer by what lies under it and along its rim; begins by adding nothing.

    Differs: SAM's quality comes from one token alone; this adds a judgement of each mask as it was drawn,
    without a gradient into the mask.
    """

    def __init__(self, token: int, channels: int, width: int = 64) -> None:
        super().__init__()
        last = nn.Linear(width, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        first = nn.Linear(2 * token + 2 * channels + _N_FACTS, width)
        self.layers = nn.Sequential(first, nn.GELU(), nn.Linear(width, width), nn.GELU(), last)

    def forward(self, quality_token: Tensor, mask_tokens: Tensor, features: Tensor, masks: Tensor) -> Tensor:
        """Say for each of K answers how much the expected quality should rise or fall, as a logit.

        Parameters
        ----------
        quality_token : (P, D)
        mask_tokens : (P, K, D)
        features : (P, C, Y, X)
            What the masks were drawn from.
        masks : (P, K, Y, X)
            Logits.

        Returns
        -------
        (P, K)
        """
        features, masks = features.detach(), masks.detach()
        inside = torch.sigmoid(masks)
        rim = 4 * inside * (1 - inside)
        area, unsure = inside.mean((2, 3)), rim.mean((2, 3))
        pooled = [
            torch.einsum("pkyx,pcyx->pkc", weight, features)
            / weight.sum((2, 3), dtype=features.dtype)[..., None].clamp(min=1.0)
            for weight in (inside, rim)
        ]
        firm = (inside * inside).mean((2, 3)) / area.clamp(min=1e-6)
        inner, outer = torch.sigmoid(masks - 1).mean((2, 3)), torch.sigmoid(masks + 1).mean((2, 3))
        stable = inner / outer.clamp(min=1e-6)
        share = unsure / area.clamp(min=1e-4)
        facts = torch.stack([area, unsure, firm, stable, share.clamp(max=8), masks.amax((2, 3)) / 8], 2)
        token = quality_token[:, None].expand_as(mask_tokens)
        answer: Tensor = self.layers(torch.cat([token, mask_tokens, *pooled, facts], 2))[..., 0]
        return answer
