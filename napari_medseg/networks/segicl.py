"""SegICL: a mask for an image from annotated examples and words, without training.

Source: Shen et al., SegICL, 2024: a multimodal encoder whose hidden states become a state, and a diffusion
decoder guided by it.

Differs: the decoder is guided by a condition network too, which sees dense matches between query and
examples; the mask itself is foretold at each step in place of the noise; the sizes are a laptop's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet
from monai.networks.schedulers.ddim import DDIMScheduler
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medseg.core.errors import WeightsError
from napari_medseg.networks.matching import Embedding, Matching, Memory, Seen
from napari_medseg.networks.sam_decoder import Encoded
from napari_medseg.networks.state_encoder import ConditionEncoder, StateEncoder

T_STEPS = 1000
_PACK = 4  # pixels of the mask along a side that are packed into channels


@dataclass(frozen=True)
class Hints:
    """What the condition network says to the denoiser, coarse to fine, and its own first answer.

    Parameters
    ----------
    fine, middle, coarse : (B, C, Y/4, X/4), (B, C, Y/8, X/8), (B, C, Y/16, X/16)
    first : (B, 1, Y, X)
        Logits.
    """

    fine: Tensor
    middle: Tensor
    coarse: Tensor
    first: Tensor

    def take(self, queries: Tensor) -> Hints:
        """Pick (or repeat) queries by their positions in the batch."""
        return Hints(*(part[queries] for part in (self.fine, self.middle, self.coarse, self.first)))


class ConditionNetwork(nn.Module):
    """A small U-Net over the query's features and what matching found."""

    def __init__(
        self, seen: tuple[int, int, int], found: tuple[int, int, int], channels: tuple[int, int, int]
    ) -> None:
        super().__init__()
        fine, middle, coarse = channels
        self.fine = _stage(seen[0] + found[0] + 4, fine)
        self.down = nn.Conv2d(fine, middle, 3, stride=2, padding=1)
        self.middle = _stage(middle + seen[1] + found[1], middle)
        self.down_again = nn.Conv2d(middle, coarse, 3, stride=2, padding=1)
        self.coarse = _stage(coarse + seen[2] + found[2], coarse)
        self.middle_out = _stage(middle + coarse, middle)
        self.fine_out = _stage(fine + middle, fine)
        self.first = nn.Conv2d(fine, _PACK**2, 1)

    def forward(self, query: Seen, found: tuple[Tensor, Tensor, Tensor]) -> Hints:
        """Gather what is known of B queries."""
        fine = self.fine(torch.cat([query.quarter, found[0], query.colour, query.valid], 1))
        middle = self.middle(torch.cat([self.down(fine), query.eighth, found[1]], 1))
        coarse = self.coarse(torch.cat([self.down_again(middle), query.sixteenth, found[2]], 1))
        middle = self.middle_out(torch.cat([middle, _up(coarse)], 1))
        fine = self.fine_out(torch.cat([fine, _up(middle)], 1))
        return Hints(fine, middle, coarse, F.pixel_shuffle(self.first(fine), _PACK))


