"""Learn what a model for known tasks is worth: `medseg train SOURCE --recipe calibrate -o MODEL`.

On the val split of the seen sets it outlines all structures of each task. The Dice it had, beside the Dice it
expected, goes into its card, with the tasks it does well enough to be offered and the cut for presence that
loses hardly any structure of these.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from napari_medseg.core.calibration import COVERAGE, calibrate
from napari_medseg.core.errors import TaskError
from napari_medseg.core.metrics import dice
from napari_medseg.core.model import Model
from napari_medseg.core.progress import Job, Progress, finish
from napari_medseg.core.request import Request
from napari_medseg.learning.calibrate import in_turn
from napari_medseg.learning.data import Dataset, Item, read_datasets
from napari_medseg.methods import Method
from napari_medseg.methods._doubt import AUTOMATIC
from napari_medseg.networks.weights import amend_card

_GOOD = 0.6  # mean Dice on val slices that show the structure, from which on a task is offered
_SLICES = 12  # of a volume that are asked for at most, around its middle
_NEVER = 1e-9  # presence below which nothing is drawn
_LEAST, _MISSED = 0.5, 0.005  # the cut for presence: at least, and the share of those there that lie below it


@dataclass(frozen=True)
class Answered:
    """One structure on one slice: what the model said of its answer, and what was so."""

    said: float
    dice: float
    chance: float
    is_there: bool
    is_drawn: bool

    def after(self, present: float) -> float:
        """The Dice with a cut for presence: where nothing is drawn, 1 if nothing is there."""
        return self.dice if self.chance >= present else float(not self.is_there)


def calibrate_known(
    sources: Sequence[Path], model: Model, *, minutes: float, device: str = "cpu", seed: int = 0
) -> Job[Path]:
    """Measure a model on the val split, and write what it is worth into its card.

    Parameters
    ----------
    sources : folders
        Data sets, or folders of them; sets marked unseen and the test split are never opened.
    model : Model
        For known tasks, with all it stands on.
    minutes : float
        Images of the sets are taken in turn until the time is over.

    Raises
    ------
    TaskError
        If a task was not reached, or there are too few answers.
    """
    from napari_medseg import methods

    tasks = model.card.get("tasks", {})
    datasets = [one for one in read_datasets(sources) if one.role == "seen" and one.name in tasks]
    entry = methods.entry(model.network)
    bare = {name: value for name, value in model.card.items() if name != "calibration"}
    # With every structure drawn, what each cut would have left of it is known afterwards.
    method = entry.build(entry.settings(present=_NEVER), replace(model, card=bare), device)
    found: dict[str, list[Answered]] = {one.name: [] for one in datasets}
    start = time.monotonic()
    for dataset, item in in_turn(datasets, "val", seed):
        done = (time.monotonic() - start) / (60 * minutes)
        if done >= 1 and all(found.values()):
            break
        yield Progress(min(1.0, done), f"{dataset.name}: {item.image.name}")
        found[dataset.name] += _answers(method, dataset, item)
    if missing := [slug for slug in tasks if not found.get(slug)]:
        raise TaskError(f"No validation image of {', '.join(missing)} was reached; give it their data sets.")
    amend_card(model, learnt_from(found))
    yield Progress(1.0, "written into the card")
    return model.folder


def _answers(method: Method, dataset: Dataset, item: Item) -> Iterator[Answered]:
    """The answers for all structures of a task on the middle slices of an image."""
    volume = item.volume()
    truth, plane = item.mask(volume), volume.geometry.native_plane
    n = volume.n_slices(plane)
    slices = tuple(range(max(0, n // 2 - _SLICES // 2), min(n, n // 2 + _SLICES // 2 + n % 2)))
    answer = finish(method.segment(Request(volume, plane, slices, dataset.task)))
    chances: dict[str, list[float]] = method.runs.chances  # type: ignore[attr-defined]
    for name in dataset.task.structure_names:
        for k, index in enumerate(slices):
            drawn, real = answer.mask.on_slice(name, plane, k), truth.on_slice(name, plane, index)
            said = answer.quality[name][k]
            yield Answered(said, dice(drawn, real), chances[name][k], bool(real.any()), bool(drawn.any()))


def learnt_from(found: Mapping[str, Sequence[Answered]]) -> dict[str, Any]:
    """What a card is told of answers whose truth is known, by task.

    Raises
    ------
    TaskError
        If there are too few.
    """
    there = {slug: _mean([one.dice for one in some if one.is_there]) for slug, some in found.items()}
    offered = [slug for slug, mean in there.items() if mean >= _GOOD]
    chances = [one.chance for slug in offered for one in found[slug] if one.is_there]
    present = max(_LEAST, round(float(np.quantile(chances, _MISSED)), 2) - 0.01) if chances else _LEAST
    measured = {
        slug: {"dice": _mean([one.after(present) for one in some]), "dice_there": there[slug], "n": len(some)}
        for slug, some in found.items()
    }
    pairs = [(one.said, one.dice) for some in found.values() for one in some if one.is_drawn]
    learnt = calibrate(*zip(*pairs, strict=True)) if pairs else None
    if learnt is None:
        raise TaskError("The val split of these sets gives too few answers to calibrate a model.")
    return {
        "validation": measured,
        "offered": offered,
        "present": round(present, 2),
        "calibration": {AUTOMATIC: asdict(learnt)},
        "coverage": COVERAGE,
        "calibrated": datetime.now(UTC).date().isoformat(),
    }


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 4) if values else 0.0
