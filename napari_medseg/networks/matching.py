"""Dense matching: where a place of a new image finds its like on annotated ones, and what was outlined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medseg.networks.ridge import Moments, apply, fit, moments, pixel_features
from napari_medseg.networks.sam_decoder import Encoded

_D = 32  # of a head: of its keys, and of its values
_HEADS = (4, 2)  # at a sixteenth and at an eighth
_FINE = 32  # of the features a linear head is fitted on at a quarter


@dataclass(frozen=True)
class Seen:
    """What matching needs of each of B images.

    Parameters
    ----------
    sixteenth, eighth, quarter : (B, C, Y/16, X/16), (B, C, Y/8, X/8), (B, C, Y/4, X/4)
        Learnt features, finer and finer.
    plain : (B, D, Y/4, X/4)
        Features of the backbone itself: `pixel_features`.
    colour : (B, 3, Y/4, X/4)
        The prepared image.
    valid : (B, 1, Y/4, X/4)
        1 where the picture is, 0 in the padding.
    """

    sixteenth: Tensor
    eighth: Tensor
    quarter: Tensor
    plain: Tensor
    colour: Tensor
    valid: Tensor

    def take(self, images: Tensor) -> Seen:
        """Pick (or repeat) images by their positions in the batch."""
        return Seen(*(getattr(self, field.name)[images] for field in fields(self)))

    @classmethod
    def join(cls, parts: list[Seen]) -> Seen:
        """Put batches together."""
        return cls(*(torch.cat([getattr(one, field.name) for one in parts]) for field in fields(cls)))


class Embedding(nn.Module):
    """Learns features for matching from what a frozen backbone sees.

    Parameters
    ----------
    widths : (quarter, eighth, sixteenth)
        Channels the backbone gives.
    """

    def __init__(self, widths: tuple[int, int, int], channels: tuple[int, int, int]) -> None:
        super().__init__()
        quarter, eighth, sixteenth = channels
        self.coarse = nn.Sequential(nn.Conv2d(widths[2] + 2, sixteenth, 1), nn.GELU(), _block(sixteenth))
        self.middle = nn.Sequential(
            nn.Conv2d(widths[1] + sixteenth + 2, eighth, 1), nn.GELU(), _block(eighth)
        )
        self.fine = nn.Sequential(nn.Conv2d(widths[0] + eighth + 3, quarter, 1), nn.GELU(), _block(quarter))

    def forward(self, encoded: Encoded, valid: Tensor) -> Seen:
        """Look at B encoded images; `valid` is (B, 1, Y/4, X/4)."""
        assert encoded.colour is not None
        plain = pixel_features(encoded)
        places = plain[:, -6:-4]  # rows and columns
        colour = encoded.colour.float()
        coarse = self.coarse(_beside(encoded.embedding.float(), places))
        middle = self.middle(torch.cat([_beside(encoded.stem[1].float(), places), _up(coarse)], 1))
        fine = self.fine(torch.cat([encoded.stem[0].float(), _up(middle), colour], 1))
        return Seen(coarse, middle, fine, plain, colour, valid)


@dataclass(frozen=True)
class Memory:
    """What is kept of I annotated images: enough to match any query with any of them.

    Parameters
    ----------
    keys, values : (coarse, middle) of (I, heads, N, D)
    counts : (coarse, middle) of (I, N)
        Whether a place shows the picture, and not padding.
    linear, learnt : Moments
        For the linear heads.
    masks : (I, 1, Y/4, X/4)
        Share of each pixel that is the structure.
    """

    keys: tuple[Tensor, Tensor]
    values: tuple[Tensor, Tensor]
    counts: tuple[Tensor, Tensor]
    linear: Moments
    learnt: Moments
    masks: Tensor

    @classmethod
    def join(cls, parts: Sequence[Memory]) -> Memory:
        """Put what is kept of several sets of images together."""

        def scale(name: str, i: int) -> Tensor:
            return torch.cat([getattr(one, name)[i] for one in parts])

        keys, values, counts = ((scale(name, 0), scale(name, 1)) for name in ("keys", "values", "counts"))
        linear, learnt = (
            Moments.stack([getattr(one, name) for one in parts]) for name in ("linear", "learnt")
        )
        return cls(keys, values, counts, linear, learnt, torch.cat([one.masks for one in parts]))


class Matching(nn.Module):
    """Compares a query with all its examples at three scales.

    A query without examples finds only a learnt "nothing" that every query may match.

    Parameters
    ----------
    channels : (quarter, eighth, sixteenth)
        Of the embedding.
    """

    def __init__(self, channels: tuple[int, int, int]) -> None:
        super().__init__()
        self.coarse = Attention(channels[2], _HEADS[0], 4)
        self.middle = Attention(channels[1], _HEADS[1], 2)
        self.project = nn.Conv2d(channels[0], _FINE, 1)
        self.strength = nn.Parameter(torch.tensor(-4.0))
        self.out_channels = (sum(_HEADS) + 4, _HEADS[1] * _D, _HEADS[0] * _D)

    def remember(self, shots: Seen, masks: Tensor) -> Memory:
        """Keep what matching needs of I annotated images; masks (I, 1, Y/4, X/4) are 0 to 1."""
        coarse = self.coarse.remember(shots.sixteenth, masks, shots.valid)
        middle = self.middle.remember(shots.eighth, masks, shots.valid)
        with torch.no_grad():
            linear = moments(shots.plain, masks, shots.valid)
        learnt = moments(self._fine(shots), masks, shots.valid)
        keys, values, counts = zip(coarse, middle, strict=True)
        return Memory(keys, values, counts, linear, learnt, masks)

    def forward(self, query: Seen, memory: Memory, members: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Match B queries, each with some of the remembered images.

        Parameters
        ----------
        members : (B, S) long
            Which images are examples of each query; -1 where there is none.

        Returns
        -------
        Maps at a quarter, an eighth and a sixteenth: (B, C, Y/4, X/4), ...; see `out_channels`.
        """
        coarse, coarse_maps = self.coarse(query.sixteenth, memory, 0, members)
        middle, middle_maps = self.middle(query.eighth, memory, 1, members)
        weight = membership(members, len(memory.masks), query.valid.dtype)
        with torch.no_grad():
            linear = _linear(memory.linear, weight, 1e-2, query.plain)
        learnt = _linear(memory.learnt, weight, self.strength.exp(), self._fine(query))
        many = weight.sum(1, keepdim=True)
        mean = ((weight / many.clamp(min=1)) @ memory.masks.flatten(1)).view_as(query.valid)
        is_any = (many > 0).to(mean.dtype)[:, :, None, None].expand_as(query.valid)
        return torch.cat([coarse_maps, middle_maps, linear, learnt, mean, is_any], 1), middle, coarse

    def _fine(self, seen: Seen) -> Tensor:
        """Features for the learnt linear head, (B, F + 1, Y/4, X/4), with a mean square of 1."""
        x = self.project(seen.quarter)
        x = x / x.square().mean(1, keepdim=True).add(1e-4).sqrt()
        return torch.cat([x, torch.ones_like(x[:, :1])], 1)


