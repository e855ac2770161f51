"""How long a person waits, and how much memory it takes: `medseg benchmark speed`.

    run(*, minutes, device, out, model) -> Job[Timings]

Timings has `lines()` (Markdown), `record()` (JSON) and is saved under `out` as speed.md and speed.json. Every
run is a fresh process, so that the first mask includes what a person waits for the first time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from napari_medseg.benchmarks.environment import environment
from napari_medseg.core.errors import MedsegError
from napari_medseg.core.geometry import Geometry, from_spacing
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.volume import Volume

N_RUNS = 5
LIMIT = 600  # seconds for one process
_N_DIFFERENT = 12  # slices of a phantom that are made; the rest repeats them
# What is measured, with its unit.
QUANTITIES = {
    "opening": "file to volume, s",
    "first_mask": "program start to first mask, s",
    "open_to_mask": "open to first mask, program running, s",
    "encode": "prepare a slice, s",
    "from_disk": "a slice prepared by an earlier program, s",
    "decode": "mask from a prepared slice, no closer look, s",
    "click_p50": "click to mask, median, s",
    "click_p95": "click to mask, 95th percentile, s",
    "peak_rss": "peak memory, MB",
    "beyond": "peak memory beyond Python and the image, MB",
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


def _cases(folder: Path) -> dict[str, Path]:
    """Write what is measured: a picture, a CT of ordinary size in three formats, and a large one."""
    from napari_medseg.core.phantoms import slice_phantom
    from napari_medseg.imaging.dicom_write import write_ct
    from napari_medseg.imaging.files import write_volume

    usual, large = _ct(100), _ct(400)
    return {
        "picture 512 x 512": write_volume(slice_phantom(512, 0)[0], folder / "picture.png"),
        "CT 512 x 512 x 100 .nii.gz": write_volume(usual, folder / "ct.nii.gz"),
        "CT 512 x 512 x 100 .nii": write_volume(usual, folder / "ct.nii"),
        "CT 512 x 512 x 100 DICOM": write_ct(usual, folder / "ct"),
        "CT 512 x 512 x 400 .nii": write_volume(large, folder / "large.nii"),
    }


def _ct(n_slices: int) -> Volume:
    """A made-up CT of 512 x 512 pixels; it goes through the same slices again and again."""
    from napari_medseg.core.phantoms import ct_phantom

    volume, _ = ct_phantom((_N_DIFFERENT, 512, 512), 0)
    there_and_back = (*range(_N_DIFFERENT), *reversed(range(_N_DIFFERENT)))
    array = volume.array[[there_and_back[i % len(there_and_back)] for i in range(n_slices)]]
    spacing = (1.5, *volume.geometry.spacing[1:])
    return replace(volume, array=array, geometry=Geometry(array.shape, from_spacing(spacing)))


def _in_fresh_process(path: Path, device: str, model: str) -> tuple[dict[str, float], dict[str, Any]]:
    """Run `stopwatch` in a new Python, with nothing prepared on its disk, and read what it found."""
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-m", "napari_medseg.benchmarks.stopwatch", str(path), device, model]
        command.append(str(time.time()))
        own = {**os.environ, "MEDSEG_CACHE": cache}
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False, env=own)
    if done.returncode != 0:
        words = done.stderr.strip().splitlines() or ["it ended without a word"]
        raise MedsegError(f"A run of the speed benchmark failed: {words[-1]}")
    values, about = json.loads(done.stdout.splitlines()[-1])
    return values, about


def _plain(values: Mapping[str, float]) -> dict[str, float | None]:
    """Numbers for JSON, which knows no NaN."""
    return {name: value if value == value else None for name, value in values.items()}
