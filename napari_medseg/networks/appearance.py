"""What an image and its prompts say before anything is learnt: likelihoods and geodesic nearness.

These maps go into the decoder beside the prompts, so that a small network trained on few images can lean on
what the classical methods know, on images unlike any it was trained on.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

N_APPEARANCE = 6  # likelihoods of grey, two colours and texture; nearness to what is inside and outside
_BINS = 24
_REACH = 2.5  # greys beyond this many standard deviations from the middle share the outer bins
_ROUNDS = 4  # of sweeps along rows and columns
_STEP = 0.02  # geodesic length of a step where the image is flat
_FADE = 0.5  # geodesic distance at which nearness has fallen to 1/e


@torch.no_grad()
def appearance_maps(image: Tensor, maps: Tensor) -> Tensor:
    """Compare each pixel with what lies under the prompts.

    Parameters
    ----------
    image : (P, 3, Y, X)
        The prepared image, averaged down to the size of the maps.
    maps : (P, 4, Y, X)
        Dense prompts: previous mask, inside marks, outside marks, box; see `PromptBatch`.

    Returns
    -------
    (P, 6, Y, X)
        Four comparisons of likelihoods, -1 (as outside) to 1 (as inside), then two nearnesses, 0 to 1.

    Source
    ------
    Histograms of object and background: Rother et al., GrabCut, 2004. Geodesic distance: Criminisi et al.,
    GeoS, ECCV 2008, here by sweeps along rows and columns.
    """
    inside, outside = _belief(maps)
    grey = image.mean(1, keepdim=True)
    texture = (F.avg_pool2d(grey * grey, 3, 1, 1) - F.avg_pool2d(grey, 3, 1, 1) ** 2).clamp(min=0).sqrt()
    colours = torch.stack([image[:, 0] - image[:, 1], image[:, 2] - image[:, 1]], 1)
    features = torch.cat([grey, 2 * colours, 4 * texture - _REACH], 1)
    seeds = torch.stack([inside, outside], 1)
    return torch.cat([_likelihoods(features, inside, outside), _nearness(image, seeds)], 1)


def _belief(maps: Tensor) -> tuple[Tensor, Tensor]:
    """How surely each pixel is inside and outside by the prompts alone, each (P, Y, X), 0 to 1."""
    previous, clicks, against, box = maps.unbind(1)
    is_known = (previous != 0).flatten(1).any(1)[:, None, None]
    has_box = (box > 0).flatten(1).any(1)[:, None, None]
    core = torch.where(is_known, previous.clamp(min=0), (2 * box - 1).clamp(min=0))
    inside = torch.maximum(core, clicks)
    far = torch.where(is_known, (-previous).clamp(min=0), (has_box & (box < 0.3)).float())
    return inside * (against < 0.5), torch.maximum(far, against) * (clicks < 0.5)


def _likelihoods(features: Tensor, inside: Tensor, outside: Tensor) -> Tensor:
    """(p(inside) - p(outside)) / (p(inside) + p(outside)) of each feature (P, K, Y, X) by histograms."""
    n, k, rows, columns = features.shape
    place = ((features.clamp(-_REACH, _REACH) + _REACH) / (2 * _REACH) * (_BINS - 1)).flatten(2)
    low = place.floor().clamp(max=_BINS - 2)
    part = place - low
    low = low.long()
    nothing = outside.flatten(1).sum(1)[:, None, None] == 0  # then everything not clicked is compared with
    outside = torch.where(nothing, 1 - inside, outside)
    found = []
    for weight in (inside, outside):
        mass = weight.flatten(1)[:, None].expand(n, k, -1)
        histogram = features.new_zeros(n, k, _BINS)
        histogram.scatter_add_(2, low, mass * (1 - part)).scatter_add_(2, low + 1, mass * part)
        smooth = F.avg_pool1d(F.pad(histogram, (1, 1), mode="replicate"), 3, 1)
        smooth = smooth / smooth.sum(2, keepdim=True).clamp(min=1e-6)
        found.append(smooth.gather(2, low) * (1 - part) + smooth.gather(2, low + 1) * part)
    ratio = (found[0] - found[1]) / (found[0] + found[1] + 0.1 / _BINS)
    return ratio.view(n, k, rows, columns)


def _nearness(image: Tensor, seeds: Tensor) -> Tensor:
    """exp(-d / fade) of the geodesic distance d of each pixel to each of K kinds of seeds (P, K, Y, X).

    Along a line a distance that starts from several seeds is a running minimum, so that each sweep is exact
    and a few sweeps follow most bent ways.
    """
    distance = torch.where(seeds > 0.5, 0.0, 1e3)
    for axis in (-1, -2) * _ROUNDS:
        step = image.diff(dim=axis).abs().amax(1, keepdim=True) + _STEP
        zero = torch.zeros_like(step.narrow(axis, 0, 1))
        way = torch.cat([zero, step.cumsum(axis)], axis)
        forth = (distance - way).cummin(axis).values + way
        back = (distance + way).flip(axis).cummin(axis).values.flip(axis) - way
        distance = torch.minimum(forth, back)
    return torch.exp(-distance / _FADE)
