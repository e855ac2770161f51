"""Outlines without a click, beside trained rivals: `medseg benchmark quality --preset automatic`.

    run(data, *, minutes, split, device, out, resume, model, seed, arms) -> Job[AutomaticTable]

Rivals are trained on the train split, chosen on the validation split and kept in out/weights; a later run
goes on with them. Answers lie in out/SPLIT/rows.jsonl by image, task, arm and weights: with `resume` an arm
that came later answers what the others have answered.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_medseg.benchmarks.automatic_answers import AUTOMATIC, Desk, Piece, pieces_of
from napari_medseg.benchmarks.automatic_arms import (
    ARMS,
    Bench,
    check_arms,
    is_joint,
    joint_models,
    make_arm,
)
from napari_medseg.benchmarks.automatic_table import FEW, AutomaticTable
from napari_medseg.benchmarks.automatic_training import (
    BUDGET,
    budget_of,
    courses_of,
    is_trained,
    minutes_a_task,
    notes_on,
    train_arms,
)
from napari_medseg.benchmarks.environment import environment
from napari_medseg.benchmarks.harness import Row, infos_of, measure, read_rows, units_of
from napari_medseg.benchmarks.table import Table
from napari_medseg.core.errors import TaskError
from napari_medseg.core.progress import Job, Progress
from napari_medseg.learning.data import read_datasets


def run(
    data: Path,
    *,
    minutes: float = 30.0,
    split: str = "test",
    device: str = "auto",
    out: Path = Path("runs/automatic"),
    resume: bool = False,
    model: str = "",
    seed: int = 0,
    arms: Sequence[str] = (),
) -> Job[AutomaticTable]:
    """Measure HSP-SAM, SegMoTE and their rivals on the seen sets of a folder.

    Parameters
    ----------
    data : Path
        A data-set folder, or a folder of them; sets marked unseen are passed over.
    minutes : float
        Each arm has an equal share: those that are not trained yet train in theirs, the rest is for answers.
    split : str
        "test", "val" or "all": where the images asked for come from.
    out : Path
        Folder for weights/ and, by split, rows.jsonl, table.md and table.json.
    resume : bool
        Go on with the images a run of the same settings left; training always goes on.
    model : str
        Name of the joint HSP-SAM or SegMoTE; the last installed one by default.
    arms : sequence of str
        Some of ARMS, "ablation" for all rows of it; all by default.

    Raises
    ------
    ReadError, TaskError, WeightsError
        If there is no data set, no image in the split, an arm nobody knows, or the device is not there.
    """
    from napari_medseg import workflow

    names = check_arms(arms)
    datasets = [one for one in read_datasets([Path(data)]) if one.role == "seen"]
    units = units_of(datasets, split, seed)
    if not units:
        raise TaskError(f"No image of a seen set in {Path(data).name} belongs to the split '{split}'.")
    yield Progress(0.0, "looking for models")
    bench = Bench(Path(out), datasets, workflow.choose_device(device), joint_models(model))
    start, share = time.monotonic(), minutes / len(names)
    training = [name for name in names if is_trained(name)]
    yield from train_arms(training, bench, share, seed)
    left = max(0.0, minutes - (time.monotonic() - start) / 60)
    made = [make_arm(name, bench) for name in names]
    pieces = pieces_of(units, datasets, made)
    place = Path(out) / split
    about = {"preset": f"automatic {split}", "seed": seed}
    yield from measure(pieces, Desk().do, place, about, minutes=left, resume=resume)
    rows = current(read_rows(place / "rows.jsonl"), pieces)
    about |= {"minutes": minutes, **_named(bench), **environment(bench.device)}
    table = _tabulated(rows, about, bench, split, names)
    table.save(place)
    return table


def _named(bench: Bench) -> dict[str, Any]:
    """The joint models and their weights."""
    return {method: f"{model.name} {model.sha256[:12]}" for method, model in bench.joint.items()}


def _tabulated(
    rows: Sequence[Row], about: Mapping[str, Any], bench: Bench, split: str, names: Sequence[str]
) -> AutomaticTable:
    """Rows as a table, with what it must say of arms that are not in it."""
    infos = infos_of(bench.datasets, split)
    apart = {info.name for info in infos if info.apart}
    few = [one.name for one in bench.datasets if len(one.select("train")) < FEW and one.name not in apart]
    slugs = [one.name for one in bench.datasets]
    notes = [note for name in names for note in notes_on(name, bench, slugs)]
    own = tuple(row for row in rows if row.part == AUTOMATIC)
    table = Table("Automatic: known tasks without a click", about, infos, own)
    said = {model.name: model.card.get("validation", {}) for model in bench.joint.values()}
    routers = {name: found["router"] for name, found in said.items() if "router" in found}
    absence = tuple(row for row in rows if row.part != AUTOMATIC)
    notes += [*_spent(bench, names), *_behind(own)]
    if any(is_trained(name) for name in names) and not minutes_a_task(bench.joint.get("hsp_sam")):
        notes.append(f"No joint HSP-SAM says how long it was trained: its rivals have {BUDGET:g} min a task.")
    return AutomaticTable(table, absence, tuple(few), tuple(notes), routers)


def _spent(bench: Bench, names: Sequence[str]) -> list[str]:
    """A sentence about how long each arm was trained for this benchmark."""
    found = []
    for name in names:
        far = [course.far(bench) for course in courses_of(name, bench)] if is_trained(name) else []
        done = [one for one in far if one.finished]
        if done:
            minutes = sum(one.minutes for one in done)
            found.append(f"{name}: {len(done)} of {len(far)} trained, {minutes:.0f} minutes in all.")
            budget = budget_of(name, bench, len(far))
            if budget and not is_joint(name) and min(one.minutes for one in done) < 0.9 * budget:
                found.append(
                    f"{name} has fewer than today's {budget:.0f} min a task; to train it anew, "
                    f"remove {bench.file(name, '').parent.name} in {bench.out.name}/weights."
                )
    return found


def _behind(rows: Sequence[Row]) -> list[str]:
    """A sentence for each arm that answered fewer images than the others."""
    images: dict[str, set[tuple[str, str]]] = {}
    for row in rows:
        images.setdefault(row.arm, set()).add((row.set, row.image))
    most = max(map(len, images.values()), default=0)
    return [
        f"{arm} answered {len(found)} of {most} images; differences are over those that both arms answered."
        for arm, found in images.items()
        if len(found) < most
    ]


def current(done: Mapping[str, Sequence[Row]], pieces: Sequence[Piece]) -> list[Row]:
    """Rows of each arm's present weights, in the order of ARMS; of arms not asked today their last ones."""
    last: dict[tuple[str, str], str] = {}
    for key in (*done, *(piece.key for piece in pieces)):
        what, arm, version = key.split(" @ ")
        last[what.rsplit(" for ", 1)[1], arm] = version
    kept: list[Row] = []
    for key, rows in done.items():
        what, arm, version = key.split(" @ ")
        if last[what.rsplit(" for ", 1)[1], arm] == version:
            kept += rows
    return sorted(kept, key=lambda row: ARMS.index(row.arm))
