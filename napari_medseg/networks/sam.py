"""SAM built from segment-anything's modules: the official sizes and a compact one for laptops.

Source: Kirillov et al., Segment Anything, ICCV 2023, and its code (facebookresearch/segment-anything).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medseg.core.errors import WeightsError

N_MAPS = 4  # dense prompt maps of the compact decoder: previous mask, inside, outside, box
MARK_RADIUS = 1.5  # of a drawn point, in cells of a quarter of the canvas


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
    """

    embedding: Tensor
    levels: tuple[Tensor, ...]
    stem: tuple[Tensor, ...]

    def take(self, images: Tensor) -> Encoded:
        """Pick (or repeat) images by their (N,) position in the batch."""
        return Encoded(
            self.embedding[images],
            tuple(level[images] for level in self.levels),
            tuple(fine[images] for fine in self.stem),
        )


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


class ConvStem(nn.Module):
    """Four strided convolutions in place of one 16 x 16 patch embedding; keeps the finer features.

    Source: Xiao et al., Early Convolutions Help Transformers See Better, NeurIPS 2021.
    """

    def __init__(self, width: int, channels: tuple[int, int, int]) -> None:
        super().__init__()
        sizes = (3, *channels, width)
        self.steps = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1), LayerNorm2d(b), nn.GELU())
            for a, b in zip(sizes[:-1], sizes[1:], strict=True)
        )
        self.last = nn.Conv2d(width, width, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(B, 3, Y, X) to tokens (B, Y/16, X/16, C) and the features at a quarter and an eighth."""
        x = self.steps[0](images)
        quarter = self.steps[1](x)
        eighth = self.steps[2](quarter)
        tokens = self.last(self.steps[3](eighth)).permute(0, 2, 3, 1)  # (B, C, Y, X) -> (B, Y, X, C)
        return tokens, (quarter, eighth)


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
    too, as in RITM (Sofiiuk et al., 2022), so that a small model learns from few images where to look.
    """

    def __init__(self, stem: tuple[int, int], **keywords: object) -> None:
        super().__init__(**keywords)
        d = self.transformer_dim
        self.prompt_tokens = nn.Conv2d(N_MAPS, d, 4, stride=4)
        self.up_eighth = nn.ConvTranspose2d(d, d // 2, 2, stride=2)
        self.up_quarter = nn.ConvTranspose2d(d // 2, d // 4, 2, stride=2)
        self.from_eighth = nn.Conv2d(stem[1] + N_MAPS, d // 2, 1)
        self.from_quarter = nn.Conv2d(stem[0] + N_MAPS, d // 4, 1)
        self.mix_eighth = nn.Sequential(
            LayerNorm2d(d // 2), nn.GELU(), nn.Conv2d(d // 2, d // 2, 3, padding=1)
        )
        self.mix_quarter = nn.Sequential(
            LayerNorm2d(d // 4), nn.GELU(), nn.Conv2d(d // 4, d // 4, 3, padding=1)
        )
        self.refine = nn.ModuleList(Refinement(d // 4) for _ in range(2))
        self.out_norm = LayerNorm2d(d // 4)
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
        maps : (P, 4, Y/4, X/4)
            Dense prompts.

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
        quarter, eighth = encoded.stem
        half_maps = F.avg_pool2d(maps, 2)
        x = self.up_eighth(keys) + self.from_eighth(torch.cat([eighth, half_maps], 1))
        x = x + self.mix_eighth(x)
        x = self.up_quarter(x) + self.from_quarter(torch.cat([quarter, maps], 1))
        x = x + self.mix_quarter(x)
        for block in self.refine:
            x = block(x)
        x = self.out_norm(x)
        weights = torch.stack(
            [mlp(hidden[:, 1 + i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)], 1
        )
        masks = torch.einsum("pkc,pcyx->pkyx", weights, x)
        return masks, torch.sigmoid(self.iou_prediction_head(hidden[:, 0]))


class CompactSam(nn.Module):
    """A small SAM: convolutional stem, SAM's attention blocks, SAM's prompt encoder, a fine decoder.

    Parameters
    ----------
    long_side : int
        Canvas size in pixels, a multiple of 16.
    width, depth, heads : int
        Of the transformer.
    window : int
        Tokens along a side of the windowed attention.
    global_blocks : tuple of int
        Blocks that attend over the whole image.
    decoder : int
        Width of embedding and decoder.
    stem : (half, quarter, eighth)
        Channels of the stem.
    """

    def __init__(
        self,
        long_side: int = 256,
        width: int = 256,
        depth: int = 8,
        heads: int = 8,
        window: int = 8,
        global_blocks: tuple[int, ...] = (1, 3, 5, 7),
        decoder: int = 128,
        mlp: int = 512,
        stem: tuple[int, int, int] = (24, 48, 96),
    ) -> None:
        super().__init__()
        if long_side % 16 or width % heads or max(long_side, width, decoder, mlp, *stem) > 4096 or depth > 64:
            raise ValueError("sizes must divide evenly and stay within reason")
        grid = long_side // 16
        self.long_side = long_side
        self.image_encoder = ImageEncoderViT(
            img_size=long_side,
            patch_size=16,
            embed_dim=width,
            depth=depth,
            num_heads=heads,
            mlp_ratio=4,
            out_chans=decoder,
            qkv_bias=True,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=window,
            global_attn_indexes=tuple(global_blocks),
        )
        self.image_encoder.patch_embed = ConvStem(width, stem)
        self.global_blocks = tuple(global_blocks)
        self.prompt_encoder = PromptEncoder(
            embed_dim=decoder,
            image_embedding_size=(grid, grid),
            input_image_size=(long_side, long_side),
            mask_in_chans=16,
        )
        del self.prompt_encoder.mask_downscaling, self.prompt_encoder.no_mask_embed
        self.mask_decoder = FineMaskDecoder(
            stem[1:],
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=decoder, mlp_dim=mlp, num_heads=8),
            transformer_dim=decoder,
            iou_head_depth=3,
            iou_head_hidden_dim=decoder,
        )

    @classmethod
    def tiny(cls) -> CompactSam:
        """A network small enough for tests: 64 px, two blocks."""
        return cls(64, 32, 2, 2, 2, (1,), 32, 64, (8, 8, 16))

    def encode(self, images: Tensor) -> Encoded:
        """Look at (B, 3, Y, X) prepared images once, whatever the prompts will be.

        Any canvas whose sides are multiples of 16 will do: positions are interpolated.
        """
        encoder = self.image_encoder
        x, stem = encoder.patch_embed(images)
        x = x + self._absolute_position(x.shape[1], x.shape[2])
        levels = []
        for number, block in enumerate(encoder.blocks):
            x = block(x)
            if number in self.global_blocks:
                levels.append(x)
        return Encoded(encoder.neck(x.permute(0, 3, 1, 2)), tuple(levels), stem)

    def decode(self, encoded: Encoded, prompts: PromptBatch) -> tuple[Tensor, Tensor]:
        """Answer one prompt for each image of `encoded`: masks (P, 4, Y/4, X/4) and quality (P, 4)."""
        grid = (encoded.embedding.shape[2], encoded.embedding.shape[3])
        position = self.prompt_encoder.pe_layer(grid)[None]
        tokens = self._tokens(prompts, (16 * grid[0], 16 * grid[1]))
        return self.mask_decoder.decode(encoded, position, tokens, prompts.maps)

    def _absolute_position(self, rows: int, columns: int) -> Tensor:
        """The (1, Y, X, C) position embedding, interpolated to another grid where it must be."""
        learnt = self.image_encoder.pos_embed
        if (rows, columns) == tuple(learnt.shape[1:3]):
            return learnt
        channels_first = learnt.permute(0, 3, 1, 2)
        scaled = F.interpolate(channels_first, (rows, columns), mode="bicubic", align_corners=False)
        return scaled.permute(0, 2, 3, 1)

    def _tokens(self, prompts: PromptBatch, canvas: tuple[int, int]) -> Tensor:
        """Points, corners and padding as (P, N, D) tokens, with SAM's own embeddings."""
        encoder = self.prompt_encoder
        tokens = encoder.pe_layer.forward_with_coords(prompts.points, canvas)
        kind = prompts.labels[..., None]
        learnt = [embedding.weight for embedding in encoder.point_embeddings]
        for value, weight in enumerate(learnt):
            tokens = tokens + weight * (kind == value)
        return torch.where(kind == -1, encoder.not_a_point_embed.weight.expand_as(tokens), tokens)


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


def build_sam(**numbers: Any) -> CompactSam:
    """Build a promptable network from the numbers in a model's description.

    Raises
    ------
    WeightsError
        If the numbers do not describe such a network.
    """
    try:
        return CompactSam(**numbers)
    except (TypeError, ValueError, AssertionError, RuntimeError, ZeroDivisionError):
        raise WeightsError("The model's numbers do not describe a SAM this program can build.") from None
