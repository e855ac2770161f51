"""The published SAM models: SAM, MedSAM, SAM-Med2D, MobileSAM and HQ-SAM, in one network.

Source: Kirillov et al., Segment Anything, ICCV 2023; Ma et al., MedSAM, Nature Communications 2024; Cheng et
al., SAM-Med2D, 2023; Zhang et al., MobileSAM, 2023; Ke et al., HQ-SAM, NeurIPS 2023.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from segment_anything.modeling import ImageEncoderViT, PromptEncoder
from segment_anything.modeling.common import MLPBlock
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medseg.networks.attention import place, speed_up
from napari_medseg.networks.hq_decoder import OfficialMaskDecoder
from napari_medseg.networks.sam_decoder import Encoded
from napari_medseg.networks.sam_prompts import PromptBatch
from napari_medseg.networks.tiny_vit import TinyViT
from napari_medseg.networks.two_way import Ground, lay_out

_SURE = 1e-3  # a pixel of the previous mask is in or out with this much doubt


class Adapter(nn.Module):
    """SAM-Med2D's addition to a block: channels weighed, then a way down and up again over the plane.

    Source: Cheng et al., SAM-Med2D, 2023, figure 4.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.channel = nn.Sequential(
            nn.Linear(width, hidden, bias=False),
            nn.ReLU(),
            nn.Linear(hidden, width, bias=False),
            nn.Sigmoid(),
        )
        self.spatial = nn.Sequential(
            nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False),
            nn.ReLU(),
            nn.ConvTranspose2d(width, width, 4, stride=2, padding=1, bias=False),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, Y, X, C) to the same."""
        rows, columns = x.shape[1:3]
        weighed = x * self.channel(x.mean((1, 2)))[:, None, None]
        spread = self.spatial(weighed.permute(0, 3, 1, 2))[:, :, :rows, :columns]
        return self.norm(x + spread.permute(0, 2, 3, 1))


class AdaptedMlp(MLPBlock):
    """SAM's perceptron with an adapter beside it."""

    def __init__(self, width: int, mlp: int, adapter: int) -> None:
        super().__init__(width, mlp)
        self.adapter = Adapter(width, adapter)

    def forward(self, x: Tensor) -> Tensor:
        """(B, Y, X, C) to the same."""
        return super().forward(x) + self.adapter(x)


