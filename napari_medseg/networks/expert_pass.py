"""SAM's two-way transformer with expert tokens that look on: they read everything and change nothing.

So what SAM itself answers stays as it was trained, to the last bit, while the experts learn.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from segment_anything.modeling import TwoWayTransformer
from segment_anything.modeling.transformer import Attention
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medseg.networks.mixture import Routing
from napari_medseg.networks.two_way import Ground


def both_ways_with_experts(
    transformer: TwoWayTransformer,
    steps: Iterable[nn.Module],
    ground: Ground,
    tokens: Tensor,
    is_there: Tensor,
    experts: Tensor,
) -> tuple[Tensor, Tensor, Tensor, list[Routing]]:
    """Let tokens and image look at each other twice, and the expert tokens at both.

    Parameters
    ----------
    transformer : TwoWayTransformer
        SAM's own; its perceptrons serve its own tokens.
    steps : one a layer
        What the expert tokens pass in place of the perceptron: `TokenMixture` or `PlainStep`.
    ground : Ground
        P images.
    tokens : (P, N, D)
        SAM's own tokens, then those of the prompts.
    is_there : (P, N) bool
        Tokens that count; nobody sees the others.
    experts : (P, T, D)

    Returns
    -------
    tokens, experts : (P, N, D), (P, T, D)
    image : (P, YX, D)
    routing : one a layer that routes

    Differs
    -------
    In SegMoTE's code the expert tokens also change SAM's tokens and the image.
    """
    n = tokens.shape[1]
    first = among = torch.cat([tokens, experts], 1)
    open_to = _open(is_there, experts.shape[1])
    image, routings = ground.tokens, []
    for block, step in zip(transformer.layers, steps, strict=True):
        placed = among if block.skip_first_layer_pe else among + first
        heard = attend(block.self_attn, placed, placed, among, open_to)
        among = block.norm1(heard if block.skip_first_layer_pe else among + heard)
        to_image = block.cross_attn_token_to_image
        among = block.norm2(among + attend(to_image, among + first, image + ground.position, image))
        own, (onlooking, routing) = among[:, :n], step(among[:, n:])
        own = block.norm3(own + block.mlp(own))
        among = torch.cat([own, block.norm3(onlooking)], 1)
        back, placed = block.cross_attn_image_to_token, own + first[:, :n]
        told = attend(back, image + ground.position, placed, own, is_there[:, None, None])
        image = block.norm4(image + told)
        routings += [] if routing is None else [routing]
    last = transformer.final_attn_token_to_image
    among = among + attend(last, among + first, image + ground.position, image)
    among = transformer.norm_final_attn(among)
    return among[:, :n], among[:, n:], image, routings


def attend(
    attention: Attention, queries: Tensor, keys: Tensor, values: Tensor, open_to: Tensor | None = None
) -> Tensor:
    """SAM's attention, with the tokens that may be looked at.

    open_to : (P, 1, Q or 1, K) bool, optional
        All by default.
    """
    heads = attention.num_heads
    parts = zip((attention.q_proj, attention.k_proj, attention.v_proj), (queries, keys, values), strict=True)
    q, k, v = (project(x).unflatten(2, (heads, -1)).transpose(1, 2) for project, x in parts)
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=open_to)
    return attention.out_proj(mixed.transpose(1, 2).flatten(2))


def _open(is_there: Tensor, n_experts: int) -> Tensor:
    """Who may look at whom, (P, 1, N + T, N + T): SAM's tokens not at the experts."""
    p, n = is_there.shape
    everyone = F.pad(is_there, (0, n_experts), value=True)[:, None].repeat(1, n + n_experts, 1)
    everyone[:, :n, n:] = False
    return everyone[:, None]
