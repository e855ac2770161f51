"""HSP-SAM: a SAM that prompts itself, level by level, and so outlines without a click.

Source: HSP-SAM, Hierarchical Self-Prompting SAM, and its authors' code; SAM of Kirillov et al., ICCV 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from segment_anything.modeling import TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn

from napari_medseg.networks.attention import place
from napari_medseg.networks.fine_head import FineHead, PublishedHead
from napari_medseg.networks.lora import LowRank
from napari_medseg.networks.official import OfficialSam
from napari_medseg.networks.sam import CompactSam
from napari_medseg.networks.sam_decoder import FineMaskDecoder
from napari_medseg.networks.sam_quality import AnswerQuality
from napari_medseg.networks.self_prompts import RowMlp, TaskPrompts, bridge
from napari_medseg.networks.two_way import both_ways, lay_out

Skip = Literal["decoder_top", "encoder_top", "none"]
_APART = 0.5  # how far rows begin from SAM's mask token, in parts of its spread; alike, they part slowly
OWN = ("lora.", "task.")  # what an adapter for a new task consists of


@dataclass(frozen=True)
class Outlined:
    """The answer for a batch of images and P structures.

    Parameters
    ----------
    masks : (B, P, Y, X)
        Logits: how much more a pixel is the structure than the background. For one structure their sigmoid
        is the softmax of the two.
    quality, presence : (B, P)
        Logits of the expected intersection over union, and of the structure being there at all.
    coarse : tuple of (B, P, Y/16, X/16)
        Logits of the levels above, for training.
    """

    masks: Tensor
    quality: Tensor
    presence: Tensor
    coarse: tuple[Tensor, ...]


class HspSam(nn.Module):
    """All that is learnt beside a frozen SAM, which is handed in with every call.

    Parameters
    ----------
    width, depth : int
        Of SAM's image encoder.
    global_blocks : tuple of int
        Its blocks that attend over the whole image: the levels.
    decoder, mlp : int
        Width of the mask decoders, and of their perceptrons.
    n_rows : int
        Rows of prompts: for each task its background first, then its structures.
    rank : int
        Of the low-rank adaptation; 0 for none.
    stem : (half, quarter, eighth) or ()
        Channels of a convolutional stem; without one the published head is used.
    prompted, hierarchical : bool
        Whether there are self-prompts, and decoders at all levels. Neither: SAM fine-tuned.
    skip : str
        What joins every level below the top: the top decoder's image, the top neck's, or nothing.

    Differs
    -------
    One network holds the prompts of many tasks. Structures may overlap, so that each is held against the
    background by itself. Presence and quality are foretold, and coarse masks of the upper levels are trained.
    """

    def __init__(
        self,
        width: int = 256,
        depth: int = 8,
        global_blocks: tuple[int, ...] = (1, 3, 5, 7),
        decoder: int = 128,
        mlp: int = 512,
        n_rows: int = 2,
        rank: int = 32,
        stem: tuple[int, ...] = (24, 48, 96),
        prompted: bool = True,
        hierarchical: bool = True,
        skip: Skip = "decoder_top",
    ) -> None:
        super().__init__()
        if skip not in ("decoder_top", "encoder_top", "none") or max(width, decoder, mlp, n_rows) > 4096:
            raise ValueError("sizes must stay within reason, and the skip be one of three")
        n_levels = len(global_blocks)
        self.global_blocks, self.skip, self.stem = tuple(global_blocks), skip, tuple(stem)
        self.lora = nn.ModuleList(LowRank(width, rank) for _ in range(depth if rank else 0))
        self.bridges = nn.ModuleList(bridge(width, decoder) for _ in range(n_levels if prompted else 0))
        n_decoders = n_levels if hierarchical else 1
        self.necks = nn.ModuleList(_neck(width, decoder) for _ in range(n_decoders - 1))
        self.decoders = nn.ModuleList(
            TwoWayTransformer(depth=2, embedding_dim=decoder, mlp_dim=mlp, num_heads=8)
            for _ in range(n_decoders)
        )
        self.aside = nn.ModuleList(nn.Linear(decoder, decoder) for _ in range(n_decoders))
        self.summary = nn.Parameter(0.02 * torch.randn(1, decoder))  # SAM's token of quality
        self.head = FineHead(decoder, (stem[0], stem[1], stem[2])) if stem else PublishedHead(decoder)
        self.task = TaskPrompts(
            n_rows, width, decoder, len(self.bridges), n_decoders, self.head.weighing
        )  # fmt: skip
        channels = decoder // 4 if stem else 8
        self.quality, self.presence = (AnswerQuality(decoder, channels) for _ in range(2))

    @classmethod
    def tiny(cls) -> HspSam:
        """A network small enough for tests, for `CompactSam.tiny()`."""
        return cls(32, 2, (1,), 32, 64, 4, 4, (8, 8, 16))

    def begin_as(self, sam: CompactSam | OfficialSam) -> None:
        """Take over what SAM's neck, decoder and way up have learnt, once for every level."""
        decoder = sam.mask_decoder
        for level in self.decoders:
            level.load_state_dict(decoder.transformer.state_dict())
        for neck in self.necks:
            neck.load_state_dict(sam.image_encoder.neck.state_dict())
        with torch.no_grad():
            self.summary.copy_(decoder.iou_token.weight)
            token = decoder.mask_tokens.weight[:1]
            self.task.masks.copy_(token + _APART * token.std() * torch.randn_like(self.task.masks))
        if isinstance(self.head, FineHead) and isinstance(decoder, FineMaskDecoder):
            self.head.begin_as(decoder)
            last: Any = decoder.output_hypernetworks_mlps[0]
            last = last[4]
            coarse, finest = (cast(RowMlp, own) for own in self.task.weighing)
            with torch.no_grad():
                coarse.weights[0].copy_(last.weight.T.expand_as(coarse.weights[0]))
                coarse.biases[0].copy_(last.bias.expand_as(coarse.biases[0]))
                finest.weights[0].zero_()
                finest.biases[0].zero_()

    def forward(self, sam: CompactSam | OfficialSam, images: Tensor, rows: Tensor) -> Outlined:
        """Outline structures on prepared images.

        Parameters
        ----------
        images : (B, 3, Y, X)
            Any canvas whose sides are multiples of 16.
        rows : (1 + P,) of int64
            The background's row of a task, and those of its structures.
        """
        levels, fine = self.encode(sam, images, rows)
        image, tokens, coarse = self._down(sam, levels, rows)
        weights = [
            own(trunk(tokens[:, 1:]), rows)
            for own, trunk in zip(self.task.weighing, self.head.trunks, strict=True)
        ]
        masks, features, seen = self.head(image, weights, (images, *fine))
        told = (tokens[:, 0], tokens[:, 2:], features, seen[:, 1:] - seen[:, :1])
        usual = self.task.judged[rows[1:]]
        quality, presence = self.quality(*told) + usual[:, 0], self.presence(*told) + usual[:, 1]
        return Outlined(masks[:, 1:] - masks[:, :1], quality, presence, coarse)

    def encode(
        self, sam: CompactSam | OfficialSam, images: Tensor, rows: Tensor
    ) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """SAM's image encoder with low-rank adaptation, and prompts as further keys and values.

        Returns
        -------
        Outputs (B, Y/16, X/16, C) of the global-attention blocks, and a convolutional stem's fine features.
        """
        encoder: Any = sam.image_encoder
        fine: tuple[Tensor, ...] = ()
        if isinstance(sam, CompactSam):
            x, fine = encoder.patch_embed.finely(images)
        else:
            x = encoder.patch_embed(images)
        x, levels = place(encoder, x), list[Tensor]()
        for number, block in enumerate(encoder.blocks):
            at_level = number in self.global_blocks
            lora = self.lora[number] if self.lora else None
            is_prompted = at_level and len(self.task.queries)
            x = block(x, lora, self.task.queries[len(levels)][rows] if is_prompted else None)
            if at_level:
                levels.append(x)
        return levels, fine

    def _down(
        self, sam: CompactSam | OfficialSam, levels: list[Tensor], rows: Tensor
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """The decoders from the deepest level to the shallowest: image, tokens, and coarse masks."""
        n = len(levels[-1])
        tokens = torch.cat([self.summary, self.task.masks[rows]]).expand(n, -1, -1)
        source = sam.image_encoder.neck(levels[-1].permute(0, 3, 1, 2))
        grid = (source.shape[2], source.shape[3])
        position = sam.prompt_encoder.pe_layer(grid)[None]
        if isinstance(sam, OfficialSam):
            source = source + sam.prompt_encoder.no_mask_embed.weight[:, :, None, None]
        top, image, coarse = source, source, list[Tensor]()
        for number in reversed(range(len(self.decoders))):
            if number < len(self.decoders) - 1:
                image = image + self.necks[number](levels[number].permute(0, 3, 1, 2))
                image = image if self.skip == "none" else image + top
            level = number if len(self.decoders) > 1 else len(levels) - 1
            hidden, seen = both_ways(
                self.decoders[number], lay_out(image, position), self._with_answers(tokens, level, rows)
            )
            tokens = hidden[:, : tokens.shape[1]]
            image = seen.transpose(1, 2).unflatten(2, grid)
            top = image if number == len(self.decoders) - 1 and self.skip == "decoder_top" else top
            weights = self.aside[number](tokens[:, 1:]) + self.task.aside[number][rows]
            drawn = torch.einsum("bpc,bcyx->bpyx", weights, image)
            coarse.append((drawn[:, 1:] - drawn[:, :1]) * image.shape[1] ** -0.5)
        return image, tokens, tuple(coarse)

    def _with_answers(self, tokens: Tensor, level: int, rows: Tensor) -> Tensor:
        """Carried tokens with the prompts that a level's encoder prompts have become."""
        if not self.bridges:
            return tokens
        answers = self.bridges[level](self.task.queries[level][rows])
        answers = self.task.answers[level](answers, rows)
        return torch.cat([tokens, answers.expand(len(tokens), -1, -1)], 1)

    def groups(self, times: float) -> list[dict[str, Any]]:
        """Parameters for an optimiser; the rows' vectors, which few images train, with a higher rate.

        Not their matrices: one quick step of a last layer moves a mask as far as many of a vector.
        """
        rows = [p for p in self.task.parameters() if p.requires_grad and p.ndim == 2]
        known = {id(p) for p in rows}
        rest = [p for p in self.parameters() if p.requires_grad and id(p) not in known]
        return [{"params": rest}, {"params": rows, "times": times, "weight_decay": 0.0}]

    def own_state(self) -> dict[str, Tensor]:
        """What belongs to the tasks and to the encoder's adaptation: all that an adapter replaces."""
        return {name: value for name, value in self.state_dict().items() if name.startswith(OWN)}


def _neck(width: int, decoder: int) -> nn.Sequential:
    """SAM's neck."""
    return nn.Sequential(
        nn.Conv2d(width, decoder, 1, bias=False),
        LayerNorm2d(decoder),
        nn.Conv2d(decoder, decoder, 3, padding=1, bias=False),
        LayerNorm2d(decoder),
    )
