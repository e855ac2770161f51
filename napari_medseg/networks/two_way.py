"""SAM's mask decoder computed faster: the same weights, the same names, the same result.

Differs from segment-anything in the order of the work only. A prompt is a handful of tokens, an image has
thousands: in each attention between them the image's projection is multiplied into the tokens first, so that
the image is never projected. The last layers run channels last, and pixels find their places at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from segment_anything.modeling import MaskDecoder, TwoWayTransformer
from segment_anything.modeling.transformer import Attention, TwoWayAttentionBlock
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Ground:
    """An image as the decoder's tokens: made once, asked by every prompt.

    Parameters
    ----------
    tokens : (P or 1, N, D)
        Image embedding, with the embedded previous mask where there is one.
    position : (1, N, D)
        SAM's position encoding.
    grid : (rows, columns)
        N is their product.
    """

    tokens: Tensor
    position: Tensor
    grid: tuple[int, int]

    def under(self, dense: Tensor) -> Ground:
        """The same image with an embedded previous mask, (P or 1, D, Y, X), added."""
        return replace(self, tokens=self.tokens + dense.flatten(2).transpose(1, 2))

    def take(self, images: Tensor) -> Ground:
        """Pick (or repeat) images by their (P,) position in the batch."""
        return replace(self, tokens=self.tokens[images])


def lay_out(embedding: Tensor, position: Tensor) -> Ground:
    """Lay out images, (P or 1, D, Y, X) and (1, D, Y, X): all that depends on no prompt."""
    tokens, place = (image.flatten(2).transpose(1, 2).contiguous() for image in (embedding, position))
    return Ground(tokens, place, (embedding.shape[2], embedding.shape[3]))


def answer(decoder: MaskDecoder, ground: Ground, sparse: Tensor) -> tuple[Tensor, Tensor]:
    """Answer P prompts of (P, T, D) tokens: masks (P, 4, 4 Y, 4 X) and quality (P, 4), as `predict_masks`."""
    learnt = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    prompts = torch.cat([learnt.expand(len(sparse), -1, -1), sparse], 1)
    hidden, image = both_ways(decoder.transformer, ground, prompts)
    heads = decoder.output_hypernetworks_mlps
    weights = torch.stack([head(hidden[:, 1 + i]) for i, head in enumerate(heads)], 1)
    return draw(decoder, image, weights, ground.grid), decoder.iou_prediction_head(hidden[:, 0])


def both_ways(transformer: TwoWayTransformer, ground: Ground, prompts: Tensor) -> tuple[Tensor, Tensor]:
    """SAM's two-way transformer: (P, T, D) prompt tokens after it, and the image's (P, N, D)."""
    tokens, image, placed = prompts, ground.tokens, ground.tokens + ground.position
    for block in transformer.layers:
        tokens = _among_tokens(block, tokens, prompts)
        tokens = block.norm2(tokens + _read(block.cross_attn_token_to_image, tokens + prompts, placed, image))
        tokens = block.norm3(tokens + block.mlp(tokens))
        told = _tell(block.cross_attn_image_to_token, placed, tokens + prompts, tokens)
        image = block.norm4(image + told)
        placed = image + ground.position
    read = _read(transformer.final_attn_token_to_image, tokens + prompts, placed, image)
    return transformer.norm_final_attn(tokens + read), image


def draw(decoder: MaskDecoder, image: Tensor, weights: Tensor, grid: tuple[int, int]) -> Tensor:
    """Enlarge the image's (P, N, D) tokens fourfold and weigh them into masks (P, K, 4 Y, 4 X).

    weights : (P, K, D/8)
        One row a mask.
    """
    first, norm, act, second, last = decoder.output_upscaling
    x = _fourfold(image, first)
    x = act(F.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, norm.eps))
    x = last(_fourfold(x, second)).flatten(1, 3)  # (P, N, 4, 4, C) -> (P, 16 N, C)
    masks = weights @ x.transpose(1, 2)
    p, k, rows, columns = *weights.shape[:2], *grid
    # each token's 2 x 2 pixels, each again 2 x 2: as 16 channels of the coarse grid, which is the quick way
    masks = masks.view(p, k, rows, columns, 2, 2, 2, 2).permute(0, 1, 4, 6, 5, 7, 2, 3)
    return F.pixel_shuffle(masks.reshape(p, 16 * k, rows, columns), 4)


def _fourfold(x: Tensor, convolution: torch.nn.ConvTranspose2d) -> Tensor:
    """A transposed convolution of stride 2: (..., C) to the four pixels that each becomes, (..., 4, C')."""
    weight = convolution.weight.permute(2, 3, 1, 0).flatten(0, 2)  # (C, C', 2, 2) -> (4 C', C)
    bias = None if convolution.bias is None else convolution.bias.repeat(4)
    return F.linear(x, weight, bias).unflatten(-1, (4, -1))


def _among_tokens(block: TwoWayAttentionBlock, tokens: Tensor, prompts: Tensor) -> Tensor:
    """Self-attention of the prompt's tokens; the first block has nothing to add it to."""
    if block.skip_first_layer_pe:
        return block.norm1(block.self_attn(q=tokens, k=tokens, v=tokens))
    placed = tokens + prompts
    return block.norm1(tokens + block.self_attn(q=placed, k=placed, v=tokens))


def _read(attention: Attention, tokens: Tensor, placed: Tensor, image: Tensor) -> Tensor:
    """What (P, T, D) tokens find in the image: attention with its keys and values never projected."""
    heads = attention.num_heads
    if heads * tokens.shape[1] >= attention.internal_dim:
        return attention(q=tokens, k=placed, v=image)
    asked = _into(attention.k_proj.weight, attention.q_proj(tokens), heads)
    scores = asked @ placed.transpose(1, 2)  # the keys' bias is the same for all keys, and so without effect
    found = scores.softmax(-1) @ image  # (P, heads T, D)
    weight = attention.v_proj.weight.unflatten(0, (heads, -1))
    found = torch.einsum("phtd,hcd->pthc", found.unflatten(1, (heads, -1)), weight).flatten(2)
    return attention.out_proj(found + attention.v_proj.bias)


def _tell(attention: Attention, placed: Tensor, tokens: Tensor, values: Tensor) -> Tensor:
    """What the image learns from (P, T, D) tokens: attention with its queries never projected."""
    heads = attention.num_heads
    if heads * tokens.shape[1] >= attention.internal_dim:
        return attention(q=placed, k=tokens, v=values)
    keys = attention.k_proj(tokens)
    asked = _into(attention.q_proj.weight, keys, heads)
    scale = (attention.internal_dim // heads) ** -0.5
    bias = (keys * attention.q_proj.bias * scale).unflatten(2, (heads, -1)).sum(3).transpose(1, 2)
    scores = (asked @ placed.transpose(1, 2)).unflatten(1, (heads, -1)) + bias[..., None]  # (P, heads, T, N)
    weight = attention.out_proj.weight.unflatten(1, (heads, -1))
    told = torch.einsum("pthc,dhc->phtd", attention.v_proj(values).unflatten(2, (heads, -1)), weight)
    told = told + attention.out_proj.bias / heads  # each head's weights sum to one
    return scores.softmax(2).flatten(1, 2).transpose(1, 2) @ told.flatten(1, 2)


def _into(weight: Tensor, tokens: Tensor, heads: int) -> Tensor:
    """Multiply the image's projection into the (P, T, C) tokens: (P, heads T, D), scaled for attention."""
    tokens = tokens.unflatten(2, (heads, -1))
    scaled = tokens * tokens.shape[3] ** -0.5
    return torch.einsum("pthc,hcd->phtd", scaled, weight.unflatten(0, (heads, -1))).flatten(1, 2)
