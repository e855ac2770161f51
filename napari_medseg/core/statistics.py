"""How sure a difference is: a bootstrap over patients, and the words for what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

FEWEST_GROUPS = 5
Verdict = Literal["better", "worse", "no worse", "too few to tell"]


@dataclass(frozen=True)
class Interval:
    """A mean with the interval in which it lies with 95 % confidence (or another level).

    Parameters
    ----------
    mean, low, high : float
        In the unit of the values; NaN when there are none.
    n, n_groups : int
        Number of values, and of groups (patients or cases) they come from.
    """

    mean: float
    low: float
    high: float
    n: int
    n_groups: int

    def __str__(self) -> str:
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"

    def verdict(self, margin: float = 0.0) -> Verdict:
        """Say in words what a difference shows.

        *better*: the interval lies above zero; *worse*: below zero and, when a margin is given, not
        within it; *no worse*: above minus the margin; *too few to tell*: anything else, and always with
        fewer than five groups.
        """
        if self.n_groups < FEWEST_GROUPS or not np.isfinite(self.mean):
            return "too few to tell"
        if self.low > 0:
            return "better"
        if margin > 0 and self.low > -margin:
            return "no worse"
        return "worse" if self.high < 0 else "too few to tell"


def paired_bootstrap(
    differences: ArrayLike,
    groups: Sequence[str],
    sets: Sequence[str] | None = None,
    *,
    n_resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Mean of paired differences with its interval, drawing whole groups anew within each set.

    Parameters
    ----------
    differences : (N,)
        Value of one arm minus that of the other on the same image; plain values give the interval of a
        mean.
    groups : N names
        Patient or case of each image: images of one group are drawn together.
    sets : N names, optional
        Data set of each image; the result is then the mean over sets of their means.
    n_resamples : int
        Number of draws.
    level : float, 0 to 1
        Confidence of the interval.
    seed : int
        The same seed gives the same interval.

    Source
    ------
    Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8: groups are drawn
    with replacement, whole; percentile interval.
    """
    values = np.asarray(differences, dtype=np.float64)
    names = np.asarray(["" for _ in values] if sets is None else sets, dtype=np.str_)
    owners = np.asarray(groups, dtype=np.str_)
    if not len(values) == len(owners) == len(names):
        raise ValueError("Every difference needs its group and its set.")
    if len(values) == 0:
        return Interval(np.nan, np.nan, np.nan, 0, 0)
    rng = np.random.default_rng(seed)
    means, draws, n_groups = [], np.zeros(n_resamples), 0
    for name in np.unique(names):
        here = names == name
        sums, counts = _by_group(values[here], owners[here])
        drawn = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=n_resamples)
        draws += (drawn @ sums) / (drawn @ counts)
        means.append(values[here].mean())
        n_groups += len(sums)
    low, high = np.quantile(draws / len(means), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(np.mean(means)), float(low), float(high), len(values), n_groups)


def _by_group(
    values: NDArray[np.float64], owners: NDArray[np.str_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and number of the values of each group."""
    which = np.unique(owners, return_inverse=True)[1]
    return np.bincount(which, values).astype(np.float64), np.bincount(which).astype(np.float64)
