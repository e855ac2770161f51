"""Which accepted slices a model never trains on, so that it can be judged by them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from napari_medseg.core.statistics import FEWEST_GROUPS
from napari_medseg.session.accepted import Accepted
from napari_medseg.session.lessons import Key, Share

FEWEST_LESSONS = 5  # slices to train on
BLOCK = 5  # slices of a stack that are held back together, where there are too few patients
_ENOUGH = 3 * FEWEST_GROUPS  # patients from which on enough are held back for a verdict


@dataclass(frozen=True, eq=False)
class Shares:
    """Slices to train on, slices to judge by, and those next to one of these, which are in neither."""

    train: tuple[Accepted, ...]
    held_back: tuple[Accepted, ...]
    beside: tuple[Accepted, ...] = ()


def hold_back(
    slices: Sequence[Accepted],
    known: Mapping[Key, Share],
    is_blind: Callable[[Accepted], bool] = lambda _: False,
    seed: int = 0,
) -> Shares:
    """Divide the accepted slices; what was held back once stays so, and what was trained on as well.

    Whole patients are held back: a third of them, from fifteen on five, from thirty on a fifth. With fewer
    than five patients it is runs of five slices of a stack, and their neighbours are in neither part.
    Patients or runs with a slice that was accepted blind come first, then those a hash of the seed names. At
    least five slices are left to train on wherever there are so many.
    """
    by_patient = len({one.group for one in slices}) >= FEWEST_GROUPS
    unit_of = {
        one.key: one.group if by_patient else f"{one.case} {one.plane} {one.index // BLOCK}" for one in slices
    }
    units: dict[str, list[Accepted]] = {}
    for one in slices:
        units.setdefault(unit_of[one.key], []).append(one)
    said = {unit: {known[one.key] for one in ones if one.key in known} for unit, ones in units.items()}
    held = {unit for unit in units if said[unit] == {"held back"}}
    wanted = _wanted(len(units))
    fresh = [unit for unit in units if not said[unit]]
    fresh.sort(key=lambda unit: (not any(map(is_blind, units[unit])), _rank(unit, seed)))
    for unit in fresh:
        more = _divide(slices, held | {unit}, unit_of, known, by_patient)
        if len(held) < wanted and len(more.train) >= FEWEST_LESSONS:
            held.add(unit)
    return _divide(slices, held, unit_of, known, by_patient)


def _wanted(n: int) -> int:
    """How many of n patients or runs are held back."""
    return max(n // 3 if n < _ENOUGH else FEWEST_GROUPS, round(n / 5))


def _rank(unit: str, seed: int) -> str:
    return hashlib.sha256(f"{seed} {unit}".encode()).hexdigest()


def _divide(
    slices: Sequence[Accepted],
    units: set[str],
    unit_of: Mapping[Key, str],
    known: Mapping[Key, Share],
    by_patient: bool,
) -> Shares:
    """Put each slice in its part; the neighbours of held-back ones in neither."""
    fresh = {one.key for one in slices if unit_of[one.key] in units and known.get(one.key) != "trained on"}
    held = fresh | {one.key for one in slices if known.get(one.key) == "held back"}
    near = {(case, plane, index + step) for case, plane, index in held for step in (-1, 1)}
    rest = [one for one in slices if one.key not in held]
    beside = [one for one in rest if not by_patient and one.key in near and one.key not in known]
    train = [one for one in rest if one not in beside]
    return Shares(tuple(train), tuple(one for one in slices if one.key in held), tuple(beside))
