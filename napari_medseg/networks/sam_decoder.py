"""The compact SAM's mask decoder, and what it is given of the image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from segment_anything.modeling import MaskDecoder
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medseg.networks.appearance import N_APPEARANCE
from napari_medseg.networks.sam_prompts import N_MAPS
from napari_medseg.networks.sam_quality import AnswerQuality

_N_DENSE = N_MAPS + N_APPEARANCE


@dataclass(frozen=True)
class Encoded:
    """What the encoder knows of a batch of images; everything prompts need.

    Parameters
    ----------
    embedding : (B, D, Y/16, X/16)
        SAM's image embedding.
    levels : tuple of (B, Y/16, X/16, C)
        Outputs of the global-attention blocks, shallow to deep.
    stem : tuple of (B, C4, Y/4, X/4), (B, C8, Y/8, X/8)
        Fine features of the convolutional stem; empty for SAM's own patch embedding.
    colour : (B, 3, Y/4, X/4) or None
        The prepared image, averaged down; None for a network that does not look at it again.
    """

    embedding: Tensor
    levels: tuple[Tensor, ...]
    stem: tuple[Tensor, ...]
    colour: Tensor | None = None

    def take(self, images: Tensor) -> Encoded:
        """Pick (or repeat) images by their (N,) position in the batch."""
        return Encoded(
            self.embedding[images],
            tuple(level[images] for level in self.levels),
            tuple(fine[images] for fine in self.stem),
            None if self.colour is None else self.colour[images],
        )


class Refinement(nn.Module):
    """A residual block that begins as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(P, C, Y, X) to the same."""
        return x + self.last(F.gelu(self.first(self.norm(x))))


class FineMaskDecoder(MaskDecoder):
    """SAM's mask decoder with the stem's fine features and the dense prompt maps on the way up.

    Differs: as in SAM 2 (Ravi et al., 2024) fine encoder features join the upscaling; the prompt maps do
    too, as in RITM (Sofiiuk et al., 2022), with maps of the image's appearance under the prompts, so that a
    small model learns from few images where to look.
    """

    def __init__(self, stem: tuple[int, int], **keywords: object) -> None:
        super().__init__(**keywords)
        d = self.transformer_dim
        self.prompt_tokens = nn.Conv2d(_N_DENSE, d, 4, stride=4)
        self.up_eighth = nn.ConvTranspose2d(d, d // 2, 2, stride=2)
        self.up_quarter = nn.ConvTranspose2d(d // 2, d // 4, 2, stride=2)
        self.from_eighth = nn.Conv2d(stem[1] + _N_DENSE, d // 2, 1)
        self.from_quarter = nn.Conv2d(stem[0] + _N_DENSE, d // 4, 1)
        self.mix_eighth = nn.Sequential(
            LayerNorm2d(d // 2), nn.GELU(), nn.Conv2d(d // 2, d // 2, 3, padding=1)
        )
        self.mix_quarter = nn.Sequential(
            LayerNorm2d(d // 4), nn.GELU(), nn.Conv2d(d // 4, d // 4, 3, padding=1)
        )
        self.refine = nn.ModuleList(Refinement(d // 4) for _ in range(2))
        self.out_norm = LayerNorm2d(d // 4)
        self.answer_quality = AnswerQuality(d, d // 4)
        del self.output_upscaling
        self.output_hypernetworks_mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, d), nn.ReLU(), nn.Linear(d, d // 4))
            for _ in range(self.num_mask_tokens)
        )

    def decode(
        self, encoded: Encoded, position: Tensor, sparse: Tensor, maps: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Answer one prompt for each image of `encoded`.

        Parameters
        ----------
        encoded : Encoded
            Of P images, repeated where several prompts share one.
        position : (1, D, Y/16, X/16)
            SAM's position encoding.
        sparse : (P, N, D)
            Prompt tokens.
        maps : (P, 10, Y/4, X/4)
            Dense prompts and the maps of appearance.

        Returns
        -------
        masks : (P, 4, Y/4, X/4)
            Logits; the first is the single answer, the others are alternatives for an unclear prompt.
        quality : (P, 4)
            Expected intersection over union, 0 to 1.
        """
        learnt = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([learnt.expand(len(sparse), -1, -1), sparse], dim=1)
        keys = encoded.embedding + self.prompt_tokens(maps)
        hidden, keys = self.transformer(keys, position.expand(len(sparse), -1, -1, -1), tokens)
        keys = keys.transpose(1, 2).reshape(encoded.embedding.shape)  # (P, YX, D) -> (P, D, Y, X)
        x = self.enlarge(keys, encoded.stem, maps)
        weights = torch.stack(
            [mlp(hidden[:, 1 + i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)], 1
        )
        masks = torch.einsum("pkc,pcyx->pkyx", weights, x)
        judged = self.answer_quality(hidden[:, 0], hidden[:, 1 : 1 + self.num_mask_tokens], x, masks)
        return masks, torch.sigmoid(self.iou_prediction_head(hidden[:, 0]) + judged)

    def enlarge(self, image: Tensor, stem: tuple[Tensor, ...], maps: Tensor) -> Tensor:
        """The image's tokens (P, D, Y/16, X/16), fourfold and refined: (P, D/4, Y/4, X/4)."""
        quarter, eighth = stem
        half_maps = F.avg_pool2d(maps, 2)
        x = self.up_eighth(image) + self.from_eighth(torch.cat([eighth, half_maps], 1))
        x = x + self.mix_eighth(x)
        x = self.up_quarter(x) + self.from_quarter(torch.cat([quarter, maps], 1))
        x = x + self.mix_quarter(x)
        for block in self.refine:
            x = block(x)
        return self.out_norm(x)
