"""One round: from the slices a person accepted to a version with a verdict, by any recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from napari_medseg.core.correction import obey_rules
from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Region
from napari_medseg.core.model import Model
from napari_medseg.core.progress import Job, Progress, finish
from napari_medseg.core.request import Example, Request
from napari_medseg.core.task import Task
from napari_medseg.learning.evaluate import score
from napari_medseg.learning.gate import LeftOut, sift
from napari_medseg.learning.held_back import FEWEST_LESSONS, Shares, hold_back
from napari_medseg.learning.verdict import Pair, Verdict, judge
from napari_medseg.methods import Method
from napari_medseg.networks.weights import amend_card
from napari_medseg.session.accepted import Accepted, accepted_slices
from napari_medseg.session.rounds import keep_version
from napari_medseg.session.store import Session

T = TypeVar("T")
N_EXAMPLES = 5  # of each structure, for a method that goes by examples


@dataclass(frozen=True, eq=False)
class Before:
    """What a new version is compared with.

    Parameters
    ----------
    title : str
        What to call it where it is no version of the same model, such as "from five examples".
    method : Method
        Ready to answer.
    by_examples : bool
        Whether it goes by examples; it is then given five of the slices that are trained on.
    """

    title: str
    method: Method
    by_examples: bool = False


@dataclass(frozen=True, eq=False)
class Plan:
    """What a round does; the recipe's own part are two functions.

    Parameters
    ----------
    task : Task
        What is learnt; each of its structures is outlined somewhere.
    name : str
        Of the version that comes of it.
    number : int
        Of the round.
    teach : callable
        Slices and a folder to a model written there, named as the folder.
    build : callable
        A model to a method that is ready to answer.
    before : Before or None
        What to compare with.
    seed : int
        Of what is held back and of the verdict's draws.
    """

    task: Task
    name: str
    number: int
    teach: Callable[[Sequence[Accepted], Path], Job[Model]]
    build: Callable[[Model], Method]
    before: Before | None = None
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a round leaves: its verdict, what it left out and why, and the version, "" if it was refused."""

    verdict: Verdict
    left_out: tuple[LeftOut, ...]
    version: str
    n_trained: int


def run_round(session: Session, plan: Plan, work: Path) -> Job[Outcome]:
    """Gather, sift, hold back, train, compare and keep; nothing is in use afterwards that was not before.

    Parameters
    ----------
    work : Path
        Folder for what is not finished yet.

    Raises
    ------
    TaskError
        If fewer than five slices are left to train on.
    SessionError
        If a file of the session is missing or damaged, or the disk is full.
    """
    slices = yield from _part(gather(session, plan.task), 0.0, 0.04)
    sifted = sift(slices)
    lessons = session.lessons
    shares = hold_back(
        sifted.kept, lessons.shares(), lambda one: lessons.is_blind(*one.key), plan.seed
    )  # fmt: skip
    _check(shares, sifted.left_out)
    lessons.keep([one.key for one in shares.held_back], "held back", plan.number)
    before = yield from _part(_before(plan, shares), 0.04, 0.1)
    model = yield from _part(plan.teach(shares.train, work / plan.name), 0.1, 0.94)
    method = plan.build(model)
    after = yield from _part(_scores(method, shares.held_back, plan.task, "new version"), 0.94, 1.0)
    pairs = [
        Pair(name, one.group, str(one.key), None if before is None else before[at], after[at])
        for one in shares.held_back
        for name in one.regions
        if (at := (one, name)) in after and (before is None or at in before)
    ]
    verdict = judge(pairs, plan.before.title if plan.before else "", plan.seed)
    if verdict.outcome == "worse":
        return Outcome(verdict, sifted.left_out, "", len(shares.train))
    trained = [f"{case} {plane} {index}" for case, plane, index in (one.key for one in shares.train)]
    amend_card(model, {"round": plan.number, "verdict": verdict.sentence, "slices": trained})
    keep_version(session.folder, model.folder)
    lessons.keep([one.key for one in shares.train], "trained on", plan.number)
    return Outcome(verdict, sifted.left_out, plan.name, len(shares.train))


