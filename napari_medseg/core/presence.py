"""Whether a structure is there at all, by a few facts about an answer: logistic regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_RIDGE = 1e-3  # pulls weights towards nought


@dataclass(frozen=True)
class Presence:
    """The chance that a structure is there, from facts (F,) about the answer that outlined it.

    Parameters
    ----------
    mean, spread : (F,)
        Of the facts it was learnt from, by which they are made comparable.
    weights : (F,)
    bias : float
    """

    mean: tuple[float, ...]
    spread: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float

    def chance(self, facts: NDArray[np.float64]) -> float:
        """The chance, 0 to 1."""
        scaled = np.clip((facts - np.array(self.mean)) / np.array(self.spread), -5, 5)
        return float(1 / (1 + np.exp(-(scaled @ np.array(self.weights) + self.bias))))


def learn_presence(facts: NDArray[np.float64], there: Sequence[bool]) -> Presence:
    """Learn from answers whose truth is known; both kinds count alike, however many there are.

    Parameters
    ----------
    facts : (N, F)
    there : (N,)
        Whether the structure was there.
    """
    from scipy.optimize import minimize

    mean, spread = facts.mean(0), np.maximum(facts.std(0), 1e-6)
    x, y = np.clip((facts - mean) / spread, -5, 5), np.asarray(there, np.float64)
    often = np.where(y > 0, 0.5 / max(y.sum(), 1), 0.5 / max((1 - y).sum(), 1))

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        score = x @ values[:-1] + values[-1]
        wrong = often * (1 / (1 + np.exp(-np.clip(score, -50, 50))) - y)
        total = (often * (np.logaddexp(0, score) - y * score)).sum() + _RIDGE * (values[:-1] ** 2).sum() / 2
        return float(total), np.append(x.T @ wrong + _RIDGE * values[:-1], wrong.sum())

    found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B").x
    rounded = [tuple(float(v) for v in part.round(5)) for part in (mean, spread, found[:-1])]
    return Presence(rounded[0], rounded[1], rounded[2], round(float(found[-1]), 5))
