"""How long a person waits, and how much memory it takes: `medseg benchmark speed`.

    run(*, minutes, device, out, model) -> Job[Timings]

Timings has `lines()` (Markdown), `record()` (JSON) and is saved under `out` as speed.md and speed.json. Every
run is a fresh process, so that the first mask includes what a person waits for the first time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medseg.benchmarks.harness import environment
from napari_medseg.core.errors import MedsegError
from napari_medseg.core.progress import Job, Progress, finish
from napari_medseg.core.prompts import Point
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.task import task_of
from napari_medseg.core.volume import Volume

if TYPE_CHECKING:
    from napari_medseg.methods import Method

N_RUNS = 5
N_CLICKS = 20
LIMIT = 600  # seconds for one process
# What is measured: title, unit and the factor from seconds (or MB) to it.
QUANTITIES = {
    "opening": "file to volume, s",
    "first_mask": "program start to first mask, s",
    "encode": "prepare a slice, s",
    "decode": "mask from a prepared slice, s",
    "click_p50": "click to mask, median, s",
    "click_p95": "click to mask, 95th percentile, s",
    "peak_rss": "peak memory, MB",
}


@dataclass(frozen=True)
class Timings:
    """Medians over the runs: case to quantity to value, and each run's own values."""

    about: Mapping[str, Any]
    runs: Mapping[str, Sequence[Mapping[str, float]]]

    def median(self, case: str, quantity: str) -> float:
        """Median over the runs of one case."""
        return median(values[quantity] for values in self.runs[case])

    def lines(self) -> list[str]:
        """A Markdown table, ready for docs/benchmarks.md."""
        about = ", ".join(f"{name} {value}" for name, value in self.about.items() if value != "")
        head = ["", *self.runs]
        rows = [
            [title, *(f"{self.median(case, quantity):.3g}" for case in self.runs)]
            for quantity, title in QUANTITIES.items()
        ]
        table = [head, ["---", *["---:"] * len(self.runs)], *rows]
        return ["## Speed", "", f"Run: {about}.", "", *("| " + " | ".join(row) + " |" for row in table)]

    def record(self) -> dict[str, Any]:
        """Everything as plain values for JSON."""
        medians = {case: _plain({q: self.median(case, q) for q in QUANTITIES}) for case in self.runs}
        runs = {case: [_plain(values) for values in runs] for case, runs in self.runs.items()}
        return {"about": dict(self.about), "medians": medians, "runs": runs}

    def save(self, out: Path) -> None:
        """Write `speed.md` and `speed.json`."""
        out.mkdir(parents=True, exist_ok=True)
        (out / "speed.md").write_text("\n".join(self.lines()), encoding="utf-8")
        (out / "speed.json").write_text(json.dumps(self.record(), indent=1), encoding="utf-8")


def run(
    *, minutes: float = 10.0, device: str = "auto", out: Path = Path("runs/speed"), model: str = ""
) -> Job[Timings]:
    """Measure opening, the first mask, encoding, decoding, clicks and memory, on phantoms.

    Parameters
    ----------
    minutes : float
        No further round of runs is begun when it is over; at least one is made, at most five.
    device : str
        "auto", "cpu", "cuda", "cuda:n" or "mps".
    out : Path
        Folder for speed.md and speed.json.
    model : str
        Name of the SAM model; the one in use by default.

    Raises
    ------
    MedsegError
        If a run fails, with what it said.
    """
    start = time.monotonic()
    runs: dict[str, list[dict[str, float]]] = {}
    about: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        yield Progress(0.0, "making phantoms")
        cases = _cases(Path(folder))
        for turn in range(N_RUNS):
            if turn and time.monotonic() - start > 60 * minutes:
                break
            for number, (case, path) in enumerate(cases.items()):
                done = (turn + number / len(cases)) / N_RUNS
                yield Progress(done, f"run {turn + 1} of {N_RUNS}: {case}")
                values, about = _in_fresh_process(path, device, model)
                runs.setdefault(case, []).append(values)
    n_runs = len(next(iter(runs.values())))
    known = environment(about["device"]) | about
    timings = Timings({"preset": "speed", "minutes": minutes, "seed": 0, "runs": n_runs, **known}, runs)
    timings.save(Path(out))
    return timings


