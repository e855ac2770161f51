"""From one prompt to a whole body: `medseg benchmark quality --preset volumes`.

    run(data, *, minutes, split, device, out, resume, model, seed) -> Job[VolumeTable]

Measured in 3-D: what one box and one click on the middle slice give, and how many prompts a reader needs to
Dice 0.90. Filling between slices is shown beside it, though it is given two or three true slices.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from napari_medseg.benchmarks.bodies import Body, bodies_of
from napari_medseg.benchmarks.harness import Row, Unit, infos_of, measure, units_of
from napari_medseg.benchmarks.prompt_arms import about_run, promptable
from napari_medseg.benchmarks.table import Table
from napari_medseg.benchmarks.volume_arms import asked, filled, grown, registered, spread
from napari_medseg.core.errors import TaskError
from napari_medseg.core.mask import Region
from napari_medseg.core.metrics import dice, score
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.prompts import Box, Point, Prompt
from napari_medseg.core.volume import Volume
from napari_medseg.learning.data import read_datasets
from napari_medseg.learning.prompting import box_of, click_in, correction
from napari_medseg.methods import Method

REACHED, NEVER = 0.90, 99
MOST_PROMPTS = 8
EFFORT = "effort"
CLICKS, SLICES, FILL = "sam, clicks", "sam, true slices", "fill between, true slices"
Scored = Callable[..., Row]


@dataclass(frozen=True)
class VolumeTable:
    """What one prompt gives, and what it takes to Dice 0.90."""

    table: Table
    effort: tuple[Row, ...]

    def lines(self) -> list[str]:
        """The tables as lines of Markdown."""
        names = dict.fromkeys((row.set, row.arm) for row in self.effort)
        numbers = range(1, MOST_PROMPTS + 1)
        head = ["set", "arm", "bodies", *numbers, "median s", "Dice at the end"]
        result = [
            *self.table.lines(),
            f"### Bodies that reach Dice {REACHED:.2f} in 3-D, by number of prompts",
            "",
            "A prompt is a box, a click, or in the arms with true slices a whole slice outlined by hand, "
            "which is more work. Seconds are the machine's, all rounds together.",
            "",
            _line(head),
            _line(["---", "---", *["---:"] * (len(head) - 2)]),
        ]
        for name, arm in names:
            rows = [row for row in self.effort if (row.set, row.arm) == (name, arm)]
            shares = [f"{100 * np.mean([row.clicks <= n for row in rows]):.0f} %" for n in numbers]
            seconds = f"{median(row.seconds for row in rows):.1f}"
            result.append(
                _line([name, arm, len(rows), *shares, seconds, f"{np.mean([r.dice for r in rows]):.3f}"])
            )
        return result

    def record(self) -> dict[str, Any]:
        """Everything but the rows of one prompt, as plain values for JSON."""
        effort = [
            {"set": r.set, "arm": r.arm, "target": r.target, "prompts": r.clicks, "seconds": r.seconds}
            | {"dice": r.dice, "reached": r.clicks != NEVER}
            for r in self.effort
        ]
        return {**self.table.record(), "effort": effort}

    def save(self, out: Path) -> None:
        """Write `table.md` and `table.json` beside the rows."""
        (out / "table.md").write_text("\n".join(self.lines()), encoding="utf-8")
        (out / "table.json").write_text(json.dumps(self.record(), indent=1), encoding="utf-8")


def run(
    data: Path,
    *,
    minutes: float = 30.0,
    split: str = "test",
    device: str = "auto",
    out: Path = Path("runs/volumes"),
    resume: bool = False,
    model: str = "",
    seed: int = 0,
) -> Job[VolumeTable]:
    """Measure SAM's following and its rivals on the volumes of a data set, or of a folder of them.

    Raises
    ------
    ReadError, TaskError, WeightsError
        If there is no data set, no volume in the split, or the model or device is not there.
    """
    datasets = [dataset for dataset in read_datasets([Path(data)]) if dataset.dim == 3]
    units = units_of(datasets, split, seed)
    if not units:
        raise TaskError(f"No volume in {Path(data).name} belongs to the split '{split}'.")
    yield Progress(0.0, "loading the model")
    method, known = promptable(model, device)
    about = {"preset": f"volumes {split}", "seed": seed, **known}
    rows = yield from measure(
        units, partial(_do_image, method=method), Path(out), about, minutes=minutes, resume=resume
    )
    asked_once = tuple(row for row in rows if row.part != EFFORT)
    about, infos = about_run(about, minutes, method), infos_of(datasets, split)
    table = VolumeTable(
        Table("From one prompt to a volume: 3-D", about, infos, asked_once),
        tuple(row for row in rows if row.part == EFFORT),
    )
    table.save(Path(out))
    return table


def _do_image(unit: Unit, method: Method | None) -> list[Row]:
    """Let every arm outline every body of one volume."""
    volume = unit.item.volume()
    rows = []
    for body in bodies_of(unit.item.mask(volume), unit.key):
        row = partial(Row, unit.dataset.name, unit.item.image.name, unit.item.group, body.structure, body.key)
        for part, prompt in (("1 box", box_of(body.middle)), ("1 click", click_in(body.middle))):
            rows += _from_prompt(volume, body, prompt, partial(row, part), method)
        rows += _effort(volume, body, partial(row, EFFORT), method)
    return rows


def _from_prompt(
    volume: Volume, body: Body, prompt: Box | Point, row: Scored, method: Method | None
) -> list[Row]:
    """Every arm's answer to one prompt on the middle slice; registration begins with SAM's outline of it."""
    ways: dict[str, Callable[[], Region]] = {
        "GrowCut": lambda: grown(volume, prompt),
        "fill between, 2 true slices": lambda: filled(spread(body, 2), volume),
        "fill between, 3 true slices": lambda: filled(spread(body, 3), volume),
    }
    if method is not None:
        index = body.middle.index
        ways["registration"] = lambda: registered(
            volume, index, asked(method, volume, [prompt], (index,))[index]
        )
        ways["sam"] = lambda: asked(method, volume, [prompt])
    rows = []
    for name, way in ways.items():
        start = time.perf_counter()
        answer = way()
        rows.append(_row(row, name, answer, body, volume, time.perf_counter() - start))
    return rows


def _row(
    row: Scored, arm: str, answer: Region, body: Body, volume: Volume, seconds: float, clicks: int = 0
) -> Row:
    """One answer scored in 3-D."""
    found = score(answer, body.region, volume.geometry.spacing)
    return row(arm, found.dice, found.surface_dice, found.hd95, seconds, clicks)


@dataclass(eq=False)
class Reader:
    """A reader who looks at the result and acts on its worst slice, until it is good enough.

    Parameters
    ----------
    body : Body
        What the reader wants.
    outlines : bool
        Whether the worst slice is outlined by hand; else it is clicked at, or accepted as empty where the
        body is not on it.
    """

    body: Body
    outlines: bool
    prompts: list[Prompt] = field(default_factory=list)
    decided: dict[int, Region] = field(default_factory=dict)

    def act(self, answer: Region) -> None:
        """Do one thing about the slice with the most wrong voxels."""
        index = int((answer ^ self.body.region).sum((1, 2)).argmax())
        target = self.body.on(index)
        wrong = correction(target, answer[index])
        if self.outlines or not target.region.any() or wrong is None:
            self.decided[index] = target.region
        else:
            self.prompts.append(wrong)


def _effort(volume: Volume, body: Body, row: Scored, method: Method | None) -> list[Row]:
    """Prompts and seconds to Dice 0.90: with clicks, with true slices, and by filling between true slices."""
    ends = dict(spread(body, 2))
    by_hand = Reader(body, True, decided=ends)
    rows = [_until_good(FILL, lambda reader, _: filled(reader.decided, volume), by_hand, volume, row)]
    if method is not None:
        for name, outlines in ((CLICKS, False), (SLICES, True)):
            reader = Reader(body, outlines, [box_of(body.middle)])
            rows.append(_until_good(name, partial(_followed, method, volume), reader, volume, row))
    return rows


def _until_good(
    arm: str,
    way: Callable[[Reader, Region], Region],
    reader: Reader,
    volume: Volume,
    row: Scored,
) -> Row:
    """Let a reader act on result after result, MOST_PROMPTS times at most."""
    answer = np.zeros_like(reader.body.region)
    spent = 0.0
    while True:
        start = time.perf_counter()
        answer = way(reader, answer)
        spent += time.perf_counter() - start
        n = len(reader.prompts) + len(reader.decided)
        good = dice(answer, reader.body.region) >= REACHED
        if good or n >= MOST_PROMPTS:
            return _row(row, arm, answer, reader.body, volume, spent, n if good else NEVER)
        reader.act(answer)


def _followed(method: Method, volume: Volume, reader: Reader, before: Region) -> Region:
    return asked(method, volume, reader.prompts, decided=reader.decided, before=before)


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"