def gather(session: Session, task: Task) -> Job[list[Accepted]]:
    """All accepted slices of all cases on which any structure of a task was looked for."""
    found: list[Accepted] = []
    cases = [case for case in session.cases() if case.n_reviewed]
    for number, case in enumerate(cases):
        yield Progress(number / len(cases), f"Reading {case.name}")
        found += accepted_slices(session, case, task.structure_names)
    return found


def _check(shares: Shares, left_out: Sequence[LeftOut]) -> None:
    """Refuse to train on a handful."""
    n = len(shares.train)
    if n < FEWEST_LESSONS:
        n_left = f"{len(left_out)} {'was' if len(left_out) == 1 else 'were'} left out"
        why = f"; {n_left}, such as: {left_out[0].why}" if left_out else "."
        raise TaskError(
            f"Training needs at least {FEWEST_LESSONS} accepted slices and there "
            f"{'is' if n == 1 else 'are'} {n or 'none'}: accept {FEWEST_LESSONS - n} more{why}"
        )


def _before(plan: Plan, shares: Shares) -> Job[dict[tuple[Accepted, str], float] | None]:
    """Scores of what there was, None where there was nothing."""
    if plan.before is None:
        return None
    examples = _examples(shares.train, plan.task) if plan.before.by_examples else {}
    asked = [one for one in shares.held_back if not plan.before.by_examples or one.plane in examples]
    return (yield from _scores(plan.before.method, asked, plan.task, "what there was", examples))


def _examples(train: Sequence[Accepted], task: Task) -> dict[Plane, tuple[Example, ...]]:
    """Slices of each plane to go by: five of each structure, of as many patients as possible."""
    found: dict[Plane, tuple[Example, ...]] = {}
    for plane in dict.fromkeys(one.plane for one in train):
        turn: dict[str, int] = {}
        order: list[tuple[int, int, Accepted]] = []
        for number, one in enumerate(one for one in train if one.plane == plane):
            turn[one.group] = turn.get(one.group, 0) + 1
            order.append((turn[one.group], number, one))
        chosen: list[Accepted] = []
        for name in task.structure_names:
            showing = [one for _, _, one in sorted(order, key=lambda item: item[:2]) if one.shows(name)]
            n_there = sum(one.shows(name) for one in chosen)
            chosen += [one for one in showing if one not in chosen][: max(0, N_EXAMPLES - n_there)]
        if chosen:
            found[plane] = tuple(one.example() for one in chosen)
    return found


def _scores(
    method: Method,
    slices: Sequence[Accepted],
    task: Task,
    what: str,
    examples: dict[Plane, tuple[Example, ...]] | None = None,
) -> Job[dict[tuple[Accepted, str], float]]:
    """Dice at original resolution of every structure that was looked for on every slice."""
    found = {}
    for number, one in enumerate(slices):
        yield Progress(number / len(slices), f"Scoring {what}: slice {number + 1} of {len(slices)}")
        given = (examples or {}).get(one.plane, ())
        answer = finish(method.segment(Request(one.image, one.plane, (0,), task, examples=given))).mask
        nothing = np.zeros(one.image.geometry.shape, bool)
        regions: dict[str, Region] = {n: answer.of(n) if n in answer.names else nothing for n in one.regions}
        for name, region in obey_rules(regions, task).items():
            found[one, name] = score(region, one.regions[name], one.image.geometry).dice
    return found


def _part(job: Job[T], start: float, stop: float) -> Job[T]:
    """Run a job as one part of a longer one."""
    while True:
        try:
            step = next(job)
        except StopIteration as end:
            value: T = end.value
            return value
        yield Progress(start + (stop - start) * step.done, step.message, step.partial, step.numbers)
