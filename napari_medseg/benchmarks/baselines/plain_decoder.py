"""Our frozen backbone with a plain convolutional decoder: what its features alone are good for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from napari_medseg.networks.sam import CompactSam

_WIDTHS = (64, 48, 24)  # at an eighth, a quarter and a half of the canvas


def plain_decoder(sam: CompactSam, n_structures: int) -> nn.Module:
    """Convolutions up from the embedding, with the stem's features beside it."""
    quarter, eighth = sam.stem_widths[1:]
    embedding = sam.image_encoder.neck[0].out_channels
    eighths, quarters, halves = _WIDTHS
    return nn.ModuleDict(
        {
            "to_eighth": _convolved(embedding + eighth, eighths),
            "to_quarter": _convolved(eighths + quarter, quarters),
            "to_half": _convolved(quarters, halves),
            "last": nn.Conv2d(halves, n_structures, 1),
        }
    )


def decoded(sam: CompactSam, decoder: nn.Module, images: Tensor) -> Tensor:
    """Prepared images (B, 3, S, S) to logits (B, K, S, S); nothing of the backbone is learnt."""
    parts = dict(decoder.named_children())
    with torch.no_grad():
        encoded = sam.encode(images)
    quarter, eighth = encoded.stem
    found = parts["to_eighth"](torch.cat([_doubled(encoded.embedding), eighth], 1))
    found = parts["to_quarter"](torch.cat([_doubled(found), quarter], 1))
    found = parts["last"](parts["to_half"](_doubled(found)))
    return _doubled(found)


def _convolved(n_in: int, n_out: int) -> nn.Sequential:
    """Two convolutions with normalisation."""
    steps: list[nn.Module] = []
    for n in (n_in, n_out):
        steps += [nn.Conv2d(n, n_out, 3, padding=1), nn.InstanceNorm2d(n_out, affine=True), nn.GELU()]
    return nn.Sequential(*steps)


def _doubled(maps: Tensor) -> Tensor:
    return F.interpolate(maps, scale_factor=2.0, mode="bilinear", align_corners=False)
