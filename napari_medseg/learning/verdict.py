"""Whether a new version is better than what there was, in a sentence a physician reads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from napari_medseg.core.statistics import FEWEST_GROUPS, paired_bootstrap

Outcome = Literal["better", "worse", "no change", "too few", "first"]
VISIBLE = 0.01  # Dice by which a slice counts as better or worse
_MANY = 100  # patients, beyond which their number says nothing
_WIDEST = 0.05  # an interval that reaches further to each side says nothing yet


@dataclass(frozen=True)
class Pair:
    """Dice of one structure on one held-back slice, before and after; None where nothing was there before."""

    structure: str
    group: str
    slice: str
    before: float | None
    after: float


@dataclass(frozen=True)
class Change:
    """What became of one structure.

    Parameters
    ----------
    name : str
        The structure.
    before, after : float, 0 to 1
        Mean Dice on the held-back slices; `before` is None where there was nothing to compare with.
    low, high : float
        Where the difference lies with 95 % confidence; None where there is none.
    n_better, n_worse : int
        Slices on which Dice rose or fell by more than 0.01.
    n_slices, n_groups : int
        Held-back slices, and the patients they come from.
    outcome : Outcome
        In a word.
    """

    name: str
    before: float | None
    after: float
    low: float | None
    high: float | None
    n_better: int
    n_worse: int
    n_slices: int
    n_groups: int
    outcome: Outcome

    @property
    def n_missing(self) -> int:
        """About how many more patients must be seen before the difference can be told."""
        if self.n_groups < FEWEST_GROUPS:
            return 3 * (FEWEST_GROUPS - self.n_groups)  # a third of few patients is held back
        reach = ((self.high or 0.0) - (self.low or 0.0)) / 2
        return 5 * max(1, math.ceil(self.n_groups * ((reach / _WIDEST) ** 2 - 1)))  # a fifth of many


@dataclass(frozen=True)
class Verdict:
    """What a round came to.

    Parameters
    ----------
    outcome : Outcome
        *better*: for a structure at least, and worse for none; *worse*: for one at least, and the version is
        refused; *no change*: none that can be detected; *too few*: it cannot be told yet; *first*: nothing
        to compare with.
    sentence : str
        For the person.
    structures : tuple of Change
        One a structure, in the task's order.
    n_slices, n_groups : int
        Held-back slices that were scored, and the patients they come from.
    """

    outcome: Outcome
    sentence: str
    structures: tuple[Change, ...] = ()
    n_slices: int = 0
    n_groups: int = 0


def judge(pairs: Sequence[Pair], before: str = "", seed: int = 0) -> Verdict:
    """Compare what there was with what there is now on the held-back slices.

    Parameters
    ----------
    pairs : sequence of Pair
        Every structure that was looked for on every held-back slice.
    before : str
        What there was, where it is no version of this model, such as "from five examples".

    Source
    ------
    `core.statistics.paired_bootstrap`: patients are drawn whole, 95 % interval of the mean difference.
    """
    names = dict.fromkeys(pair.structure for pair in pairs)
    changes = tuple(_change([pair for pair in pairs if pair.structure == name], seed) for name in names)
    n_slices = len({pair.slice for pair in pairs})
    n_groups = len({pair.group for pair in pairs})
    found = {change.outcome for change in changes}
    order: tuple[Outcome, ...] = ("worse", "better", "no change", "first", "too few")
    outcome: Outcome = next((one for one in order if one in found), "too few")
    if not changes:
        sentence = "Too few to tell: no slice is held back yet; accept more slices, best of other patients."
        return Verdict("too few", sentence)
    return Verdict(outcome, _sentence(changes, outcome, before), changes, n_slices, n_groups)


def _change(pairs: Sequence[Pair], seed: int) -> Change:
    """What became of one structure."""
    after = math.fsum(pair.after for pair in pairs) / len(pairs)
    n_groups = len({pair.group for pair in pairs})
    known = [(pair.before, pair) for pair in pairs if pair.before is not None]
    if len(known) < len(pairs):
        return Change(pairs[0].structure, None, after, None, None, 0, 0, len(pairs), n_groups, "first")
    differences = [round(pair.after - old, 9) for old, pair in known]
    interval = paired_bootstrap(differences, [pair.group for pair in pairs], seed=seed)
    said = interval.verdict(margin=VISIBLE)  # a loss that is surely below one point is no loss
    unclear = n_groups < FEWEST_GROUPS or (interval.high - interval.low) / 2 > _WIDEST
    decided: dict[str, Outcome] = {"better": "better", "worse": "worse", "no worse": "no change"}
    outcome = decided.get(said, "too few" if unclear else "no change")
    if interval.high < -_WIDEST:  # too few to praise by, enough to be warned by
        outcome = "worse"
    return Change(
        pairs[0].structure,
        math.fsum(old for old, _ in known) / len(known),
        after,
        interval.low,
        interval.high,
        sum(difference > VISIBLE for difference in differences),
        sum(difference < -VISIBLE for difference in differences),
        len(pairs),
        n_groups,
        outcome,
    )


def _sentence(changes: Sequence[Change], outcome: Outcome, before: str) -> str:
    """All of it in words: what was decided first, then the others together."""
    told = [change for change in changes if change.outcome == outcome]
    others = [change for change in changes if change.outcome != outcome]
    said = " ".join(_words(change, before) for change in told)
    for kind, words in (
        ("better", "better"),
        ("no change", "no change we can detect"),
        ("too few", "too few to tell"),
    ):
        names = [change.name for change in others if change.outcome == kind]
        if names:
            said += f" {_capital(', '.join(names))}: {words}."
    return f"{said} The new version is worse and is not used." if outcome == "worse" else said


def _words(change: Change, before: str) -> str:
    """One structure in words."""
    name, where = _capital(change.name), f"on {_count(change)}"
    if change.before is None:
        return f"{name}: {change.after:.2f} {where}; there was nothing to compare it with."
    was = f"{change.before:.2f}{f' ({before})' if before else ''} to {change.after:.2f}"
    numbers = f"{change.n_better} better, {change.n_worse} worse"
    if change.outcome == "too few":
        more = f"about {change.n_missing}" if change.n_missing <= _MANY else "many"
        said = f"slices of {more} more patients would tell"
        return f"Too few to tell: {change.name} {was} {where}: {numbers}; {said}."
    tail = ", no change we can detect" if change.outcome == "no change" else ""
    return f"{name} {was} {where}: {numbers}{tail}."


def _count(change: Change) -> str:
    slices = f"{change.n_slices} held-back slice{'s' * (change.n_slices > 1)}"
    return f"{slices} of {change.n_groups} patient{'s' * (change.n_groups > 1)}"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
