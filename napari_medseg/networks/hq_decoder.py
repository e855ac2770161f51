"""SAM's own mask decoder, one prompt an image, with HQ-SAM's finer mask where a checkpoint holds it.

Source: Kirillov et al., Segment Anything, ICCV 2023; Ke et al., Segment Anything in High Quality (HQ-SAM),
NeurIPS 2023. The modules bear the names of the published checkpoints.
"""

from __future__ import annotations

import torch
from segment_anything.modeling import MaskDecoder, TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.modeling.mask_decoder import MLP
from torch import Tensor, nn

from napari_medseg.networks.two_way import Ground, answer, both_ways

_HEADS = 8  # of the decoder's attention in every published checkpoint; no shape tells it


class OfficialMaskDecoder(MaskDecoder):
    """SAM's mask decoder for P images with one prompt each.

    Parameters
    ----------
    width, depth, mlp : int
        Of the two-way transformer.
    judge, judge_depth : int
        Width and depth of the head that expects the overlap.
    early : int
        Channels of the encoder's early features that HQ-SAM draws on; 0 for a decoder without them.
    """

    def __init__(
        self, width: int, depth: int, mlp: int, judge: int, judge_depth: int, early: int = 0
    ) -> None:
        super().__init__(
            transformer_dim=width,
            transformer=TwoWayTransformer(depth=depth, embedding_dim=width, mlp_dim=mlp, num_heads=_HEADS),
            num_multimask_outputs=3,
            iou_head_depth=judge_depth,
            iou_head_hidden_dim=judge,
        )
        self.early = early
        if early:
            self.hf_token = nn.Embedding(1, width)
            self.hf_mlp = MLP(width, width, width // 8, 3)
            self.compress_vit_feat = fourfold(early, width, width // 8)
            self.embedding_encoder = fourfold(width, width // 4, width // 8)
            self.embedding_maskfeature = nn.Sequential(
                nn.Conv2d(width // 8, width // 4, 3, padding=1),
                LayerNorm2d(width // 4),
                nn.GELU(),
                nn.Conv2d(width // 4, width // 8, 3, padding=1),
            )

    def fine_features(self, embedding: Tensor, early: Tensor) -> Tensor:
        """What HQ-SAM draws its mask from, once an image.

        Parameters
        ----------
        embedding : (B, D, Y/16, X/16)
        early : (B, Y/16, X/16, C)
            After the encoder's first global-attention block.

        Returns
        -------
        (B, D/8, Y/4, X/4)
        """
        return self.embedding_encoder(embedding) + self.compress_vit_feat(early.permute(0, 3, 1, 2))

    def decode(self, ground: Ground, sparse: Tensor, fine: Tensor | None) -> tuple[Tensor, Tensor]:
        """Answer one prompt for each of P images.

        Parameters
        ----------
        ground : Ground
            P images with their embedded previous masks.
        sparse : (P, N, D)
            Prompt tokens.
        fine : (P, D/8, Y/4, X/4) or None
            From `fine_features`, for a decoder that has them.

        Returns
        -------
        masks : (P, 4, Y/4, X/4)
            Logits; the single answer first.
        quality : (P, 4)
            Expected intersection over union.

        Differs
        -------
        HQ-SAM adds its finer mask to the single answer or to the best alternative; here it is added to each
        of the four, so that all alternatives can be shown.
        """
        if fine is None:
            return answer(self, ground, sparse)
        learnt = torch.cat([self.iou_token.weight, self.mask_tokens.weight, self.hf_token.weight])
        tokens = torch.cat([learnt.expand(len(sparse), -1, -1), sparse], dim=1)
        hidden, image = both_ways(self.transformer, ground, tokens)
        image = image.transpose(1, 2).unflatten(2, ground.grid)  # (P, YX, D) -> (P, D, Y, X)
        drawn = self.output_upscaling(image)
        heads = self.output_hypernetworks_mlps
        weights = torch.stack([head(hidden[:, 1 + i]) for i, head in enumerate(heads)], 1)
        masks = torch.einsum("pkc,pcyx->pkyx", weights, drawn)
        weight = self.hf_mlp(hidden[:, 1 + self.num_mask_tokens])
        finer = torch.einsum("pc,pcyx->pyx", weight, self.embedding_maskfeature(drawn) + fine)
        return masks + finer[:, None], self.iou_prediction_head(hidden[:, 0])


def fourfold(inner: int, between: int, outer: int) -> nn.Sequential:
    """Two transposed convolutions that make a map four times as long and wide."""
    return nn.Sequential(
        nn.ConvTranspose2d(inner, between, 2, stride=2),
        LayerNorm2d(between),
        nn.GELU(),
        nn.ConvTranspose2d(between, outer, 2, stride=2),
    )
