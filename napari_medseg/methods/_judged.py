"""What an answer from examples looks like beside the examples: facts by which its word is weighed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_medseg.core.errors import WeightsError
from napari_medseg.core.presence import Presence
from napari_medseg.methods._shots import Shot, View

if TYPE_CHECKING:
    from torch import Tensor

FACTS = (
    "peak", "firm", "unsure", "area", "alike inside", "alike beside", "alike all over", "grey", "contrast",
)  # fmt: skip
KINDS = WITHIN, ACROSS = "within a volume", "across images"
_PEAK = 0.002  # share of the slice behind the peak
_NOISE = 0.15  # of prepared grey values, in their standard deviations over photographs
_RIM = 3  # pixels at a quarter of the canvas


def facts_of(
    view: View, probability: NDArray[np.float32], region: NDArray[np.bool_], shots: Sequence[Shot], name: str
) -> NDArray[np.float64]:
    """Facts (9,) about an answer, named in `FACTS`.

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
        return np.array([_logit(peak), _logit(firm), unsure, *[0.0] * 6])
    usual = np.mean([shot.regions[name].mean() for shot in shown])
    area = float(np.clip(np.log((region.mean() + 1e-5) / (usual + 1e-5)), -4, 4))
    heat = view.frame.place(probability.astype(np.float32))
    inside, beside, whole, grey = _pooled(view, heat)
    alike, others, overall, apart, contrast = [], [], [], [], []
    for shot in shown:
        if ("pooled", name) not in shot.made:
            shot.made["pooled", name] = _pooled(shot.view, shot.canvas(name)[0, 0].numpy())
        own, around, everything, usual_grey = shot.made["pooled", name]
        alike.append(_cosine(inside, own))
        others.append(_cosine(inside, around))
        overall.append(_cosine(whole, everything))
        apart.append(abs(grey.inside - usual_grey.inside) / (usual_grey.spread + _NOISE))
        step = usual_grey.inside - usual_grey.beside
        contrast.append((grey.inside - grey.beside) * np.sign(step) / (abs(step) + _NOISE))
    best = float(np.max(alike))
    return np.array([
        _logit(peak), _logit(firm), unsure, area, best, best - float(np.max(others)), float(np.max(overall)),
        float(np.clip(np.min(apart), 0, 6)), float(np.clip(np.median(contrast), -2, 3)),
    ])  # fmt: skip


@dataclass(frozen=True)
class Grey:
    """How bright a prepared picture is inside an outline and in a rim around it, and the spread inside."""

    inside: float
    spread: float
    beside: float


def _pooled(view: View, heat: NDArray[np.float32]) -> tuple[Tensor, Tensor, Tensor, Grey]:
    """Mean features inside an outline (S, S), in what lies beside it, of the whole picture; and its grey."""
    import torch
    from torch.nn import functional as F

    features = view.encoded.embedding[0].float().cpu()  # (D, Y/16, X/16)
    inside = F.adaptive_avg_pool2d(torch.from_numpy(heat)[None], (features.shape[1], features.shape[2]))[0]
    valid = F.adaptive_avg_pool2d(view.valid()[0].cpu(), (features.shape[1], features.shape[2]))[0]
    inside, beside = inside * valid, (1 - inside) * valid
    means = [
        (features * weight).sum((1, 2)) / weight.sum().clamp(min=1e-4) for weight in (inside, beside, valid)
    ]
    return means[0], means[1], means[2], _grey(view, heat)


def _grey(view: View, heat: NDArray[np.float32]) -> Grey:
    """Grey values of the picture the backbone saw, at a quarter of its size."""
    import torch
    from torch.nn import functional as F

    assert view.encoded.colour is not None  # the compact backbone keeps it
    grey = view.encoded.colour[0].float().mean(0).cpu().numpy()
    valid = view.valid()[0, 0].numpy() > 0
    small = F.adaptive_avg_pool2d(torch.from_numpy(heat)[None], (grey.shape[0], grey.shape[1]))[0].numpy()
    inside = (small >= min(0.5, 0.9 * float(small.max()))) & valid
    rim = ndimage.binary_dilation(inside, iterations=_RIM) & ~inside & valid
    values = grey[inside] if inside.any() else grey[valid]
    beside = grey[rim] if rim.any() else grey[valid]
    return Grey(float(values.mean()), float(values.std()), float(beside.mean()))


def _cosine(one: Tensor, other: Tensor) -> float:
    return float(one @ other / (one.norm() * other.norm()).clamp(min=1e-6))


def _logit(value: float) -> float:
    value = float(np.clip(value, 1e-4, 1 - 1e-4))
    return float(np.log(value / (1 - value)))


def kind_of(view: View, shots: Sequence[Shot]) -> str:
    """Whether an answer went by slices of its own volume, or only by those of others."""
    return WITHIN if any(shot.view.volume is view.volume for shot in shots) else ACROSS


def read_presence(card: Mapping[str, Any], name: str) -> dict[str, Presence]:
    """What a card knows of presence, by kind of answer; an old card knows nothing.

    Raises
    ------
    WeightsError
        If it cannot be read.
    """
    if "presence" not in card:
        return {}
    try:
        return {kind: _presence(about) for kind, about in card["presence"].items() if kind in KINDS}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise WeightsError(
            f"What the card of the model '{name}' says of presence is damaged; install the model again."
        ) from None


def _presence(about: Mapping[str, Any]) -> Presence:
    parts = [tuple(float(v) for v in about[part]) for part in ("mean", "spread", "weights")]
    if any(len(part) != len(FACTS) for part in parts):
        raise ValueError
    return Presence(parts[0], parts[1], parts[2], float(about["bias"]))
