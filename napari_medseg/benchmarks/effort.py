"""What examples save: a reader labels ten new cases one after the other.

    medseg benchmark few-shot --preset effort

    run(data, *, minutes, split, device, out, resume, model, seed, arms) -> Job[EffortTable]

Each case gets a proposal from those before it, the reader corrects it to Dice 0.95 (or throws it away, where
that is less to paint), and the corrected slice becomes an example. Beside it the reader works without
learning: by hand alone, and with clicks for SAM.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from napari_medseg.benchmarks.draws import cases_of
from napari_medseg.benchmarks.effort_table import EffortTable, case_name
from napari_medseg.benchmarks.environment import environment
from napari_medseg.benchmarks.few_shot import METHODS, build_arms, check_arms, current
from napari_medseg.benchmarks.few_shot_arms import Arm
from napari_medseg.benchmarks.harness import Row, measure, read_rows
from napari_medseg.benchmarks.prompt_arms import MethodArm, promptable
from napari_medseg.benchmarks.reader import Corrected, by_hand, with_clicks
from napari_medseg.benchmarks.shots import Draw, Shot
from napari_medseg.core.errors import TaskError
from napari_medseg.core.metrics import dice
from napari_medseg.core.progress import Job, Progress
from napari_medseg.learning.data import read_datasets

BY_HAND, CLICKS = "by hand", "sam, clicks"


class Way(Protocol):
    """One way to work through cases."""

    @property
    def name(self) -> str:
        """What tables call it."""

    @property
    def version(self) -> str:
        """The weights it works with."""

    def work(self, shot: Shot, before: Sequence[Shot]) -> tuple[Corrected, float]:
        """Label a case after those before it; what it took, and the Dice of the proposal."""


@dataclass(frozen=True)
class Unaided:
    """The reader paints every case from nothing."""

    name: str = BY_HAND
    version: str = ""

    def work(self, shot: Shot, before: Sequence[Shot]) -> tuple[Corrected, float]:
        """Paint the structure."""
        return by_hand(np.zeros_like(shot.region), shot.region), 0.0


@dataclass(frozen=True, eq=False)
class Clicking:
    """The reader clicks for the promptable method, which learns nothing from one case to the next."""

    arm: MethodArm
    version: str
    name: str = CLICKS

    def work(self, shot: Shot, before: Sequence[Shot]) -> tuple[Corrected, float]:
        """Click, then paint."""
        return with_clicks(self.arm, shot), 0.0


@dataclass(frozen=True, eq=False)
class Learning:
    """The reader corrects what a method proposes from the cases before."""

    arm: Arm

    @property
    def name(self) -> str:
        """That of the method."""
        return self.arm.name

    @property
    def version(self) -> str:
        """That of the method."""
        return self.arm.version

    def work(self, shot: Shot, before: Sequence[Shot]) -> tuple[Corrected, float]:
        """Correct the proposal, where there is one; a reader starts anew where that is less to paint."""
        proposal = np.zeros_like(shot.region)
        if before or 0 in self.arm.numbers:
            learnt = self.arm.learn(before, [self.arm.look(one) for one in before])
            proposal = self.arm.answer(learnt, shot, self.arm.look(shot))
        ways = by_hand(proposal, shot.region), by_hand(np.zeros_like(proposal), shot.region)
        return min(ways, key=lambda done: done.changed), dice(proposal, shot.region)


@dataclass(frozen=True, eq=False)
class Piece:
    """One way through ten cases."""

    draw: Draw
    way: Way

    @property
    def key(self) -> str:
        """The cases, the way and its weights."""
        return f"{self.draw.key} @ {self.way.name} @ {self.way.version}"


def run(
    data: Path,
    *,
    minutes: float = 30.0,
    split: str = "test",
    device: str = "auto",
    out: Path = Path("runs/effort"),
    resume: bool = False,
    model: str = "",
    seed: int = 0,
    arms: Sequence[str] = (),
) -> Job[EffortTable]:
    """Let a simulated reader label ten cases of every unseen set, in several orders.

    Parameters
    ----------
    data : Path
        A data-set folder, or a folder of them; only sets marked unseen with at least ten patients count.
    minutes : float
        Time for all ways together; every way works through the same cases.
    split : str
        "test", "val" or "all"; cases come from it and from "train", which trains nothing in these sets.
    arms : sequence of str
        Some of the methods that learn from examples; by default all that are there.

    Raises
    ------
    ReadError, TaskError, WeightsError
        If there is no data set with ten patients, or the model or device is not there.
    """
    from napari_medseg import workflow

    check_arms(arms)
    out = Path(out)
    draws, infos = yield from cases_of(read_datasets([Path(data)]), split, seed)
    if not draws:
        raise TaskError(f"No unseen set in {Path(data).name} has ten patients in the split '{split}'.")
    yield Progress(0.0, "loading the models")
    ways, notes = _ways(arms, out, model, device)
    pieces = [Piece(draw, way) for draw in draws for way in ways]
    about: dict[str, Any] = {"preset": f"effort {split}", "seed": seed}
    yield from measure(pieces, _through, out, about, minutes=minutes, resume=resume)
    rows = current(read_rows(out / "rows.jsonl"), {way.name: way.version for way in ways})
    known = {way.name: way.version for way in ways if way.version}
    about |= {"minutes": minutes, **known, **environment(workflow.choose_device(device))}
    table = EffortTable("Effort: ten cases, one after the other", about, tuple(infos), rows, notes)
    table.save(out)
    return table


def _ways(names: Sequence[str], out: Path, model: str, device: str) -> tuple[list[Way], tuple[str, ...]]:
    """The ways that have what they need."""
    ways: list[Way] = [Unaided()]
    method, known = promptable("", device)
    if method is not None:
        ways.append(Clicking(MethodArm(CLICKS, method), f"{known['model']} {known['sha256']}"))
    arms, notes = build_arms(names or METHODS, out, model, device)
    return [*ways, *map(Learning, arms)], notes


def _through(piece: Piece) -> list[Row]:
    """Work through ten cases; each corrected slice is an example for the next."""
    before: list[Shot] = []
    rows = []
    for number, shot in enumerate(piece.draw.load()[1], start=1):
        start = time.perf_counter()
        done, proposed = piece.way.work(shot, before)
        spent = time.perf_counter() - start
        changed = done.changed / int(shot.region.sum())
        where = (piece.draw.dataset.name, shot.item.image.name, shot.item.group, shot.structure)
        asked = (piece.draw.key, case_name(number), piece.way.name)
        rows.append(Row(*where, *asked, proposed, 0.0, 0.0, spent, done.acts, changed=changed))
        before.append(replace(shot, region=done.region))
    return rows