class Attention(nn.Module):
    """Every place of the query asks all places of the examples, and is told what their masks look like there.

    Parameters
    ----------
    patch : int
        Pixels of a mask, at a quarter of the canvas, along a side of a place.
    """

    def __init__(self, channels: int, heads: int, patch: int) -> None:
        super().__init__()
        self.heads, self.patch = heads, patch
        self.ask = nn.Conv2d(channels, heads * _D, 1)
        self.key = nn.Conv2d(channels, heads * _D, 1)
        self.value = nn.Conv2d(channels + patch**2, heads * (_D - patch**2), 1)
        self.nothing = nn.Parameter(torch.zeros(2, heads, 1, _D))

    def remember(self, shots: Tensor, masks: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Keys and values (I, heads, N, D) of I images, and which places count (I, N)."""
        patches = F.pixel_unshuffle(masks * 2 - 1, self.patch)  # (I, patch^2, Y, X)
        learnt = self.value(torch.cat([shots, patches], 1)).unflatten(1, (self.heads, -1))
        copied = patches[:, None].expand(-1, self.heads, -1, -1, -1)
        values = torch.cat([copied, learnt], 2).flatten(3).transpose(2, 3)
        keys = self.key(shots).unflatten(1, (self.heads, -1)).flatten(3).transpose(2, 3)
        return keys, values, F.avg_pool2d(valid, self.patch).flatten(1) > 0.5

    def forward(self, query: Tensor, memory: Memory, scale: int, members: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, Y, X) to features (B, heads * D, Y, X) and the masks found (B, heads, Y/4, X/4)."""
        n = len(members)
        asked = self.ask(query).unflatten(1, (self.heads, -1)).flatten(3).transpose(2, 3)
        nothing = self.nothing[:, None].expand(-1, n, -1, -1, -1)
        keys, values = (
            torch.cat([empty, _picked(part[scale], members)], 2)
            for empty, part in zip(nothing, (memory.keys, memory.values), strict=True)
        )
        counts = memory.counts[scale][members.clamp(min=0)] & (members >= 0)[:, :, None]  # (B, S, N)
        counts = F.pad(counts.flatten(1), (1, 0), value=True)[:, None, None]
        found = F.scaled_dot_product_attention(asked, keys, values, attn_mask=counts)
        found = found.transpose(2, 3).unflatten(3, query.shape[-2:])  # (B, heads, D, Y, X)
        maps = F.pixel_shuffle(found[:, :, : self.patch**2].flatten(1, 2), self.patch)
        return found.flatten(1, 2), maps


def membership(members: Tensor, n: int, dtype: torch.dtype) -> Tensor:
    """(B, S) positions, -1 for none, to (B, n) with a 1 for each member."""
    weight = torch.zeros(len(members), n + 1, dtype=dtype, device=members.device)
    weight.scatter_(1, torch.where(members < 0, n, members), 1.0)
    return weight[:, :n]


def _linear(known: Moments, weight: Tensor, strength: float | Tensor, query: Tensor) -> Tensor:
    """Fit a linear head on each query's examples and apply it; 0 where there are none."""
    return apply(fit(known.total(weight), strength, balance=1.0), query).clamp(-2, 2)


def _picked(part: Tensor, members: Tensor) -> Tensor:
    """(I, heads, N, D) to the tokens of each query's examples, (B, heads, S * N, D)."""
    return part[members.clamp(min=0)].permute(0, 2, 1, 3, 4).flatten(2, 3)


def _block(channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1), nn.GELU(), nn.Conv2d(channels, channels, 3, padding=1)
    )


def _up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _beside(x: Tensor, places: Tensor) -> Tensor:
    """Features with the place of each pixel."""
    return torch.cat([x, F.adaptive_avg_pool2d(places, (x.shape[-2], x.shape[-1]))], 1)