class SegICL(nn.Module):
    """Segmentation in context, on the features of a frozen backbone.

    Parameters
    ----------
    seen : (quarter, eighth, sixteenth)
        Channels of the backbone's fine features and of its embedding.
    matched : (quarter, eighth, sixteenth)
        Channels of the features that are matched.
    channels : (quarter, eighth, sixteenth)
        Of the condition network and the denoiser.
    width, depth, heads : int
        Of the multimodal encoder.
    n_state, state : int
        Vectors of the state, and their width.
    """

    def __init__(
        self,
        seen: tuple[int, int, int] = (48, 96, 128),
        matched: tuple[int, int, int] = (32, 64, 96),
        channels: tuple[int, int, int] = (32, 64, 112),
        width: int = 192,
        depth: int = 4,
        heads: int = 6,
        n_state: int = 16,
        state: int = 128,
    ) -> None:
        super().__init__()
        if max(*seen, *matched, *channels, width, state) > 4096 or depth > 64 or n_state > 256:
            raise ValueError("sizes must stay within reason")
        self.embedding = Embedding(seen, matched)
        self.matching = Matching(matched)
        self.condition = ConditionNetwork(matched, self.matching.out_channels, channels)
        self.states = StateEncoder(seen[2], width, depth, heads, n_state, state)
        self.codes = ConditionEncoder(n_state, state)
        fine, middle, coarse = channels
        self.denoiser = _denoiser(channels, state)
        self.inject = nn.ModuleList(
            nn.Conv2d(a, b, 1)
            for a, b in (
                (fine, fine),
                (fine, fine),
                (middle, fine),
                (middle, middle),
                (coarse, middle),
                (coarse, coarse),
                (coarse, coarse),
            )
        )

    @classmethod
    def tiny(cls) -> SegICL:
        """A network small enough for tests, on the features of the tiny SAM."""
        return cls((8, 16, 32), (8, 8, 8), (16, 16, 16), 32, 1, 2, 4, 16)

    def see(self, encoded: Encoded, valid: Tensor) -> Seen:
        """Look at B encoded images; `valid`, (B, 1, Y/4, X/4), is 0 in the padding."""
        seen: Seen = self.embedding(encoded, valid)
        return seen

    def remember(self, shots: Seen, masks: Tensor) -> Memory:
        """Keep what is needed of annotated images; masks (I, 1, Y/4, X/4) are 0 to 1."""
        return self.matching.remember(shots, masks)

    def hints(self, query: Seen, memory: Memory, members: Tensor) -> Hints:
        """What B queries have in common with their examples, `members` (B, S), -1 for none."""
        hints: Hints = self.condition(query, self.matching(query, memory, members))
        return hints

    def denoise(self, noisy: Tensor, t: Tensor, before: Tensor, hints: Hints, state: Tensor) -> Tensor:
        """Foretell the clean mask.

        Parameters
        ----------
        noisy : (B, 1, Y, X)
            The mask, -1 to 1, with noise.
        t : (B,)
            Diffusion step, 0 (clean) to 999.
        before : (B, 1, Y, X)
            An earlier answer, -1 to 1, or zeros.
        state : (B, n_state, C)

        Returns
        -------
        (B, 1, Y, X)
            Logits.
        """
        x = torch.cat([F.pixel_unshuffle(noisy, _PACK), F.pixel_unshuffle(before, _PACK), hints.fine], 1)
        sources = (hints.fine, hints.fine, *[hints.middle] * 2, *[hints.coarse] * 3)
        extra = [layer(part) for layer, part in zip(self.inject, sources, strict=True)]
        packed = self.denoiser(
            x,
            t,
            context=state,
            down_block_additional_residuals=tuple(extra[:-1]),
            mid_block_additional_residual=extra[-1],
        )
        return F.pixel_shuffle(packed, _PACK)

    def sample(self, hints: Hints, state: Tensor, noise: Tensor, n_steps: int) -> Tensor:
        """Draw masks, beginning with noise (B, 1, Y, X); returns logits of the last step.

        Source: Song, Meng and Ermon, DDIM, ICLR 2021; an earlier answer handed back: Chen, Zhang and Hinton,
        Analog Bits, ICLR 2023.
        """
        scheduler = DDIMScheduler(T_STEPS, schedule="cosine", prediction_type="sample")
        scheduler.set_timesteps(n_steps)
        mask, before = noise, torch.tanh(hints.first / 2)
        logits = hints.first
        for t in range(T_STEPS - 1, -1, -(T_STEPS // n_steps)):
            step = torch.full((len(noise),), t, device=noise.device)
            logits = self.denoise(mask, step, before, hints, state)
            before = torch.tanh(logits / 2)
            mask, _ = scheduler.step(before, t, mask)
        return logits


def _denoiser(channels: tuple[int, int, int], state: int) -> DiffusionModelUNet:
    """MONAI's diffusion U-Net on the packed mask, an earlier answer and the finest hints."""
    return DiffusionModelUNet(
        spatial_dims=2,
        in_channels=2 * _PACK**2 + channels[0],
        out_channels=_PACK**2,
        num_res_blocks=1,
        channels=tuple(channels),
        attention_levels=(False, False, True),
        use_flash_attention=True,
        norm_num_groups=8,
        num_head_channels=16,
        with_conditioning=True,
        cross_attention_dim=state,
    )


def build_segicl(**numbers: Any) -> SegICL:
    """Build the network from the numbers in a model's description.

    Raises
    ------
    WeightsError
        If the numbers do not describe such a network.
    """
    try:
        return SegICL(**numbers)
    except (TypeError, ValueError, AssertionError, RuntimeError, ZeroDivisionError, LookupError):
        raise WeightsError("The model's numbers do not describe a SegICL this program can build.") from None


def _stage(a: int, b: int) -> nn.Module:
    """Two convolutions from a to b channels."""
    return nn.Sequential(
        nn.Conv2d(a, b, 3, padding=1),
        nn.GroupNorm(8, b),
        nn.SiLU(),
        nn.Conv2d(b, b, 3, padding=1),
        nn.GroupNorm(8, b),
        nn.SiLU(),
    )


def _up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")
