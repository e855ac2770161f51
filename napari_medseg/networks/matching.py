"""Dense matching: where a place of a new image finds its like on annotated ones, and what was outlined."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medseg.networks.ridge import apply, fit, moments, pixel_features
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
        wide = (channels[2], channels[1])
        self.places = nn.ModuleList(
            Attention(c, heads, 4 // (1 + i)) for i, (c, heads) in enumerate(zip(wide, _HEADS, strict=True))
        )
        self.project = nn.Conv2d(channels[0], _FINE, 1)
        self.strength = nn.Parameter(torch.tensor(-4.0))
        self.out_channels = (sum(_HEADS) + 3 + 1, _HEADS[1] * _D, _HEADS[0] * _D)

    def forward(
        self, query: Seen, shots: Seen, masks: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Match B queries with S examples each.

        Parameters
        ----------
        shots : Seen
            Of B * S images, those of the first query first.
        masks : (B * S, 1, Y/4, X/4)
            Share of each pixel that is the structure.
        present : (B, S)
            1 where there is an example, 0 where the place is empty.

        Returns
        -------
        Maps at a quarter, an eighth and a sixteenth: (B, C, Y/4, X/4), ...; see `out_channels`.
        """
        n, s = present.shape
        coarse, coarse_maps = self.places[0](query.sixteenth, shots.sixteenth, masks, shots.valid, present)
        middle, middle_maps = self.places[1](query.eighth, shots.eighth, masks, shots.valid, present)
        weight = present.new_zeros(n, n * s)
        weight[torch.arange(n).repeat_interleave(s), torch.arange(n * s)] = present.flatten()
        linear = _linear(query.plain, shots.plain, masks, shots.valid, weight, 1e-3)
        learnt = _linear(
            self._fine(query), self._fine(shots), masks, shots.valid, weight, self.strength.exp()
        )
        many = present.sum(1).clamp(min=1)[:, None]
        mean = (weight / many) @ masks.flatten(1)
        any_at_all = (present.sum(1) > 0).to(mean.dtype)[:, None, None, None].expand_as(query.valid)
        fine = [coarse_maps, middle_maps, linear, learnt, mean.view_as(query.valid), any_at_all]
        return torch.cat(fine, 1), middle, coarse

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

    def forward(
        self, query: Tensor, shots: Tensor, masks: Tensor, valid: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(B, C, Y, X) and (B * S, C, Y, X) to features (B, heads * D, Y, X) and masks at a quarter."""
        n, s = present.shape
        patches = F.pixel_unshuffle(masks * 2 - 1, self.patch)  # (B S, patch^2, Y, X)
        learnt = self.value(torch.cat([shots, patches], 1))
        learnt = learnt.unflatten(1, (self.heads, -1))
        copied = patches[:, None].expand(-1, self.heads, -1, -1, -1)
        values = _tokens(torch.cat([copied, learnt], 2), n, s)
        keys = _tokens(self.key(shots).unflatten(1, (self.heads, -1)), n, s)
        asked = self.ask(query).unflatten(1, (self.heads, -1)).flatten(3).transpose(2, 3)
        counts = F.avg_pool2d(valid, self.patch).flatten(1) > 0.5  # (B S, N)
        counts = (counts.view(n, s, -1) & (present > 0)[:, :, None]).flatten(1)
        counts = F.pad(counts, (1, 0), value=True)[:, None, None]
        nothing = self.nothing[:, None].expand(-1, n, -1, -1, -1)
        keys, values = torch.cat([nothing[0], keys], 2), torch.cat([nothing[1], values], 2)
        found = F.scaled_dot_product_attention(asked, keys, values, attn_mask=counts)
        found = found.transpose(2, 3).unflatten(3, query.shape[-2:])  # (B, heads, D, Y, X)
        maps = F.pixel_shuffle(found[:, :, : self.patch**2].flatten(1, 2), self.patch)
        return found.flatten(1, 2), maps


def _linear(
    query: Tensor, shots: Tensor, masks: Tensor, valid: Tensor, weight: Tensor, strength: float | Tensor
) -> Tensor:
    """Fit a linear head on each query's examples and apply it; 0 where there are none."""
    if not len(shots):
        return torch.zeros_like(query[:, :1])
    weights = fit(moments(shots, masks, valid).total(weight), strength)
    return apply(weights, query).clamp(-2, 2)


def _tokens(x: Tensor, n: int, s: int) -> Tensor:
    """(B S, heads, D, Y, X) to (B, heads, S * Y * X, D)."""
    x = x.flatten(3).unflatten(0, (n, s))  # (B, S, heads, D, N)
    return x.permute(0, 2, 1, 4, 3).flatten(2, 3)


def _block(channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1), nn.GELU(), nn.Conv2d(channels, channels, 3, padding=1)
    )


def _up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _beside(x: Tensor, places: Tensor) -> Tensor:
    """Features with the place of each pixel."""
    return torch.cat([x, F.adaptive_avg_pool2d(places, (x.shape[-2], x.shape[-1]))], 1)
