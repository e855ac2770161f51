"""Learn what a model for known tasks is worth: `medseg train SOURCE --recipe calibrate -o MODEL`.

On the val split of the seen sets it outlines all structures of each task. The Dice it had, beside the Dice it
expected, goes into its card, with the tasks it does well enough to be offered.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from napari_medseg.core.calibration import COVERAGE, calibrate
from napari_medseg.core.errors import TaskError
from napari_medseg.core.metrics import dice
from napari_medseg.core.model import Model
from napari_medseg.core.progress import Job, Progress, finish
from napari_medseg.core.request import Request
from napari_medseg.learning.calibrate import in_turn
from napari_medseg.learning.data import read_datasets
from napari_medseg.methods._doubt import AUTOMATIC
from napari_medseg.networks.weights import amend_card

_GOOD = 0.6  # mean Dice on val slices that show the structure, from which on a task is offered
_SLICES = 12  # of a volume that are asked for at most, around its middle


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
    method = entry.build(entry.settings(), replace(model, card=bare), device)
    scores: dict[str, list[float]] = {one.name: [] for one in datasets}
    there: dict[str, list[float]] = {one.name: [] for one in datasets}  # of slices that show the structure
    pairs: list[tuple[float, float]] = []
    start = time.monotonic()
    for dataset, item in in_turn(datasets, "val", seed):
        done = (time.monotonic() - start) / (60 * minutes)
        if done >= 1 and all(scores.values()):
            break
        yield Progress(min(1.0, done), f"{dataset.name}: {item.image.name}")
        volume = item.volume()
        truth, plane = item.mask(volume), volume.geometry.native_plane
        n = volume.n_slices(plane)
        slices = tuple(range(max(0, n // 2 - _SLICES // 2), min(n, n // 2 + _SLICES // 2 + n % 2)))
        answer = finish(method.segment(Request(volume, plane, slices, dataset.task)))
        for name in dataset.task.structure_names:
            found = []
            for k, index in enumerate(slices):
                drawn, real = answer.mask.on_slice(name, plane, k), truth.on_slice(name, plane, index)
                found.append(dice(drawn, real))
                there[dataset.name] += [found[-1]] if real.any() else []
                if drawn.any():
                    pairs.append((answer.quality[name][k], found[-1]))
            scores[dataset.name].append(float(np.mean(found)))
    if missing := [slug for slug in tasks if not scores.get(slug)]:
        raise TaskError(f"No validation image of {', '.join(missing)} was reached; give it their data sets.")
    learnt = calibrate(*zip(*pairs, strict=True)) if pairs else None
    if learnt is None:
        raise TaskError("The val split of these sets gives too few answers to calibrate a model.")
    measured = {
        slug: {"dice": _mean(some), "dice_there": _mean(there[slug]), "n": len(some)}
        for slug, some in scores.items()
    }
    amend_card(model, {
        "validation": measured,
        "offered": [slug for slug, about in measured.items() if about["dice_there"] >= _GOOD],
        "calibration": {AUTOMATIC: asdict(learnt)},
        "coverage": COVERAGE,
        "calibrated": datetime.now(UTC).date().isoformat(),
    })  # fmt: skip
    yield Progress(1.0, "written into the card")
    return model.folder


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 4) if values else 0.0
