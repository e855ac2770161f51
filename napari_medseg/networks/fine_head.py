"""From a decoder's tokens and image to masks as large as the picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medseg.networks.sam_decoder import FineMaskDecoder, Refinement

_FINEST = 8  # channels at full resolution


class PublishedHead(nn.Module):
    """Four transposed convolutions up to full resolution, and a perceptron for each mask token.

    Source
    ------
    HSP-SAM, the authors' code of 2024.
    """

    def __init__(self, decoder: int) -> None:
        super().__init__()
        sizes = (decoder, decoder // 4, decoder // 8, decoder // 16, _FINEST)
        steps: list[nn.Module] = []
        for a, b in zip(sizes[:-1], sizes[1:], strict=True):
            steps += [nn.ConvTranspose2d(a, b, 2, stride=2), LayerNorm2d(b), nn.GELU()]
        self.upscaling = nn.Sequential(*steps[:-2], steps[-1])  # no norm at the end
        self.trunks = nn.ModuleList([nn.Identity()])
        self.weighing = ((decoder, decoder, decoder, _FINEST),)  # widths of each row's own perceptron

    def forward(
        self, image: Tensor, weights: Sequence[Tensor], fine: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `FineHead`; nothing finer than the image tokens is looked at."""
        features = self.upscaling(image)
        masks = torch.einsum("bpc,bcyx->bpyx", weights[0], features)
        return masks, features, masks


class FineHead(nn.Module):
    """The compact SAM's way up with its stem's features, and two steps more, to full resolution.

    Differs from the published head: it begins as the promptable model's own, and what is finer than a
    quarter of the picture is added to its answer; of the perceptrons only the last layer is a row's own.

    Parameters
    ----------
    decoder : int
    stem : (half, quarter, eighth)
        Channels of the convolutional stem.
    """

    def __init__(self, decoder: int, stem: tuple[int, int, int]) -> None:
        super().__init__()
        half, quarter, eighth = stem
        d = decoder
        self.up_eighth = nn.ConvTranspose2d(d, d // 2, 2, stride=2)
        self.up_quarter = nn.ConvTranspose2d(d // 2, d // 4, 2, stride=2)
        self.from_eighth = nn.Conv2d(eighth, d // 2, 1)
        self.from_quarter = nn.Conv2d(quarter, d // 4, 1)
        self.mix_eighth, self.mix_quarter = _mix(d // 2), _mix(d // 4)
        self.refine = nn.ModuleList(Refinement(d // 4) for _ in range(2))
        self.out_norm = LayerNorm2d(d // 4)
        self.up_half = nn.ConvTranspose2d(d // 4, d // 8, 2, stride=2)
        self.from_half = nn.Conv2d(half, d // 8, 1)
        self.mix_half, self.mix_full = _mix(d // 8), _mix(_FINEST)
        self.up_full = nn.ConvTranspose2d(d // 8, _FINEST, 2, stride=2)
        self.from_full = nn.Conv2d(3, _FINEST, 3, padding=1)
        self.trunks = nn.ModuleList(_trunk(d) for _ in range(2))
        self.weighing = ((d, d // 4), (d, _FINEST))  # widths of each row's own last layers

    def begin_as(self, decoder: FineMaskDecoder) -> None:
        """Take over what the promptable model's decoder has learnt."""
        for name in ("up_eighth", "up_quarter", "mix_eighth", "mix_quarter", "refine", "out_norm"):
            getattr(self, name).load_state_dict(getattr(decoder, name).state_dict())
        with torch.no_grad():
            for name in ("from_eighth", "from_quarter"):
                ours, theirs = getattr(self, name), getattr(decoder, name)
                ours.weight.copy_(theirs.weight[:, : ours.in_channels])  # the stem's channels come first
                ours.bias.copy_(theirs.bias)
        layers: Any = decoder.output_hypernetworks_mlps[0]
        for trunk in self.trunks:
            trunk.load_state_dict(layers[:4].state_dict())

    def forward(
        self, image: Tensor, weights: Sequence[Tensor], fine: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw masks.

        Parameters
        ----------
        image : (B, D, Y/16, X/16)
            After the last decoder.
        weights : (B, P, D/4), (B, P, 8)
            Of the features at a quarter and of those at full resolution, for each mask.
        fine : tuple
            The picture, and the stem's features at a half, quarter and eighth.

        Returns
        -------
        Masks (B, P, Y, X), the features (B, C, Y/4, X/4) they were mostly drawn from, and the masks there.
        """
        picture, half, quarter, eighth = fine
        x = self.up_eighth(image) + self.from_eighth(eighth)
        x = x + self.mix_eighth(x)
        x = self.up_quarter(x) + self.from_quarter(quarter)
        x = x + self.mix_quarter(x)
        for block in self.refine:
            x = block(x)
        x = self.out_norm(x)
        coarse = torch.einsum("bpc,bcyx->bpyx", weights[0], x)
        y = self.up_half(x) + self.from_half(half)
        y = y + self.mix_half(y)
        y = self.up_full(y) + self.from_full(picture)
        y = y + self.mix_full(y)
        masks = torch.einsum("bpc,bcyx->bpyx", weights[1], y)
        scaled = F.interpolate(coarse, scale_factor=4, mode="bilinear", align_corners=False)
        return masks + scaled, x, coarse


def _mix(channels: int) -> nn.Sequential:
    return nn.Sequential(LayerNorm2d(channels), nn.GELU(), nn.Conv2d(channels, channels, 3, padding=1))


def _trunk(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
