"""A linear head fitted in closed form: which pixels are like those somebody outlined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_medseg.networks.sam_decoder import Encoded

_BLURS = (3, 7, 15)  # widths of the averages of the image that are features, at a quarter of the canvas


@dataclass(frozen=True)
class Moments:
    """Sums over the pixels inside and outside a structure; those of several images are added.

    Parameters
    ----------
    products : (..., 2, D, D)
        Sums of the outer products of the features, inside first.
    sums : (..., 2, D)
        Sums of the features.
    counts : (..., 2)
        How many pixels they are, fractions included.
    """

    products: Tensor
    sums: Tensor
    counts: Tensor

    def total(self, weights: Tensor) -> Moments:
        """Add up moments (S, ...) with weights (..., S), such as 1 for each example that counts."""

        def added(part: Tensor) -> Tensor:
            return torch.tensordot(weights, part, dims=1)

        return Moments(added(self.products), added(self.sums), added(self.counts))

    @classmethod
    def stack(cls, parts: Sequence[Moments]) -> Moments:
        """Put the moments of several sets of images (I, ...) together."""
        products, sums, counts = zip(*((one.products, one.sums, one.counts) for one in parts), strict=True)
        return cls(torch.cat(products), torch.cat(sums), torch.cat(counts))


def moments(features: Tensor, inside: Tensor, valid: Tensor) -> Moments:
    """Sum up the features of each image.

    Parameters
    ----------
    features : (S, D, Y, X)
    inside : (S, 1, Y, X)
        Share of each pixel that is the structure, 0 to 1.
    valid : (S, 1, Y, X)
        1 where the picture is, 0 in the padding.
    """
    flat = features.flatten(2)  # (S, D, N)
    shares = torch.stack([inside * valid, (1 - inside) * valid], 1).flatten(2)  # (S, 2, N)
    weighted = flat[:, None] * shares[:, :, None]  # (S, 2, D, N)
    return Moments(weighted @ flat[:, None].transpose(-1, -2), weighted.sum(-1), shares.sum(-1))


def fit(total: Moments, strength: float | Tensor = 1e-3, balance: float = 0.5) -> Tensor:
    """Solve for the weights (..., D) that give 1 inside and -1 outside, as nearly as a ridge allows.

    Parameters
    ----------
    strength : float or ()
        Of the ridge, relative to the mean square of a feature.
    balance : float
        0 weighs every pixel alike, 1 inside and outside alike, however small the structure.

    Source
    ------
    Hoerl and Kennard, Ridge regression, Technometrics 1970; as a differentiable head: Bertinetto et al.,
    Meta-learning with differentiable closed-form solvers, ICLR 2019.
    """
    weight = total.counts.clamp(min=1.0) ** -balance
    weight = weight * (total.counts > 0)
    products = (total.products * weight[..., None, None]).sum(-3)
    wanted = (total.sums * weight[..., None] * weight.new_tensor([1.0, -1.0])[:, None]).sum(-2)
    size = products.shape[-1]
    mean = products.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None].clamp(min=1e-9)
    ridge = strength * mean * torch.eye(size, device=products.device, dtype=products.dtype)
    factor = torch.linalg.cholesky(products + ridge)
    return torch.cholesky_solve(wanted[..., None], factor)[..., 0]


def apply(weights: Tensor, features: Tensor) -> Tensor:
    """What fitted weights (B, D) say of features (B, D, Y, X): (B, 1, Y, X), about -1 to 1."""
    return torch.einsum("bd,bdyx->byx", weights, features)[:, None]


def pixel_features(encoded: Encoded) -> Tensor:
    """What a backbone and the plain image say of every fourth pixel.

    Returns
    -------
    (B, D, Y/4, X/4)
        The backbone's embedding and, where it gives them, fine features and the image with averages of
        it; then where the pixel is, and 1.
    """
    parts = [_normal(encoded.embedding), *(_normal(fine) for fine in encoded.stem)]
    size = (4 * encoded.embedding.shape[-2], 4 * encoded.embedding.shape[-1])
    found = [F.interpolate(part, size, mode="bilinear", align_corners=False) for part in parts]
    found += [] if encoded.colour is None else _plain(encoded.colour.float())
    return torch.cat([*found, _places(found[0]), torch.ones_like(found[0][:, :1])], 1)


def _plain(colour: Tensor) -> list[Tensor]:
    """The image (B, 3, Y, X), and averages and spreads of its grey over neighbourhoods."""
    grey = colour.mean(1, keepdim=True)
    blurred = [F.avg_pool2d(grey, n, 1, n // 2) for n in _BLURS]
    squares = [F.avg_pool2d(grey * grey, n, 1, n // 2) for n in _BLURS]
    spread = [(s - b * b).clamp(min=0).sqrt() for s, b in zip(squares, blurred, strict=True)]
    return [colour, *blurred, *spread]


def _normal(part: Tensor) -> Tensor:
    """Features (B, C, Y, X) with a mean square of 1 at each pixel, so that no part outweighs another."""
    part = part.float()
    return part / part.square().mean(1, keepdim=True).sqrt().clamp(min=1e-3)


def _places(like: Tensor) -> Tensor:
    """Rows and columns of each pixel, -1 to 1, with their squares and product: (B, 5, Y, X)."""
    rows, columns = (torch.linspace(-1, 1, n, device=like.device) for n in like.shape[-2:])
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([y, x, y * y, x * x, x * y]).expand(len(like), -1, -1, -1)
