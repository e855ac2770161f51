"""SegMoTE: a frozen SAM whose masks a few expert tokens refine, asked by prompts, by name, or by both.

Source: SegMoTE (2026), its paper and code; the fused features are HQ-SAM's (Ke et al., NeurIPS 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from segment_anything.modeling.mask_decoder import MLP
from torch import Tensor, nn

from napari_medseg.networks.expert_pass import both_ways_with_experts
from napari_medseg.networks.fused_features import FusedFeatures
from napari_medseg.networks.mixture import (
    PlainStep,
    Routing,
    TokenMixture,
    begin_at_zero,
    choose,
    n_parameters,
    perceptron,
)
from napari_medseg.networks.official import OfficialSam
from napari_medseg.networks.prompt_tokens import Fit, PromptTokens, TextToken
from napari_medseg.networks.sam import CompactSam
from napari_medseg.networks.sam_decoder import Encoded
from napari_medseg.networks.sam_prompts import PromptBatch
from napari_medseg.networks.two_way import Ground, lay_out


@dataclass(frozen=True)
class Asked:
    """What is asked of P images.

    Parameters
    ----------
    prompts : PromptBatch
        Clicks, boxes and previous masks; the previous mask always counts.
    text : (P, W) long
        Names as bytes, see `state_encoder.read_text`.
    is_prompted, is_free, is_named : (P,) bool
        Whether clicks and boxes, tokens drawn from the image, and the name count.
    """

    prompts: PromptBatch
    text: Tensor
    is_prompted: Tensor
    is_free: Tensor
    is_named: Tensor


@dataclass(frozen=True)
class Answered:
    """What SegMoTE says of P images.

    Parameters
    ----------
    masks : (P, Y/4, X/4)
        Logits.
    soft : (P, Y/4, X/4)
        The same with all expert tokens weighed by their confidence.
    quality : (P,)
        Expected intersection over union, 0 to 1.
    presence : (P,)
        Logit that the structure is there at all.
    token : (P,)
        The expert token that drew the mask.
    routing : tuple of Routing
        One a layer; empty for the control.
    """

    masks: Tensor
    soft: Tensor
    quality: Tensor
    presence: Tensor
    token: Tensor
    routing: tuple[Routing, ...]

    def balance(self) -> Tensor:
        """How unevenly experts are used, over all layers."""
        return torch.stack([self.masks.new_zeros(()), *(one.balance() for one in self.routing)]).sum()


class SegMoTE(nn.Module):
    """What is learnt on top of a frozen SAM, which every call is given.

    Parameters
    ----------
    width : int
        Of the SAM's decoder.
    fine : int
        Channels of its enlarged image: an eighth of the width in a published SAM, a quarter in a compact one.
    middle : int
        Channels on the way to the fused features; HQ-SAM has twice `fine`.
    early : int
        Channels of the encoder's first global block, 0 to leave it out.
    stem : (quarter, eighth) or ()
        Channels of a compact SAM's convolutional stem.
    n_experts, n_chosen, rank : int
        Of the mixtures; there are as many expert tokens as experts.
    n_free : int
        Tokens drawn from the image.
    plain : bool
        The control: one learned query with as many parameters as the experts.
    """

    def __init__(
        self,
        width: int = 128,
        fine: int = 32,
        middle: int = 32,
        early: int = 0,
        stem: tuple[int, ...] = (48, 96),
        n_experts: int = 4,
        n_chosen: int = 1,
        rank: int = 64,
        n_free: int = 2,
        plain: bool = False,
        depth: int = 2,
    ) -> None:
        super().__init__()
        if (
            min(width, fine, middle, n_experts, n_chosen, rank, n_free, depth) < 1
            or max(width, early, *stem) > 4096
        ):
            raise ValueError("sizes must be positive and stay within reason")
        steps: list[nn.Module] = [TokenMixture(width, n_experts, rank, n_chosen) for _ in range(depth)]
        heads: list[nn.Module] = [MLP(width, width, fine, 3) for _ in range(n_experts)]
        if plain:
            steps = [PlainStep(width, n_parameters(step)) for step in steps]
            heads = [perceptron(width, fine, sum(map(n_parameters, heads)) + (n_experts - 1) * width)]
        for head in heads:  # so that the first answer is SAM's own
            begin_at_zero(_last(head))
        self.tokens = nn.Parameter(torch.randn(len(heads), width) * 0.02)
        self.steps, self.heads = nn.ModuleList(steps), nn.ModuleList(heads)
        self.fused = FusedFeatures(width, fine, middle, early, stem)
        self.free, self.text, self.fit = PromptTokens(width, n_free), TextToken(width), Fit(width)
        self.quality, self.presence = nn.Linear(width, 1), perceptron(2 * width, 1, 2 * width * width)

    @classmethod
    def tiny(cls, **numbers: Any) -> SegMoTE:
        """A network small enough for tests, for the tiny compact SAM."""
        sizes: dict[str, Any] = {
            "width": 32,
            "fine": 8,
            "middle": 8,
            "stem": (8, 16),
            "n_experts": 4,
            "rank": 8,
        }
        return cls(**sizes | numbers)

    def forward(self, sam: CompactSam | OfficialSam, encoded: Encoded, asked: Asked) -> Answered:
        """Answer one question for each image of `encoded`."""
        ground, given, is_given, maps = _read(sam, encoded, asked.prompts)
        free, text = self.free(encoded.embedding), self.text(asked.text)
        decoder, p = sam.mask_decoder, len(given)
        own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight]).expand(p, -1, -1)
        is_there = torch.cat(
            [
                torch.ones(own.shape[:2], dtype=torch.bool, device=own.device),
                is_given & asked.is_prompted[:, None],
                asked.is_free[:, None].expand(-1, free.shape[1]),
                asked.is_named[:, None],
            ],
            1,
        )
        tokens, experts, image, routing = both_ways_with_experts(
            decoder.transformer, self.steps, ground, torch.cat([own, given, free, text], 1), is_there,
            self.tokens.expand(p, -1, -1),
        )  # fmt: skip
        fits = self.fit(encoded.embedding, text)[:, 0]
        return self._answer(sam, encoded, maps, (tokens, experts, image, fits), routing)

    def fits(self, embedding: Tensor, text: Tensor) -> Tensor:
        """Logits (P, J) that pictures (P, D, Y, X) are of a kind that can show names (J, W)."""
        return self.fit(embedding, self.text(text)[:, 0].expand(len(embedding), -1, -1))

    def _answer(
        self, sam: CompactSam | OfficialSam, encoded: Encoded, maps: Tensor | None,
        seen: tuple[Tensor, Tensor, Tensor, Tensor], routing: list[Routing],
    ) -> Answered:  # fmt: skip
        """From tokens and image to SAM's single mask with what the chosen expert adds."""
        tokens, experts, image, fits = seen
        decoder = sam.mask_decoder
        image = image.transpose(1, 2).reshape(encoded.embedding.shape)  # (P, YX, D) -> (P, D, Y, X)
        drawn = (
            decoder.output_upscaling(image) if maps is None else decoder.enlarge(image, encoded.stem, maps)
        )
        by_sam = torch.einsum("pc,pcyx->pyx", decoder.output_hypernetworks_mlps[0](tokens[:, 1]), drawn)
        rows = torch.stack([head(experts[:, i]) for i, head in enumerate(self.heads)], 1)
        confidence = routing[-1].confidence if routing else experts.new_zeros(experts.shape[:2])
        row, soft_row = choose(rows, confidence)
        fused = self.fused(drawn, encoded)
        masks, soft = (by_sam + torch.einsum("pc,pcyx->pyx", r, fused) for r in (row, soft_row))
        best, _ = choose(experts, confidence)
        quality = self.quality(best)[:, 0].sigmoid()
        presence = fits + self.presence(torch.cat([best, tokens[:, -1]], 1))[:, 0]
        return Answered(masks, soft, quality, presence, confidence.argmax(1), tuple(routing))


def _read(
    sam: CompactSam | OfficialSam, encoded: Encoded, prompts: PromptBatch
) -> tuple[Ground, Tensor, Tensor, Tensor | None]:
    """Images, prompt tokens (P, N, D), which of them are meant (P, N), and a compact SAM's dense maps."""
    if isinstance(sam, OfficialSam):
        ground, dense, tokens, n_meant = sam.read(encoded, prompts)
        is_meant = torch.arange(tokens.shape[1], device=tokens.device) < n_meant[:, None]
        return ground.under(dense), tokens, is_meant, None
    position, tokens, maps = sam.read(encoded, prompts)
    ground = lay_out(encoded.embedding + sam.mask_decoder.prompt_tokens(maps), position)
    is_meant = prompts.labels >= 0
    is_meant[:, 0] |= ~is_meant.any(1)  # where nothing is pointed at, one token says so
    return ground, tokens, is_meant, maps


def _last(head: nn.Module) -> nn.Linear:
    return [layer for layer in head.modules() if isinstance(layer, nn.Linear)][-1]
