"""How good outlines from a box and from clicks are, beside the classical floors: `medseg benchmark quality`.

    run(data, *, minutes, split, device, out, resume, model, seed) -> Job[Table]

Table has `lines()` (Markdown), `record()` (JSON) and is saved under `out` as table.md and table.json, with
every answer in rows.jsonl.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from napari_medseg.benchmarks.harness import Row, Unit, environment, infos_of, measure, units_of
from napari_medseg.benchmarks.markdown import MOST_CLICKS
from napari_medseg.benchmarks.table import Table
from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Mask, Region
from napari_medseg.core.metrics import Scores, score
from napari_medseg.core.model import Preparation
from napari_medseg.core.progress import Job, Progress, finish
from napari_medseg.core.prompts import Prompt
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.task import task_of
from napari_medseg.core.volume import Volume
from napari_medseg.learning.data import read_datasets
from napari_medseg.learning.prompting import ASKED, Target, box_of, click_in, correction, targets_of

if TYPE_CHECKING:
    from napari_medseg.methods import Method

BOX, ONE_CLICK, FIVE_CLICKS = "box", "1 click", "5 clicks"
REACHED, NEVER = 0.85, 99
BOX_FLOORS = ("ellipse", "grabcut", "random walker", "confidence connected", "watershed")
CLICK_FLOORS = ("grabcut", "random walker", "confidence connected", "watershed")


Word = Mapping[str, float]  # expected, low, high and strange, as far as an arm says them


class Arm(Protocol):
    """One way to an outline that is measured."""

    name: str
    word: Word  # what it said of its last answer

    def outline(self, volume: Volume, target: Target, prompts: Sequence[Prompt], before: Region) -> Region:
        """Outline the target's slice from all prompts so far and the outline before the last one."""


@dataclass(eq=False)
class FloorArm:
    """A classical floor, on the picture a network would see of the same slice."""

    name: str
    word: Word = field(default_factory=dict)
    _seen: tuple[Volume, int, NDArray[np.uint8]] | None = None

    def outline(self, volume: Volume, target: Target, prompts: Sequence[Prompt], before: Region) -> Region:
        """Outline from the prompts alone."""
        from napari_medseg.imaging import baselines
        from napari_medseg.imaging.prepare import grey_limits, picture

        if self._seen is None or self._seen[0] is not volume or self._seen[1] != target.index:
            limits = grey_limits(volume, Preparation())
            self._seen = volume, target.index, picture(volume, target.plane, target.index, limits)
        pixels = self._seen[2]
        grey = bool(np.all(pixels[..., :1] == pixels))
        return baselines.outline(self.name, pixels[..., :1] if grey else pixels, prompts)


@dataclass(eq=False)
class MethodArm:
    """A method of the menu, asked as the panel asks it."""

    name: str
    method: Method
    word: Word = field(default_factory=dict)

    def outline(self, volume: Volume, target: Target, prompts: Sequence[Prompt], before: Region) -> Region:
        """Outline through the method's contract, with the outline before as the previous mask."""
        from napari_medseg import workflow

        task = task_of("benchmark", (ASKED,))
        previous = Mask.empty(volume.geometry, task.structures)
        if before.any():
            previous = previous.put_slice(ASKED, target.plane, target.index, before)
        slices = (target.index,)
        request = Request(volume, target.plane, slices, task, tuple(prompts), previous=previous)
        answer = finish(workflow.segment(self.method, request))
        self.word = _word(answer, self.method, target, volume)
        return answer.mask.on_slice(ASKED, target.plane, target.index - answer.start[0])


def _word(answer: Segmentation, method: Method, target: Target, volume: Volume) -> Word:
    """What a method says of its answer and of the picture."""
    said: dict[str, float] = {}
    if ASKED in answer.interval:
        low, high = answer.interval[ASKED][0]
        said |= {"expected": answer.quality[ASKED][0], "low": low, "high": high}
    if isinstance(method, Strange):
        said["strange"] = method.strangeness(volume, target.plane, target.index)
    return said


@runtime_checkable
class Strange(Protocol):
    """A method that says how unlike its training images a picture is."""

    def strangeness(self, volume: Volume, plane: Plane, index: int) -> float:
        """Above 1 it counts as foreign."""


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
) -> Job[Table]:
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
        Folder for rows.jsonl, table.md and table.json.
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
    methods, known = _methods(model, device)
    floors = {name: FloorArm(name) for name in BOX_FLOORS}
    box_arms: list[Arm] = [*floors.values(), *methods]
    click_arms: list[Arm] = [*(floors[name] for name in CLICK_FLOORS), *methods]
    about = {"preset": f"quality {split}", "seed": seed, **known}
    work = partial(_do_image, box_arms=box_arms, click_arms=click_arms)
    rows = yield from measure(units, work, Path(out), about, minutes=minutes, resume=resume)
    device = str(getattr(methods[0].method, "device", "cpu")) if methods else "cpu"
    about = {"preset": about["preset"], "minutes": minutes, **about, **environment(device)}
    table = Table("Prompting: one object at a time", about, infos_of(datasets, split), rows)
    table.save(Path(out))
    return table


def _methods(model: str, device: str) -> tuple[list[MethodArm], dict[str, Any]]:
    """The promptable method with its model, if there is one, and what to say of it."""
    from napari_medseg import workflow

    found = workflow.model_for("sam", model)
    if found is None:
        return [], {"model": "none"}
    method = workflow.build("sam", model=found.name, device=device, settings={"disk": 0})
    return [MethodArm("sam", method)], {"model": found.name, "sha256": found.sha256[:12]}


def _do_image(unit: Unit, box_arms: Sequence[Arm], click_arms: Sequence[Arm]) -> list[Row]:
    """Let every arm outline every target of one image."""
    volume = unit.item.volume()
    rows = []
    for target in targets_of(unit.item.mask(volume), unit.key):
        row = partial(
            Row, unit.dataset.name, unit.item.image.name, unit.item.group, target.structure, target.key
        )
        for arm in box_arms:
            rows.append(_from_box(arm, volume, target, row))
        for arm in click_arms:
            rows += _from_clicks(arm, volume, target, row)
    return rows


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
