"""One way to measure every quality number: the same images for every arm, stored as they come."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from napari_medseg.core.errors import TaskError
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.statistics import FEWEST_GROUPS
from napari_medseg.learning.data import Dataset, Item

# Sets whose numbers stand beside the others, not in their mean (issue 3).
APART = frozenset({"nuclei_fluo_dsb2018", "nuclei_he_dsb2018", "cxr_lung_heart", "cxr_opacity"})


@dataclass(frozen=True)
class Row:
    """One arm's answer about one target, scored at original resolution.

    `part` is what was asked, such as "box" or "5 clicks"; `clicks` is how many clicks it took to reach
    Dice 0.85, 0 where clicks are not counted, 99 where they did not suffice. `expected`, `low` and `high` are
    what the arm itself expected, `strange` how unlike its training images it found the picture (above 1:
    foreign); None where it does not say. `fit_seconds` is what learning from examples took, once for many
    answers; `changed` is how much was corrected by hand, in pixels over those of the truth;
    `false_area` is what was outlined where nothing was to be found, over the area that was pointed at, or
    over that of the image where nothing was pointed at.
    """

    set: str
    image: str
    group: str
    structure: str
    target: str
    part: str
    arm: str
    dice: float
    surface_dice: float
    hd95: float
    seconds: float
    clicks: int = 0
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    strange: float | None = None
    fit_seconds: float | None = None
    changed: float | None = None
    false_area: float | None = None


class Piece(Protocol):
    """The smallest piece of work of a benchmark, with a name that no other one has."""

    @property
    def key(self) -> str:
        """Its name in the store."""


P = TypeVar("P", bound=Piece)
T = TypeVar("T")


@dataclass(frozen=True)
class SetInfo:
    """What the tables must know of a data set; `n_groups` is that of the whole split.

    A set that is `apart` stands beside the others, not in their mean.
    """

    name: str
    role: str
    n_groups: int
    n_images: int
    unit: str  # of hd95: "mm" or "px"
    apart: bool = False

    @property
    def averaged(self) -> bool:
        """Whether the set counts in the means: at least five groups, and not reported apart."""
        return self.n_groups >= FEWEST_GROUPS and not self.apart


@dataclass(frozen=True)
class Unit:
    """One image of one set, the smallest piece of work: all arms see it or none."""

    dataset: Dataset
    item: Item

    @property
    def key(self) -> str:
        """Its name, unique over all sets."""
        return f"{self.dataset.name}/{self.item.image.name}"


def units_of(datasets: Sequence[Dataset], split: str, seed: int) -> list[Unit]:
    """Images in the order in which they are done: one of each set, then the next of each, and so on.

    The order within a set depends on the seed and the set alone: a shorter run does the first part of
    what a longer one does.
    """
    queues = []
    for dataset in datasets:
        items = sorted(dataset.select(split), key=lambda item: item.image.name)
        order = random_of(seed, dataset.name).permutation(len(items))
        queues.append([Unit(dataset, items[i]) for i in order])
    return in_turn(queues)


def random_of(seed: int, name: str) -> np.random.Generator:
    """Chance that depends on the seed and a name alone."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
    return np.random.default_rng([seed, number])


def in_turn(queues: Sequence[Sequence[T]]) -> list[T]:
    """The first of each queue, then the second of each, and so on."""
    longest = max((len(queue) for queue in queues), default=0)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]


def infos_of(datasets: Sequence[Dataset], split: str) -> tuple[SetInfo, ...]:
    """What the tables must know of each set."""
    infos = []
    for dataset in datasets:
        items = dataset.select(split)
        unit = "px" if dataset.dim == 2 else "mm"
        n_groups = len({item.group for item in items})
        apart = dataset.name in APART
        infos.append(SetInfo(dataset.name, dataset.role, n_groups, len(items), unit, apart))
    return tuple(infos)


def measure(
    units: Sequence[P],
    work: Callable[[P], Sequence[Row]],
    out: Path,
    about: Mapping[str, Any],
    *,
    minutes: float,
    resume: bool,
) -> Job[tuple[Row, ...]]:
    """Do unit after unit until the time is over; each is on disk when it is done.

    Parameters
    ----------
    units : sequence
        In the order in which they are done, such as images.
    work : callable
        Does one unit, such as an image with all arms.
    out : Path
        Folder for `rows.jsonl` and `about.json`; made where it is missing.
    about : Mapping
        Settings that must be equal for a run to be resumed.
    minutes : float
        Time for all units together. None is begun when it is over; the first of each run is.

    Returns
    -------
    tuple of Row
        Of all units in the store, those of earlier runs included.

    Raises
    ------
    TaskError
        If `resume` is asked and the settings are not those of the run before.
    """
    out.mkdir(parents=True, exist_ok=True)
    store, settings = out / "rows.jsonl", out / "about.json"
    if resume and settings.is_file():
        before = json.loads(settings.read_text(encoding="utf-8"))
        changed = [name for name, value in about.items() if before.get(name) != value]
        if changed:
            words = ", ".join(changed)
            raise TaskError(f"This run cannot be resumed: other {words} than in {out.name}; start it anew.")
    else:
        store.unlink(missing_ok=True)
        settings.write_text(json.dumps(about, indent=1), encoding="utf-8")
    done = read_rows(store)
    open_units = [unit for unit in units if unit.key not in done]
    start = time.monotonic()
    for number, unit in enumerate(open_units):
        used = (time.monotonic() - start) / 60
        if number and used >= minutes:
            break
        part = max(number / len(open_units), used / minutes if minutes else 1.0)
        yield Progress(
            min(part, 1.0), f"{len(units) - len(open_units) + number + 1} of {len(units)}: {unit.key}"
        )
        done[unit.key] = list(work(unit))
        _append(store, unit.key, done[unit.key])
    return tuple(row for rows in done.values() for row in rows)


def _append(store: Path, key: str, rows: Sequence[Row]) -> None:
    """Write the rows of one image and the mark that it is done, and see them to the disk."""
    lines = [json.dumps(asdict(row)) for row in rows] + [json.dumps({"done": key, "n_rows": len(rows)})]
    with store.open("a", encoding="utf-8") as file:
        file.write("\n" + "\n".join(lines))  # a line that an earlier run left torn ends here
        file.flush()
        os.fsync(file.fileno())


def read_rows(store: Path) -> dict[str, list[Row]]:
    """Read the units that are done with their rows; what was being written when a run ended is left out."""
    done: dict[str, list[Row]] = {}
    waiting: list[Row] = []
    names = {item.name for item in fields(Row)}
    needed = {item.name for item in fields(Row) if item.default is MISSING}
    for record in _records(store):
        if "done" in record:
            done[record["done"]] = waiting[len(waiting) - record["n_rows"] :]
            waiting = []
        elif needed <= set(record) <= names:
            waiting.append(Row(**record))
    return done


def _records(store: Path) -> Iterator[dict[str, Any]]:
    """The lines of a store that are whole."""
    if not store.is_file():
        return
    for line in store.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue
