"""How good outlines from a box and from clicks are, beside the classical floors: `medseg benchmark quality`.

    run(data, *, minutes, split, device, out, resume, model, seed) -> Job[PromptTable]

PromptTable has `lines()` (Markdown), `record()` (JSON) and is saved under `out` as table.md and table.json,
with every answer in rows.jsonl.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from napari_medseg.benchmarks.contact_sheet import draw_sheets
from napari_medseg.benchmarks.harness import Row, Unit, infos_of, measure, units_of
from napari_medseg.benchmarks.markdown import MOST_CLICKS
from napari_medseg.benchmarks.nothing import PARTS, Donors, lines_of_nothing, nothings_of, rows_of_nothing
from napari_medseg.benchmarks.prompt_arms import Arm, FloorArm, MethodArm, about_run, promptable
from napari_medseg.benchmarks.table import Table
from napari_medseg.core.errors import TaskError
from napari_medseg.core.mask import Region
from napari_medseg.core.metrics import Scores, score
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.prompts import Prompt
from napari_medseg.core.volume import Volume
from napari_medseg.learning.data import read_datasets
from napari_medseg.learning.prompting import Target, box_of, click_in, correction, targets_of

BOX, ONE_CLICK, FIVE_CLICKS = "box", "1 click", "5 clicks"
REACHED, NEVER = 0.85, 99
BOX_FLOORS = ("ellipse", "grabcut", "random walker", "confidence connected", "watershed")
CLICK_FLOORS = ("grabcut", "random walker", "confidence connected", "watershed")


@dataclass(frozen=True)
class PromptTable:
    """What prompts give, and what those that point at nothing give."""

    table: Table
    at_nothing: tuple[Row, ...]

    def lines(self) -> list[str]:
        """The tables as lines of Markdown."""
        return [*self.table.lines(), *lines_of_nothing(self.at_nothing, self.table.sets)]

    def record(self) -> dict[str, Any]:
        """Everything but the rows of true targets, as plain values for JSON."""
        return {**self.table.record(), "at_nothing": [asdict(row) for row in self.at_nothing]}

    def save(self, out: Path) -> None:
        """Write `table.md`, `table.json` and the plots beside the rows."""
        self.table.save(out)
        (out / "table.md").write_text("\n".join(self.lines()), encoding="utf-8")
        (out / "table.json").write_text(json.dumps(self.record(), indent=1), encoding="utf-8")


def run(
    data: Path,
    *,
    minutes: float = 30.0,
    split: str = "test",
    device: str = "auto",
    out: Path = Path("runs/quality"),
    resume: bool = False,
    model: str = "",
    seed: int = 0,
) -> Job[PromptTable]:
    """Measure SAM and the floors on one data set or a folder of them.

    Parameters
    ----------
    data : Path
        A data-set folder, or a folder of them.
    minutes : float
        Time for all arms together; every arm sees the same images.
    split : str
        "test", "val" or "all".
    out : Path
        Folder for rows.jsonl, table.md, table.json, the plots, and two contact sheets with one real image a
        set, which are not for publishing.
    resume : bool
        Go on with the images a run of the same settings left.
    model : str
        Name of the SAM model; the one in use by default. Without any, the floors are measured alone.

    Raises
    ------
    ReadError, TaskError, WeightsError
        If there is no data set, no image in the split, or the model or device is not there.
    """
    datasets = read_datasets([Path(data)])
    units = units_of(datasets, split, seed)
    if not units:
        raise TaskError(f"No image in {Path(data).name} belongs to the split '{split}'.")
    yield Progress(0.0, "loading the model")
    method, known = promptable(model, device)
    methods = [MethodArm("sam", method)] if method is not None else []
    floors = {name: FloorArm(name) for name in BOX_FLOORS}
    box_arms: list[Arm] = [*floors.values(), *methods]
    click_arms: list[Arm] = [*(floors[name] for name in CLICK_FLOORS), *methods]
    about = {"preset": f"quality {split}", "seed": seed, **known}
    work = partial(_do_image, box_arms=box_arms, click_arms=click_arms, donors=Donors(units))
    rows = yield from measure(units, work, Path(out), about, minutes=minutes, resume=resume)
    about, infos = about_run(about, minutes, method), infos_of(datasets, split)
    found = tuple(row for row in rows if row.part not in PARTS)
    at_nothing = tuple(row for row in rows if row.part in PARTS)
    table = PromptTable(Table("Prompting: one object at a time", about, infos, found), at_nothing)
    table.save(Path(out))
    done = {(row.set, row.image) for row in rows}
    met = [unit for unit in units if (unit.dataset.name, unit.item.image.name) in done]
    if methods:
        yield from draw_sheets(met, methods[0], Path(out))
    return table


def _do_image(unit: Unit, box_arms: Sequence[Arm], click_arms: Sequence[Arm], donors: Donors) -> list[Row]:
    """Let every arm outline every target of one image, and what is not there."""
    volume = unit.item.volume()
    mask = unit.item.mask(volume)
    rows = []

    def row_of(target: Target) -> Callable[..., Row]:
        known = unit.dataset.name, unit.item.image.name, unit.item.group
        return partial(Row, *known, target.structure, target.key)

    for target in targets_of(mask, unit.key):
        for arm in box_arms:
            rows.append(_from_box(arm, volume, target, row_of(target)))
        for arm in click_arms:
            rows += _from_clicks(arm, volume, target, row_of(target))
    mask_arms = [arm for arm in box_arms if isinstance(arm, MethodArm)]  # no floor reads a mask
    at_nothing = nothings_of(mask, unit, donors)
    return rows + rows_of_nothing(volume, at_nothing, box_arms, mask_arms, row_of)


def _from_box(arm: Arm, volume: Volume, target: Target, row: Callable[..., Row]) -> Row:
    """One answer to a box."""
    start = time.perf_counter()
    answer = arm.outline(volume, target, [box_of(target)], np.zeros(target.region.shape, bool))
    seconds = time.perf_counter() - start
    return row(BOX, arm.name, **_scores(answer, target, volume), **arm.word, seconds=seconds)


def _from_clicks(arm: Arm, volume: Volume, target: Target, row: Callable[..., Row]) -> list[Row]:
    """Answers to one click and to five, and how many it takes to reach Dice 0.85, ten at most.

    Clicks after the first go to the middle of the largest error. Where nothing is left to correct, the
    answer stands.
    """
    prompts: list[Prompt] = [click_in(target)]
    answer, found, reached = np.zeros(target.region.shape, bool), [], NEVER
    for number in range(1, MOST_CLICKS + 1):
        start = time.perf_counter()
        answer = arm.outline(volume, target, prompts, answer)
        seconds = time.perf_counter() - start
        if number in (1, 5):
            found.append((number, {**_scores(answer, target, volume), **arm.word}, seconds))
        if reached == NEVER and _dice(answer, target) >= REACHED:
            reached = number
        if number >= 5 and reached != NEVER:
            break
        wrong = correction(target, answer)
        if wrong is None:
            break
        prompts.append(wrong)
    if len(found) == 1:  # perfect before the fifth click
        found.append((5, {**_scores(answer, target, volume), **arm.word}, seconds))
    parts = {1: (ONE_CLICK, 0), 5: (FIVE_CLICKS, reached)}
    return [
        row(parts[number][0], arm.name, **scores, seconds=spent, clicks=parts[number][1])
        for number, scores, spent in found
    ]


def _dice(answer: Region, target: Target) -> float:
    """Overlap with the target."""
    from napari_medseg.core.metrics import dice

    return dice(answer, target.region)


def _scores(answer: Region, target: Target, volume: Volume) -> dict[str, float]:
    """The measures of a row, on the slice."""
    found: Scores = score(answer, target.region, volume.geometry.spacing[1:])
    return {"dice": found.dice, "surface_dice": found.surface_dice, "hd95": found.hd95}
