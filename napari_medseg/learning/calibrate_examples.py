"""Learn when an answer from examples is one: `medseg train SOURCE --recipe calibrate -o MODEL` for SegICL.

On the val split of the seen sets the model outlines structures from examples of the train split, on slices
that show them and on slices that do not. How such answers differ, and the Dice they had, go into the card.
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
from napari_medseg.core.mask import Mask
from napari_medseg.core.metrics import dice
from napari_medseg.core.model import Model
from napari_medseg.core.phantoms import ct_phantom, mr_phantom
from napari_medseg.core.presence import learn_presence
from napari_medseg.core.progress import Job, Progress, finish
from napari_medseg.core.request import Example, Request
from napari_medseg.core.task import task_of
from napari_medseg.core.volume import Volume
from napari_medseg.learning.data import Dataset, Item, read_datasets
from napari_medseg.learning.labelled import may_show
from napari_medseg.methods._doubt import EXAMPLES
from napari_medseg.methods._judged import FACTS, KINDS, kind_of
from napari_medseg.methods._shots import useful
from napari_medseg.networks.weights import amend_card

if TYPE_CHECKING:
    from napari_medseg.methods.segicl import InContext

_N_EXAMPLES = (1, 2, 3, 5)
_LEAST = 50  # pixels of a structure that is there
_FEWEST = 40  # answers of each kind
_MOST = 4000  # answers
_MADE_UP = 0.3  # of episodes are followed by one on a phantom: few real sets are volumes

Pair = tuple[Volume, Mask]
# Facts, what the model says, the Dice it had, whether it was there, and the kind of answer.
Answered = tuple[Any, float, float, bool, str]


def calibrate_segicl(
    sources: Sequence[Path], model: Model, *, minutes: float, device: str = "cpu", seed: int = 0
) -> Job[Path]:
    """Learn presence and expected Dice of answers from examples, and write both into the model's card.

    Parameters
    ----------
    sources : folders
        Data sets, or folders of them; sets marked unseen and the test split are never opened.
    model : Model
        With the model it stands on.

    Raises
    ------
    TaskError
        If the sets give too few answers.
    """
    from napari_medseg import methods

    datasets = [one for one in read_datasets(sources) if one.role == "seen"]
    entry = methods.entry("segicl")
    bare = {name: value for name, value in model.card.items() if name not in ("calibration", "presence")}
    method: InContext = entry.build(entry.settings(disk=0), replace(model, card=bare), device)  # type: ignore[assignment]
    found: list[Answered] = []
    start, random = time.monotonic(), np.random.default_rng(seed)
    while (done := max((time.monotonic() - start) / (60 * minutes), len(found) / _MOST)) < 1:
        dataset = datasets[int(random.integers(len(datasets)))]
        others = [one for one in datasets if not may_show(dataset.task, one.task)]
        yield Progress(done, f"{dataset.name}: {len(found)} answers")
        found += _episode(method, dataset, others, random)
        if random.random() < _MADE_UP:
            pair, name = _phantom(random)
            found += _within(method, pair, name, int(random.choice(_N_EXAMPLES)), random)
    amend_card(model, learnt_from(found))
    yield Progress(1.0, "written into the card")
    return model.folder


def learnt_from(found: Sequence[Answered]) -> dict[str, Any]:
    """What a card is told of answers whose truth is known.

    Raises
    ------
    TaskError
        If there are too few.
    """
    presence = {}
    for kind in KINDS:
        some = [one for one in found if one[4] == kind]
        there = [one[3] for one in some]
        if min(sum(there), len(there) - sum(there)) >= _FEWEST:
            learnt = asdict(learn_presence(np.stack([one[0] for one in some]), there))
            presence[kind] = learnt | {"facts": FACTS, "n": len(there), "n_there": sum(there)}
    shown = [one for one in found if one[3]]
    calibration = calibrate([one[1] for one in shown], [one[2] for one in shown])
    if not presence or calibration is None:
        raise TaskError("The val split of these sets gives too few answers to calibrate a model.")
    return {
        "presence": presence,
        "calibration": {EXAMPLES: asdict(calibration)},
        "coverage": COVERAGE,
        "calibrated": datetime.now(UTC).date().isoformat(),
    }


def _episode(
    method: InContext, dataset: Dataset, others: Sequence[Dataset], random: np.random.Generator
) -> Iterator[Answered]:
    """Answers about a structure of a val image: on a slice that shows it, on one that does not, elsewhere."""
    name = str(random.choice(dataset.task.structure_names))
    n = int(random.choice(_N_EXAMPLES))
    item, query = _pick(dataset, "val", random)
    examples = list[Example]()
    for _ in range(4 * n):
        one, (volume, mask) = _pick(dataset, "train", random)
        index = _slice(volume, mask, name, True, random)
        if index is not None and one.group != item.group and len(examples) < n:
            examples.append(_example(volume, mask, (index,)))
    asked = [(query, True), (query, False)]
    if others:
        asked.append((_pick(others[int(random.integers(len(others)))], "val", random)[1], False))
    yield from _answers(method, name, tuple(examples), asked, random)
    if dataset.dim == 3:
        yield from _within(method, query, name, n, random)


def _within(
    method: InContext, pair: Pair, name: str, n: int, random: np.random.Generator
) -> Iterator[Answered]:
    """Answers on other slices of a volume a few of whose slices are the examples."""
    volume, mask = pair
    shown = {_slice(volume, mask, name, True, random) for _ in range(n)} - {None}
    if shown:
        example = _example(volume, mask, tuple(index for index in shown if index is not None))
        yield from _answers(method, name, (example,), [(pair, True), (pair, False), (pair, False)], random)


def _phantom(random: np.random.Generator) -> tuple[Pair, str]:
    """A made-up volume and one of its structures that is not on every slice."""
    make = ct_phantom if random.random() < 0.5 else mr_phantom
    volume, mask = make(seed=int(random.integers(10, 10**6)))
    partly = [name for name in mask.names if (_areas(volume, mask, name) == 0).any()]
    return (volume, mask), str(random.choice(partly or list(mask.names)))


def _example(volume: Volume, mask: Mask, indices: tuple[int, ...]) -> Example:
    """Some annotated slices."""
    return Example(volume, replace(mask, reviewed={volume.geometry.native_plane: frozenset(indices)}))


def _answers(
    method: InContext,
    name: str,
    examples: tuple[Example, ...],
    asked: Sequence[tuple[Pair, bool]],
    random: np.random.Generator,
) -> Iterator[Answered]:
    """The answer on a slice of each image asked about, one that shows the structure or one that does not."""
    for (volume, mask), there in asked if examples else ():
        index = _slice(volume, mask, name, there, random)
        if index is not None:
            yield _ask(method, volume, mask, name, index, examples, there)


def _pick(dataset: Dataset, split: str, random: np.random.Generator) -> tuple[Item, Pair]:
    """One image of a split with its mask."""
    items = dataset.select(split)
    item = items[int(random.integers(len(items)))]
    volume = item.volume()
    return item, (volume, item.mask(volume))


def _slice(volume: Volume, mask: Mask, name: str, there: bool, random: np.random.Generator) -> int | None:
    """A slice that shows a structure, or one that does not; None if there is none."""
    areas = _areas(volume, mask, name)
    fitting = np.flatnonzero(areas >= _LEAST if there else areas == 0)
    return int(random.choice(fitting)) if len(fitting) else None


def _areas(volume: Volume, mask: Mask, name: str) -> NDArray[np.int64]:
    """Pixels (Z,) of a structure on each stored slice."""
    axis = volume.geometry.axis_of(volume.geometry.native_plane)
    if name not in mask.names:
        return np.zeros(volume.geometry.shape[axis], np.int64)
    return np.asarray(mask.of(name).sum(axis=tuple(a for a in range(3) if a != axis)))


def _ask(
    method: InContext,
    volume: Volume,
    mask: Mask,
    name: str,
    index: int,
    examples: tuple[Example, ...],
    there: bool,
) -> Answered:
    """The answer for one slice: its facts, what the model says of it, the Dice it had."""
    plane = volume.geometry.native_plane
    request = Request(volume, plane, (index,), task_of("calibration", (name,)), examples=examples)
    shots = finish(method.shots.gather(request))
    view = method.shots.view(volume, plane, index)
    chosen = useful(shots, name, view, method.settings.most)
    answer, facts = method.outline(request, name, view, chosen)
    truth = mask.on_slice(name, plane, index) if there else np.zeros_like(answer.region)
    return facts, answer.quality, dice(answer.region, truth), there, kind_of(view, chosen)
