"""SAM built from segment-anything's modules: the official sizes and a compact one for laptops.

Source: Kirillov et al., Segment Anything, ICCV 2023, and its code (facebookresearch/segment-anything).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from segment_anything.modeling import ImageEncoderViT, PromptEncoder, TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medseg.core.errors import WeightsError
from napari_medseg.core.model import Model
from napari_medseg.networks.appearance import appearance_maps
from napari_medseg.networks.attention import place, speed_up
from napari_medseg.networks.official import OfficialSam, build_official
from napari_medseg.networks.sam_decoder import Encoded, FineMaskDecoder
from napari_medseg.networks.sam_prompts import PromptBatch
from napari_medseg.networks.weights import fill


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
        tokens, (_, quarter, eighth) = self.finely(images)
        return tokens, (quarter, eighth)

    def finely(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """The same with the features at a half, too."""
        half = self.steps[0](images)
        quarter = self.steps[1](half)
        eighth = self.steps[2](quarter)
        tokens = self.last(self.steps[3](eighth)).permute(0, 2, 3, 1)  # (B, C, Y, X) -> (B, Y, X, C)
        return tokens, (half, quarter, eighth)


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
        self.global_blocks, self.width, self.stem_widths = tuple(global_blocks), width, tuple(stem)
        self.image_encoder = _encoder(long_side, width, depth, heads, window, self.global_blocks, decoder)
        self.image_encoder.patch_embed = ConvStem(width, stem)
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
        x = place(encoder, x)
        levels = []
        for number, block in enumerate(encoder.blocks):
            x = block(x)
            if number in self.global_blocks:
                levels.append(x)
        colour = F.avg_pool2d(images, 4)
        return Encoded(encoder.neck(x.permute(0, 3, 1, 2)), tuple(levels), stem, colour)

    def decode(self, encoded: Encoded, prompts: PromptBatch) -> tuple[Tensor, Tensor]:
        """Answer one prompt for each image of `encoded`: masks (P, 4, Y/4, X/4) and quality (P, 4)."""
        return self.mask_decoder.decode(encoded, *self.read(encoded, prompts))

    def read(self, encoded: Encoded, prompts: PromptBatch) -> tuple[Tensor, Tensor, Tensor]:
        """What the decoder is told: position (1, D, Y/16, X/16), tokens (P, N, D), maps (P, 10, Y/4, X/4)."""
        grid = (encoded.embedding.shape[2], encoded.embedding.shape[3])
        position = self.prompt_encoder.pe_layer(grid)[None]
        tokens = self._tokens(prompts, (16 * grid[0], 16 * grid[1]))
        assert encoded.colour is not None  # `encode` above gives it
        maps = torch.cat([prompts.maps, appearance_maps(encoded.colour, prompts.maps)], 1)
        return position, tokens, maps

    def _tokens(self, prompts: PromptBatch, canvas: tuple[int, int]) -> Tensor:
        """Points, corners and padding as (P, N, D) tokens, with SAM's own embeddings."""
        encoder = self.prompt_encoder
        tokens = encoder.pe_layer.forward_with_coords(prompts.points, canvas)
        kind = prompts.labels[..., None]
        learnt = [embedding.weight for embedding in encoder.point_embeddings]
        for value, weight in enumerate(learnt):
            tokens = tokens + weight * (kind == value)
        return torch.where(kind == -1, encoder.not_a_point_embed.weight.expand_as(tokens), tokens)


def _encoder(
    long_side: int, width: int, depth: int, heads: int, window: int, global_blocks: tuple[int, ...], out: int
) -> ImageEncoderViT:
    """SAM's image encoder in any size, with relative positions."""
    encoder = ImageEncoderViT(
        img_size=long_side,
        patch_size=16,
        embed_dim=width,
        depth=depth,
        num_heads=heads,
        mlp_ratio=4,
        out_chans=out,
        qkv_bias=True,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=window,
        global_attn_indexes=global_blocks,
    )
    return speed_up(encoder)


def build_sam(**numbers: Any) -> CompactSam | OfficialSam:
    """Build a promptable network, compact or published, from the numbers in a model's description.

    Raises
    ------
    WeightsError
        If the numbers do not describe such a network.
    """
    try:
        return build_official(**numbers) if "layout" in numbers else CompactSam(**numbers)
    except (TypeError, ValueError, AssertionError, RuntimeError, ZeroDivisionError, LookupError):
        raise WeightsError("The model's numbers do not describe a SAM this program can build.") from None


def load_sam(model: Model) -> CompactSam | OfficialSam:
    """Build the network a model describes and fill it with its weights.

    Raises
    ------
    WeightsError
        If the description or the weights are damaged.
    """
    # Random weights for a compact network take 0.1 s; to go without them torch loads its compiler for 2 s.
    network = build_sam(**model.numbers)
    fill(network, model)
    return network
