"""One way to measure every quality number: the same images for every arm, stored as they come."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from napari_medseg import __version__
from napari_medseg.core.errors import TaskError
from napari_medseg.core.progress import Job, Progress
from napari_medseg.learning.data import Dataset, Item

# Sets whose numbers stand beside the others, not in their mean (issue 3).
APART = frozenset({"nuclei_fluo_dsb2018", "nuclei_he_dsb2018", "cxr_lung_heart", "cxr_opacity"})


@dataclass(frozen=True)
class Row:
    """One arm's answer about one target, scored at original resolution.

    `part` is what was asked, such as "box" or "5 clicks"; `clicks` is how many clicks it took to reach
    Dice 0.85, 0 where clicks are not counted, 99 where they did not suffice. `expected`, `low` and `high` are
    what the arm itself expected, `strange` how unlike its training images it found the picture (above 1:
    foreign); None where it does not say.
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


@dataclass(frozen=True)
class SetInfo:
    """What the tables must know of a data set; `n_groups` is that of the whole split."""

    name: str
    role: str
    n_groups: int
    n_images: int
    unit: str  # of hd95: "mm" or "px"

    @property
    def averaged(self) -> bool:
        """Whether the set counts in the means: at least five groups, and not reported apart."""
        return self.n_groups >= 5 and self.name not in APART


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
        name = int.from_bytes(hashlib.sha256(dataset.name.encode()).digest()[:4], "little")
        order = np.random.default_rng([seed, name]).permutation(len(items))
        queues.append([Unit(dataset, items[i]) for i in order])
    longest = max((len(queue) for queue in queues), default=0)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]


def infos_of(datasets: Sequence[Dataset], split: str) -> tuple[SetInfo, ...]:
    """What the tables must know of each set."""
    infos = []
    for dataset in datasets:
        items = dataset.select(split)
        unit = "px" if dataset.dim == 2 else "mm"
        n_groups = len({item.group for item in items})
        infos.append(SetInfo(dataset.name, dataset.role, n_groups, len(items), unit))
    return tuple(infos)


def measure(
    units: Sequence[Unit],
    work: Callable[[Unit], Sequence[Row]],
    out: Path,
    about: Mapping[str, Any],
    *,
    minutes: float,
    resume: bool,
) -> Job[tuple[Row, ...]]:
    """Let every arm do image after image until the time is over; each image is on disk when it is done.

    Parameters
    ----------
    units : sequence of Unit
        In the order in which they are done.
    work : callable
        Does one image with all arms.
    out : Path
        Folder for `rows.jsonl` and `about.json`; made where it is missing.
    about : Mapping
        Settings that must be equal for a run to be resumed.
    minutes : float
        Time for all arms together. No image is begun when it is over; the first image of each run is.

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
    done, rows = _read_rows(store)
    open_units = [unit for unit in units if unit.key not in done]
    start = time.monotonic()
    for number, unit in enumerate(open_units):
        used = (time.monotonic() - start) / 60
        if number and used >= minutes:
            break
        part = max(number / len(open_units), used / minutes if minutes else 1.0)
        yield Progress(min(part, 1.0), f"{number + len(done) + 1} of {len(units)}: {unit.key}")
        found = work(unit)
        _append(store, unit.key, found)
        rows += found
    return tuple(rows)


def environment(device: str) -> dict[str, Any]:
    """Where and with what a run was made: machine, threads, versions, commit, date."""
    processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return {
        "device": device,
        "machine": f"{_processor()}, {len(processors)} cores",
        "threads": os.environ.get("OMP_NUM_THREADS") or str(len(processors)),
        "commit": commit(),
        "version": __version__,
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def commit() -> str:
    """Short commit of the source tree, with a plus where files were changed since; "" outside a tree."""
    folder = Path(__file__).parent
    asked = ["git", "-C", str(folder), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _append(store: Path, key: str, rows: Sequence[Row]) -> None:
    """Write the rows of one image and the mark that it is done, and see them to the disk."""
    lines = [json.dumps(asdict(row)) for row in rows] + [json.dumps({"done": key, "n_rows": len(rows)})]
    with store.open("a", encoding="utf-8") as file:
        file.write("\n" + "\n".join(lines))  # a line that an earlier run left torn ends here
        file.flush()
        os.fsync(file.fileno())


def _read_rows(store: Path) -> tuple[set[str], list[Row]]:
    """Read the images that are done, and their rows; what was being written when a run ended is left out."""
    done: set[str] = set()
    rows: list[Row] = []
    waiting: list[Row] = []
    names = {item.name for item in fields(Row)}
    for record in _records(store):
        if "done" in record:
            done.add(record["done"])
            rows += waiting[len(waiting) - record["n_rows"] :]
            waiting = []
        elif set(record) == names:
            waiting.append(Row(**record))
    return done, rows


def _records(store: Path) -> Iterator[dict[str, Any]]:
    """The lines of a store that are whole."""
    if not store.is_file():
        return
    for line in store.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue
