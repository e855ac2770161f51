"""How good outlines from a few examples are, beside the floors: `medseg benchmark few-shot`.

    run(data, *, minutes, split, device, out, resume, model, seed, arms) -> Job[FewShotTable]

Every answer is kept in rows.jsonl by draw and arm: with `resume` an arm that came later, or has new weights,
answers the draws that the others have answered.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from napari_medseg.benchmarks.draws import draws_of
from napari_medseg.benchmarks.environment import environment
from napari_medseg.benchmarks.few_shot_arms import Arm, MethodArm, floors
from napari_medseg.benchmarks.few_shot_table import FewShotTable, part_of
from napari_medseg.benchmarks.harness import Row, measure, read_rows
from napari_medseg.benchmarks.shots import NUMBERS, Draw, Shot
from napari_medseg.core.errors import TaskError
from napari_medseg.core.metrics import score
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.settings import as_record, with_overrides
from napari_medseg.learning.data import read_datasets

FLOORS = tuple(arm.name for arm in floors())
UNIVERSEG, UNET = "UniverSeg-style", "U-Net from nothing"
METHODS = ("examples_head", "segicl")
ARMS = (*FLOORS, UNET, UNIVERSEG, *METHODS)


@dataclass(frozen=True, eq=False)
class Piece:
    """One arm's answers to one draw."""

    draw: Draw
    arm: Arm

    @property
    def key(self) -> str:
        """The draw, the arm and its weights."""
        return f"{self.draw.key} @ {self.arm.name} @ {self.arm.version}"


def run(
    data: Path,
    *,
    minutes: float = 30.0,
    split: str = "test",
    device: str = "auto",
    out: Path = Path("runs/few-shot"),
    resume: bool = False,
    model: str = "",
    seed: int = 0,
    arms: Sequence[str] = (),
) -> Job[FewShotTable]:
    """Measure SegICL, the instant head and the floors on one data set or a folder of them.

    Parameters
    ----------
    data : Path
        A data-set folder, or a folder of them.
    minutes : float
        Time for all arms together; the U-Net, which is slow, has its own share of it and answers fewer draws.
    split : str
        "test", "val" or "all" (both): where the slices asked for come from; examples come from "train".
    out : Path
        Folder for rows.jsonl, table.md, table.json and the curves; a UniverSeg-style network trained there
        by `train_universeg` takes part.
    resume : bool
        Go on with the draws a run of the same settings left.
    model : str
        Name of the SegICL model; the one in use by default.
    arms : sequence of str
        Some of ARMS; by default all that have what they need. A method may be followed by settings, as in
        "segicl samples=4", to be compared with itself.

    Raises
    ------
    ReadError, TaskError, WeightsError
        If there is no data set, nothing to draw, an arm nobody knows, or the model or device is not there.
    """
    from napari_medseg import workflow

    check_arms(arms)
    out = Path(out)
    draws, infos = yield from draws_of(read_datasets([Path(data)]), split, seed)
    if not draws:
        raise TaskError(f"Nothing in {Path(data).name} can be asked for in the split '{split}'.")
    yield Progress(0.0, "loading the models")
    chosen, notes = build_arms(arms or ARMS, out, model, device)
    if not chosen:
        raise TaskError(" ".join(notes))
    about = {"preset": f"few-shot {split}", "seed": seed}
    quick = [arm for arm in chosen if arm.name != UNET]
    slow = [arm for arm in chosen if arm.name == UNET]
    desk = _Desk()
    for lane in (quick, slow):
        pieces = [Piece(draw, arm) for draw in draws for arm in lane]
        share = minutes * len(lane) / len(chosen)
        yield from measure(pieces, desk.do, out, about, minutes=share, resume=resume or lane is slow)
    rows = current(read_rows(out / "rows.jsonl"), {arm.name: arm.version for arm in chosen})
    known = {arm.name: arm.version for arm in chosen if arm.version}
    about |= {"minutes": minutes, **known, **environment(workflow.choose_device(device))}
    table = FewShotTable("From examples: one structure at a time", about, tuple(infos), rows, notes)
    table.save(out)
    return table


