"""Learn how far a promptable model's word can be trusted: `medseg train SOURCE --recipe calibrate -o MODEL`.

On the val split of the seen sets the model answers prompts whose truth is known; from the train split it
remembers what the images it knows look like. Both go into its card; its weights stay as they are.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.calibration import COVERAGE, calibrate
from napari_medseg.core.errors import TaskError
from napari_medseg.core.likeness import likeness
from napari_medseg.core.mask import Mask, Region
from napari_medseg.core.metrics import dice
from napari_medseg.core.progress import Job, Progress, finish
from napari_medseg.core.prompts import Prompt
from napari_medseg.core.request import Request
from napari_medseg.core.task import task_of
from napari_medseg.core.volume import Volume
from napari_medseg.imaging.prepare import grey_limits, normalise, picture
from napari_medseg.learning.data import Dataset, Item, read_datasets
from napari_medseg.learning.prompting import (
    ASKED,
    Target,
    box_of,
    click_in,
    correction,
    rough_mask,
    targets_of,
)
from napari_medseg.networks.features import image_features, level_statistics
from napari_medseg.networks.weights import amend_card, read_model

if TYPE_CHECKING:
    from napari_medseg.methods.sam import Sam

_MOST_KNOWN = 40  # training images of a set that are remembered
_STATISTICS = 3  # training images of a set behind the statistics of the levels
_KNOWN = 0.98  # share of val images that must count as known
_MOST_CORRECTIONS = 3


def calibrate_sam(
    sources: Sequence[Path], out: Path, *, minutes: float, device: str = "cpu", seed: int = 0
) -> Job[Path]:
    """Calibrate a promptable model and write what was learnt into its card.

    Parameters
    ----------
    sources : folders
        Data sets, or folders of them; sets marked unseen and the test split are never opened.
    out : Path
        The model's folder.
    minutes : float
        Time for the answers; remembering the images comes on top and takes a minute or two.

    Raises
    ------
    TaskError
        If the val split gives too few answers.
    """
    from napari_medseg import methods

    model = read_model(out, "session")
    datasets = [one for one in read_datasets(sources) if one.role == "seen"]
    entry = methods.entry("sam")
    bare = {name: value for name, value in model.card.items() if name not in ("calibration", "likeness")}
    sam: Sam = entry.build(entry.settings(disk=0), replace(model, card=bare), device)  # type: ignore[assignment]
    found: dict[str, list[tuple[float, float]]] = {}
    start, random = time.monotonic(), np.random.default_rng(seed)
    for position, (dataset, item) in enumerate(in_turn(datasets, "val", seed)):
        done = (time.monotonic() - start) / (60 * minutes)
        if position and done >= 1:
            break
        yield Progress(min(0.8, 0.8 * done), f"{dataset.name}: {item.image.name}")
        volume = item.volume()
        for target in targets_of(item.mask(volume), f"{dataset.name}/{item.image.name}"):
            for kind, said, real in _answers(sam, volume, target, random):
                found.setdefault(kind, []).append((said, real))
    learnt = {kind: calibrate(*zip(*pairs, strict=True)) for kind, pairs in found.items()}
    known = {kind: asdict(value) for kind, value in learnt.items() if value is not None}
    if not known:
        raise TaskError("The val split of these sets gives too few answers to calibrate a model.")
    yield Progress(0.85, "remembering the training images")
    more = {"calibration": known, "coverage": COVERAGE, "calibrated": datetime.now(UTC).date().isoformat()}
    amend_card(model, more | _home(sam, datasets, seed))
    yield Progress(1.0, "written into the card")
    return Path(out)


def in_turn(datasets: Sequence[Dataset], split: str, seed: int) -> Iterator[tuple[Dataset, Item]]:
    """Images of a split, one of each set in turn, in an order of the seed."""
    queues = []
    for dataset in datasets:
        items = dataset.select(split)
        queues.append([(dataset, items[i]) for i in np.random.default_rng(seed).permutation(len(items))])
    for turn in range(max((len(queue) for queue in queues), default=0)):
        yield from (queue[turn] for queue in queues if turn < len(queue))


def _answers(
    sam: Sam, volume: Volume, target: Target, random: np.random.Generator
) -> Iterator[tuple[str, float, float]]:
    """(kind of question, what the model says, the Dice it had) of the answers about one target."""
    nothing = np.zeros(target.region.shape, bool)
    for kind, prompt in (("box", box_of(target)), ("mask", rough_mask(target, random))):
        answer, said = _ask(sam, volume, target, (prompt,), nothing)
        yield kind, said, dice(answer, target.region)
    prompts: tuple[Prompt, ...] = (click_in(target),)
    answer, said = _ask(sam, volume, target, prompts, nothing)
    yield "click", said, dice(answer, target.region)
    for _ in range(_MOST_CORRECTIONS):
        wrong = correction(target, answer)
        if wrong is None:
            return
        prompts = (*prompts, wrong)
        answer, said = _ask(sam, volume, target, prompts, answer)
        yield "clicks", said, dice(answer, target.region)


def _ask(
    sam: Sam, volume: Volume, target: Target, prompts: tuple[Prompt, ...], before: Region
) -> tuple[Region, float]:
    """An answer on the target's slice, and what the model says of it."""
    task = task_of("calibration", (ASKED,))
    previous = Mask.empty(volume.geometry, task.structures)
    if before.any():
        previous = previous.put_slice(ASKED, target.plane, target.index, before)
    request = Request(volume, target.plane, (target.index,), task, prompts, previous=previous)
    answer = finish(sam.segment(request))
    region = answer.mask.on_slice(ASKED, target.plane, target.index - answer.start[0])
    return region, answer.quality[ASKED][0]


def _home(sam: Sam, datasets: Sequence[Dataset], seed: int) -> dict[str, Any]:
    """What the images a model knows look like to it, and the statistics of its levels over them."""
    features: dict[str, list[NDArray[np.float64]]] = {"train": [], "val": []}
    sets: list[str] = []
    inputs = []
    counts: dict[tuple[str, str], int] = {}
    for split in ("train", "val"):
        for dataset, item in in_turn(datasets, split, seed):
            counts[dataset.name, split] = n = counts.get((dataset.name, split), 0) + 1
            if n > _MOST_KNOWN:
                continue
            volume = item.volume()
            plane = volume.geometry.native_plane
            index = int(np.argmax((item.labels(volume) > 0).sum((1, 2))))
            frame = sam.looks.frame(volume, plane)
            encoded = sam.looks.at(volume, plane, index, frame)
            features[split].append(image_features(encoded, frame.size, frame.long_side).double().numpy())
            sets += [dataset.name] if split == "train" else []
            if split == "train" and n <= _STATISTICS:
                canvas = frame.place(
                    picture(volume, plane, index, grey_limits(volume, sam.looks.preparation))
                )
                inputs.append(normalise(canvas, sam.looks.preparation))
    found = likeness(np.stack(features["train"]), np.array(sets))
    limit = float(np.quantile([found.distance(one) for one in features["val"]], _KNOWN))
    axes, homes = (np.round(part, 4).tolist() for part in (found.axes, found.homes))
    return {
        "likeness": {"axes": axes, "homes": homes, "limit": round(limit, 3)},
        "statistics": _statistics(sam, inputs),
    }


def _statistics(sam: Sam, inputs: Sequence[NDArray[np.float32]]) -> dict[str, Any]:
    """Mean and standard deviation of every channel of every level over some images."""
    import torch

    with torch.inference_mode():
        encoded = sam.looks.network.encode(torch.from_numpy(np.stack(inputs)).to(sam.looks.device))
    return level_statistics(encoded)