class OfficialSam(nn.Module):
    """A published SAM, asked in the same words as the compact one.

    Parameters
    ----------
    layout : str
        "vit" or "tiny_vit": which image encoder.
    encoder, decoder : Mapping
        Numbers of the image encoder and of the mask decoder, as `checkpoints.numbers_of` reads them off.
    mask_channels : int
        Width of the previous mask's embedding on its way.
    best_first : bool
        Whether the best of the three alternatives is the single answer, as SAM-Med2D was trained.
    """

    def __init__(
        self,
        layout: str,
        encoder: Mapping[str, Any],
        decoder: Mapping[str, Any],
        mask_channels: int = 16,
        best_first: bool = False,
    ) -> None:
        super().__init__()
        width = decoder["width"]
        self.best_first = best_first
        self.image_encoder = (
            TinyViT(**encoder, out=width) if layout == "tiny_vit" else _vit(**encoder, out=width)
        )
        self.prompt_encoder = PromptEncoder(
            embed_dim=width, image_embedding_size=(64, 64), input_image_size=(1024, 1024),
            mask_in_chans=mask_channels,
        )  # fmt: skip
        self.mask_decoder = OfficialMaskDecoder(**decoder)
        self._laid: list[tuple[Tensor, Ground]] = []

    def encode(self, images: Tensor) -> Encoded:
        """Look at (B, 3, Y, X) prepared images once; any canvas whose sides are multiples of 16 will do.

        `stem` holds what HQ-SAM's decoder draws on, and nothing for the others.
        """
        encoder = self.image_encoder
        if isinstance(encoder, TinyViT):
            embedding, levels = encoder(images)
        else:
            embedding, levels = _look(encoder, images)
        decoder = self.mask_decoder
        stem = (decoder.fine_features(embedding, levels[0]),) if decoder.early else ()
        return Encoded(embedding=embedding, levels=levels, stem=stem)

    def decode(self, encoded: Encoded, prompts: PromptBatch) -> tuple[Tensor, Tensor]:
        """Answer one prompt for each image of `encoded`: masks (P, 4, Y/4, X/4) and quality (P, 4).

        Prompts of different length are answered apart, so that what one is padded with changes no other.
        """
        laid, dense, tokens, n_tokens = self.read(encoded, prompts)
        order, answers = [], []
        for n in n_tokens.unique().tolist():
            same = (n_tokens == n).nonzero()[:, 0]
            ground = (laid if len(tokens) == 1 else laid.take(same)).under(dense[same])
            fine = encoded.stem[0][same] if encoded.stem else None
            answers.append(self.mask_decoder.decode(ground, tokens[same, :n], fine))
            order.append(same)
        back = torch.cat(order).argsort()
        masks, quality = (torch.cat(parts)[back] for parts in zip(*answers, strict=True))
        masks, quality = _best_first(masks, quality) if self.best_first else (masks, quality)
        return masks, quality.clamp(0, 1)  # SAM's own head knows no limits

    def read(self, encoded: Encoded, prompts: PromptBatch) -> tuple[Ground, Tensor, Tensor, Tensor]:
        """What the decoder is told: images, previous masks, tokens (P, N, D), how many are meant (P,)."""
        laid = self._laid_out(encoded.embedding)
        points, labels, n_tokens = _as_sam_asks(prompts)
        tokens = self._tokens(points, labels, (16 * laid.grid[0], 16 * laid.grid[1]))
        return laid, self._previous_mask(prompts.maps[:, 0]), tokens, n_tokens

    def _laid_out(self, embedding: Tensor) -> Ground:
        """What depends on the images alone; of the last two embeddings it is kept, for the next click."""
        learns = torch.is_grad_enabled()
        for known, laid in () if learns else self._laid:
            if known is embedding:
                return laid
        position = self.prompt_encoder.pe_layer((embedding.shape[2], embedding.shape[3]))[None]
        laid = lay_out(embedding, position)
        self._laid = [] if learns else [(embedding, laid), *self._laid[:1]]
        return laid

    def _previous_mask(self, previous: Tensor) -> Tensor:
        """(P, Y/4, X/4) from -1 to 1 as (P, D, Y/16, X/16); "no mask" for each prompt that has none."""
        encoder = self.prompt_encoder
        is_known = (previous != 0).flatten(1).any(1)[:, None, None, None]
        p, rows, columns = previous.shape
        none = encoder.no_mask_embed.weight[:, :, None, None].expand(p, -1, rows // 4, columns // 4)
        if not is_known.any():
            return none
        logits = torch.logit((previous + 1) / 2, eps=_SURE)
        return torch.where(is_known, encoder.mask_downscaling(logits[:, None]), none)

    def _tokens(self, points: Tensor, labels: Tensor, canvas: tuple[int, int]) -> Tensor:
        """Points, corners and padding as (P, N, D) tokens, with SAM's own embeddings."""
        encoder = self.prompt_encoder
        place = encoder.pe_layer.forward_with_coords(points, canvas)
        kinds = (encoder.not_a_point_embed, *encoder.point_embeddings)
        learnt = torch.cat([kind.weight for kind in kinds])
        return place * (labels >= 0)[..., None] + learnt[labels + 1]


def _as_sam_asks(prompts: PromptBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Points (P, N, 2) and labels (P, N), padding last, and how many of each prompt SAM would give (P,).

    SAM pads what has no box by one token. A mask alone says little to it: as in micro-sam (Archit et al.,
    Nature Methods 2025), where a mask is followed from slice to slice, the box around it goes with it.
    """
    points, labels = F.pad(prompts.points, (0, 0, 0, 2)), F.pad(prompts.labels, (0, 2), value=-1)
    order = (labels < 0).int().argsort(dim=1, stable=True)
    points, labels = points.gather(1, order[..., None].expand_as(points)), labels.gather(1, order)
    inside = prompts.maps[:, 0] > 0
    for i in ((labels[:, 0] < 0) & inside.flatten(1).any(1)).nonzero()[:, 0].tolist():
        where = inside[i].nonzero().flip(1)  # (row, column) -> (x, y), in quarters of the canvas
        points[i, :2] = 4.0 * torch.stack([where.amin(0), where.amax(0) + 1])
        labels[i, :2] = labels.new_tensor([2, 3])
    n_given = (labels >= 0).sum(1)
    has_box = (labels >= 2).any(1)
    return points, labels, n_given + (~has_box & (n_given > 0))


def _best_first(masks: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
    """Put the alternative (P, 4, ...) of the highest expected overlap in the single answer's place."""
    best = 1 + quality[:, 1:].argmax(1)
    each = torch.arange(len(best), device=best.device)
    first = masks[each, best][:, None], quality[each, best][:, None]
    return torch.cat([first[0], masks[:, 1:]], 1), torch.cat([first[1], quality[:, 1:]], 1)


def _look(encoder: ImageEncoderViT, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """SAM's encoder on a canvas of any size: the embedding, and the outputs of the global blocks."""
    x = place(encoder, encoder.patch_embed(images))
    levels = []
    for block in encoder.blocks:
        x = block(x)
        if block.window_size == 0:
            levels.append(x)
    return encoder.neck(x.permute(0, 3, 1, 2)), tuple(levels)


def _vit(
    grid: int, width: int, depth: int, heads: int, mlp: int, window: int, global_blocks: Sequence[int],
    adapter: int, out: int,
) -> ImageEncoderViT:  # fmt: skip
    """SAM's image encoder; with adapters if `adapter`, their inner width, is not 0."""
    encoder = ImageEncoderViT(
        img_size=16 * grid,
        embed_dim=width,
        depth=depth,
        num_heads=heads,
        mlp_ratio=mlp / width,
        out_chans=out,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=window,
        global_attn_indexes=tuple(global_blocks),
    )
    if not adapter:
        return speed_up(encoder)
    for block in encoder.blocks:  # an adapter looks at the whole plane, so that strips will not do
        block.mlp = AdaptedMlp(width, mlp, adapter)
    return encoder


def build_official(**numbers: Any) -> OfficialSam:
    """Build the network without its weights, which `weights.fill` puts in: so they are in memory once."""
    with torch.device("meta"):
        return OfficialSam(**numbers)