def build_arms(names: Sequence[str], out: Path, model: str, device: str) -> tuple[list[Arm], tuple[str, ...]]:
    """Make the arms ready that have what they need, and say in a sentence why another one is left out."""
    arms: list[Arm] = [arm for arm in floors() if arm.name in names]
    notes = []
    if find_spec("sklearn") is None and any(arm.name == "random forest" for arm in arms):
        arms = [arm for arm in arms if arm.name != "random forest"]
        notes.append("The random forest is left out: install napari-medseg[benchmarks] for scikit-learn.")
    if UNET in names:
        from napari_medseg.benchmarks.baselines.unet import UNetArm

        arms.append(UNetArm(UNET))
    if UNIVERSEG in names:
        from napari_medseg.benchmarks.baselines.universeg import load_arm

        rival = load_arm(out, UNIVERSEG)
        arms += [rival] if rival else []
        notes += [] if rival else [f"The {UNIVERSEG} network is left out: it was not trained in {out.name}."]
    for name in (name for name in names if name.split()[0] in METHODS):
        arm = _method_arm(name, model, device)
        arms += [arm] if arm else []
        notes += [] if arm else [f"{name} is left out: there is no such method, or no model for it."]
    return arms, tuple(notes)


def check_arms(names: Sequence[str]) -> None:
    """Refuse names nobody knows; TaskError says which there are."""
    for name in names:
        if name not in ARMS and name.split()[0] not in METHODS:
            raise TaskError(f"There is no arm '{name}'; the arms are: {', '.join(ARMS)}.")


def _method_arm(name: str, model: str, device: str) -> MethodArm | None:
    """A method of the menu with its model and settings; None where it or its model is not there."""
    from napari_medseg import workflow

    method, *words = name.split()
    found = None
    if method in workflow.menu():
        found = workflow.model_for(method, model if method == "segicl" else "")
    if found is None:
        return None
    default = workflow.entry(method).settings()
    settings = (
        {"disk": "0"} if hasattr(default, "disk") else {}
    )  # a measurement keeps nothing of these images
    settings |= dict(word.partition("=")[::2] for word in words)
    built = workflow.build(method, model=found.name, device=device, settings=settings)
    numbers = NUMBERS if method == "segicl" else NUMBERS[1:]
    record = json.dumps(as_record(with_overrides(default, settings)), sort_keys=True)
    digest = sha256(record.encode()).hexdigest()[:4]  # other defaults are another version
    return MethodArm(name, built, f"{found.name} {found.sha256[:12]} {digest}", numbers)


class _Desk:
    """Does pieces; the slices of a draw stay at hand for the next arm."""

    def __init__(self) -> None:
        self.draw: Draw | None = None
        self.loaded: tuple[tuple[Shot, ...], tuple[Shot, ...]] = ((), ())

    def do(self, piece: Piece) -> list[Row]:
        """Let one arm answer one draw, with more and more examples."""
        if self.draw is not piece.draw:
            self.draw, self.loaded = piece.draw, piece.draw.load()
        return answers(piece.arm, piece.draw, *self.loaded)


def answers(arm: Arm, draw: Draw, examples: Sequence[Shot], queries: Sequence[Shot]) -> list[Row]:
    """One arm's answers to one draw; each slice is looked at once, and its time counts where it was used."""
    numbers = [n for n in arm.numbers if n <= len(examples)]
    shown = examples[: max(numbers, default=0)]
    looks: dict[int, tuple[Any, float]] = {id(shot): _timed(arm.look, shot) for shot in (*shown, *queries)}
    rows = []
    for n in numbers:
        used = [looks[id(shot)] for shot in shown[:n]]
        learnt, spent = _timed(arm.learn, shown[:n], [look for look, _ in used])
        fit = spent + sum(seconds for _, seconds in used)
        for shot in queries:
            look, before = looks[id(shot)]
            region, spent = _timed(arm.answer, learnt, shot, look)
            found = score(region, shot.region, shot.volume.geometry.spacing[1:])
            name, group, target = shot.item.image.name, shot.item.group, f"{draw.key}/{shot.index}"
            scores = (found.dice, found.surface_dice, found.hd95, before + spent)
            where = (draw.dataset.name, name, group, shot.structure, target, part_of(n), arm.name)
            rows.append(Row(*where, *scores, fit_seconds=fit))
    return rows


def _timed(work: Any, *given: Any) -> tuple[Any, float]:
    """What a function returns, and the seconds it took."""
    start = time.perf_counter()
    return work(*given), time.perf_counter() - start


def current(done: dict[str, list[Row]], version: Mapping[str, str]) -> tuple[Row, ...]:
    """Rows of each arm's present weights; of an arm that was not asked today those it answered with last."""
    last = {key.split(" @ ")[1]: key.split(" @ ")[2] for key in done} | dict(version)
    kept = [rows for key, rows in done.items() if last[key.split(" @ ")[1]] == key.split(" @ ")[2]]
    return tuple(row for rows in kept for row in rows)
