"""What an answer from examples looks like beside the examples: facts by which its word is weighed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.errors import WeightsError
from napari_medseg.core.presence import Presence
from napari_medseg.methods._shots import Shot, View

if TYPE_CHECKING:
    from torch import Tensor

FACTS = ("peak", "firm", "unsure", "area", "alike inside", "alike beside", "alike all over")
_PEAK = 0.002  # share of the slice behind the peak


def facts_of(
    view: View, probability: NDArray[np.float32], region: NDArray[np.bool_], shots: Sequence[Shot], name: str
) -> NDArray[np.float64]:
    """Facts (7,) about an answer, named in `FACTS`.

    Parameters
    ----------
    probability, region : (rows, columns)
        The answer.
    shots : sequence
        The examples it went by.
    """
    n = max(1, int(_PEAK * probability.size))
    peak = float(np.partition(probability.ravel(), -n)[-n:].mean())
    firm = float(probability[region].mean()) if region.any() else peak
    unsure = float((4 * probability * (1 - probability)).sum() / max(probability.sum(), 1.0))
    shown = [shot for shot in shots if name in shot.regions and shot.regions[name].any()]
    if not shown:
        return np.array([_logit(peak), _logit(firm), unsure, 0.0, 0.0, 0.0, 0.0])
    usual = np.mean([shot.regions[name].mean() for shot in shown])
    area = float(np.clip(np.log((region.mean() + 1e-5) / (usual + 1e-5)), -4, 4))
    heat = view.frame.place(probability.astype(np.float32))
    inside, beside, whole = _pooled(view, heat)
    alike, others, overall = [], [], []
    for shot in shown:
        if ("pooled", name) not in shot.made:
            shot.made["pooled", name] = _pooled(shot.view, shot.canvas(name)[0, 0].numpy())
        own, around, everything = shot.made["pooled", name]
        alike.append(_cosine(inside, own))
        others.append(_cosine(inside, around))
        overall.append(_cosine(whole, everything))
    best = float(np.max(alike))
    return np.array(
        [_logit(peak), _logit(firm), unsure, area, best, best - float(np.max(others)), float(np.max(overall))]
    )


def _pooled(view: View, heat: NDArray[np.float32]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean features inside an outline (S, S), in what lies beside it, and of the whole picture."""
    import torch
    from torch.nn import functional as F

    features = view.encoded.embedding[0].float().cpu()  # (D, Y/16, X/16)
    inside = F.adaptive_avg_pool2d(torch.from_numpy(heat)[None], (features.shape[1], features.shape[2]))[0]
    valid = F.adaptive_avg_pool2d(view.valid()[0].cpu(), (features.shape[1], features.shape[2]))[0]
    inside, beside = inside * valid, (1 - inside) * valid
    means = [
        (features * weight).sum((1, 2)) / weight.sum().clamp(min=1e-4) for weight in (inside, beside, valid)
    ]
    return means[0], means[1], means[2]


def _cosine(one: Tensor, other: Tensor) -> float:
    return float(one @ other / (one.norm() * other.norm()).clamp(min=1e-6))


def _logit(value: float) -> float:
    value = float(np.clip(value, 1e-4, 1 - 1e-4))
    return float(np.log(value / (1 - value)))


def read_presence(card: Mapping[str, Any], name: str) -> Presence | None:
    """What a card knows of presence; None for an old one.

    Raises
    ------
    WeightsError
        If it cannot be read.
    """
    if "presence" not in card:
        return None
    try:
        about = card["presence"]
        parts = [tuple(float(v) for v in about[part]) for part in ("mean", "spread", "weights")]
        if any(len(part) != len(FACTS) for part in parts):
            raise ValueError
        return Presence(parts[0], parts[1], parts[2], float(about["bias"]))
    except (KeyError, TypeError, ValueError):
        raise WeightsError(
            f"What the card of the model '{name}' says of presence is damaged; install the model again."
        ) from None
