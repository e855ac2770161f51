"""What a model's word about its own answers is worth: the Dice that such answers had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COVERAGE = 0.8  # of the interval: eight answers in ten lie inside
FEWEST = 40  # answers that a calibration needs
_MOST_KNOTS = 12


@dataclass(frozen=True)
class Calibration:
    """Expected Dice, with the interval that eight answers in ten fall into, by what the model said.

    Parameters
    ----------
    said : tuple of float
        What the model says of itself, ascending.
    mean, low, high : tuples of float
        Expected Dice there, and the interval's ends; in between, straight lines.
    n : int
        Answers it was learnt from.
    """

    said: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    n: int

    def read(self, said: float) -> tuple[float, float, float]:
        """Expected Dice and its interval's lower and upper end, for what a model says of an answer."""
        mean, low, high = (float(np.interp(said, self.said, v)) for v in (self.mean, self.low, self.high))
        return mean, min(low, mean), max(high, mean)


def calibrate(said: Sequence[float], dice: Sequence[float]) -> Calibration | None:
    """Learn from answers whose truth is known; None where there are too few.

    Parameters
    ----------
    said, dice : (N,)
        What a model said of each answer, and the Dice it had.

    Source
    ------
    The mean: isotonic regression (Zadrozny and Elkan, KDD 2002). The interval: quantiles of neighbouring
    answers, a little further out for the finite sample (Vovk et al., 2005), made monotone.
    """
    n = len(said)
    if n < FEWEST:
        return None
    order = np.argsort(said, kind="stable")
    x, y = np.asarray(said, np.float64)[order], np.asarray(dice, np.float64)[order]
    wide = min(n, max(FEWEST, n // 8))
    knots = np.unique(np.linspace(0, n - 1, min(_MOST_KNOTS, n)).round().astype(int))
    starts = [int(np.clip(knot - wide // 2, 0, n - wide)) for knot in knots]
    tail = (1 - COVERAGE) / 2 * (wide - 1) / wide  # a little further out than the sample's own quantile
    near = [y[start : start + wide] for start in starts]
    at = np.array([x[start : start + wide].mean() for start in starts])
    mean = _rising(np.array([part.mean() for part in near]))
    low = _rising(np.array([np.quantile(part, tail) for part in near]))
    high = _rising(np.array([np.quantile(part, 1 - tail) for part in near]))
    at, first = np.unique(at, return_index=True)
    knots_at, *values = (
        tuple(float(v) for v in part.round(4)) for part in (at, mean[first], low[first], high[first])
    )
    return Calibration(knots_at, values[0], values[1], values[2], n)


def _rising(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest values that never fall."""
    from scipy.optimize import isotonic_regression

    return np.asarray(isotonic_regression(values).x)