def one_run(
    path: Path, device: str, model: str, n_clicks: int = N_CLICKS
) -> tuple[dict[str, float], dict[str, Any]]:
    """Measure one file in this process: quantity to value, and what it was measured with."""
    start = time.perf_counter()
    from napari_medseg import workflow

    opened = time.perf_counter()
    volume = workflow.open_volume(path)
    opening = time.perf_counter() - opened
    middle = volume.geometry.shape[0] // 2
    clicks = _clicks(volume, middle, n_clicks)
    method = workflow.build("sam", model=model, device=device)
    _answer(method, volume, clicks[0])
    first = time.perf_counter() - start
    waits = [_seconds(_answer, method, volume, click) for click in clicks]
    values = {
        "opening": opening,
        "first_mask": first,
        "click_p50": float(np.percentile(waits, 50)),
        "click_p95": float(np.percentile(waits, 95)),
        "peak_rss": _peak_mb(),
    }
    plain = workflow.build("sam", model=model, device=device, settings={"zoom": False})
    values |= _parts(plain, volume, clicks)
    found = workflow.model_for("sam", model)
    name = found.name if found else ""
    return values, {"model": name, "device": str(getattr(method, "device", device)), "threads": _threads()}


def _answer(method: Method, volume: Volume, click: Point) -> Segmentation:
    """One click as the panel asks it."""
    from napari_medseg import workflow

    task = task_of("speed", (click.structure,))
    request = Request(volume, click.plane, (int(click.at[0]),), task, (click,))
    return finish(workflow.segment(method, request))


def _parts(method: Method, volume: Volume, clicks: Sequence[Point]) -> dict[str, float]:
    """Time to prepare a slice that was not seen before, and to answer on one that was."""
    plane, n = clicks[0].plane, volume.geometry.shape[0]
    chosen = sorted({0, n // 4, n // 2, 3 * n // 4, n - 1})
    encode = [_seconds(lambda i: finish(method.prepare(volume, plane, (i,))), index) for index in chosen]
    decode = [_seconds(_answer, method, volume, click) for click in clicks]
    return {"encode": median(encode), "decode": median(decode)}


def _cases(folder: Path) -> dict[str, Path]:
    """Write what is measured: a picture, and a CT of ordinary slice size."""
    from napari_medseg.core.phantoms import ct_phantom, slice_phantom
    from napari_medseg.imaging.files import write_volume

    made = {"picture 512 x 512": (slice_phantom(512, 0)[0], ".png")}
    made["CT 512 x 512 x 24"] = (ct_phantom((24, 512, 512), 0)[0], ".nii.gz")
    return {
        case: write_volume(volume, folder / f"case{number}{suffix}")
        for number, (case, (volume, suffix)) in enumerate(made.items())
    }


def _clicks(volume: Volume, index: int, n: int) -> list[Point]:
    """Clicks all over the middle of a slice, the same in every run."""
    rows, columns = volume.geometry.shape[1:]
    random = np.random.default_rng(0)
    ats = random.uniform(0.3, 0.7, (n, 2)) * (rows, columns)
    plane = volume.geometry.native_plane
    return [Point("target", plane, (float(index), round(row), round(column))) for row, column in ats]


def _in_fresh_process(path: Path, device: str, model: str) -> tuple[dict[str, float], dict[str, Any]]:
    """Run `one_run` in a new Python and read what it found."""
    command = [sys.executable, "-m", "napari_medseg.benchmarks.speed", str(path), device, model]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    if done.returncode != 0:
        words = done.stderr.strip().splitlines() or ["it ended without a word"]
        raise MedsegError(f"A run of the speed benchmark failed: {words[-1]}")
    values, about = json.loads(done.stdout.splitlines()[-1])
    return values, about


def _plain(values: Mapping[str, float]) -> dict[str, float | None]:
    """Numbers for JSON, which knows no NaN."""
    return {name: value if value == value else None for name, value in values.items()}


def _seconds(call: Callable[..., Any], *arguments: Any) -> float:
    """Time of one call."""
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start


def _peak_mb() -> float:
    """Largest resident memory of this process so far, NaN where the system does not tell."""
    if sys.platform == "win32":
        return float("nan")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _threads() -> int:
    """Threads the network may use."""
    import torch

    return torch.get_num_threads()


if __name__ == "__main__":
    print(json.dumps(one_run(Path(sys.argv[1]), sys.argv[2], sys.argv[3])))
