"""One run of the speed benchmark, in a process of its own: what a person waits for, from the program's start.

    python -m napari_medseg.benchmarks.stopwatch FILE DEVICE MODEL BEGAN

prints the quantities of `benchmarks/speed.py` and what they were measured with, as one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medseg.core.mask import Mask
from napari_medseg.core.progress import finish
from napari_medseg.core.prompts import Point
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.task import task_of
from napari_medseg.core.volume import Volume

if TYPE_CHECKING:
    from napari_medseg.methods import Method

N_CLICKS = 20
_TASK = task_of("speed", ("target",))


def one_run(
    path: Path, device: str, model: str, began: float, n_clicks: int = N_CLICKS
) -> tuple[dict[str, float], dict[str, Any]]:
    """Measure one file in this process: quantity to value, and what it was measured with.

    Parameters
    ----------
    began : float
        When the program was started, in seconds since 1970.
    """
    from napari_medseg import workflow

    bare = peak_mb()
    found = workflow.model_for("sam", model)
    workflow.load_ahead("sam")
    start = time.perf_counter()
    volume = workflow.open_volume(path)
    opening = time.perf_counter() - start
    method = workflow.build("sam", model=model, device=device)
    clicks = clicks_on(volume, volume.geometry.shape[0] // 2, n_clicks)
    _answer(method, volume, clicks[0])
    first = time.time() - began
    waits = [_seconds(_answer, method, volume, click) for click in clicks]
    values = {
        "opening": opening,
        "first_mask": first,
        "click_p50": float(np.percentile(waits, 50)),
        "click_p95": float(np.percentile(waits, 95)),
    }
    values |= _slice_by_slice(method, volume)
    values |= {"peak_rss": peak_mb(), "beyond": peak_mb() - bare - volume.array.nbytes / 2**20}
    plain = workflow.build("sam", model=model, device=device, settings={"zoom": False})
    values["from_disk"], values["decode"] = _again(plain, volume, clicks)
    forgetful = workflow.build("sam", model=model, device=device, settings={"disk": 0})
    values["open_to_mask"] = _seconds(_open_and_click, path, forgetful, clicks[0])
    return values, {"model": found.name if found else "", "device": device, "threads": _threads()}


def clicks_on(volume: Volume, index: int, n: int) -> list[Point]:
    """Clicks all over the middle of a slice, the same in every run."""
    rows, columns = volume.geometry.shape[1:]
    random = np.random.default_rng(0)
    ats = random.uniform(0.3, 0.7, (n, 2)) * (rows, columns)
    plane = volume.geometry.native_plane
    return [Point("target", plane, (float(index), round(row), round(column))) for row, column in ats]


def peak_mb() -> float:
    """Largest resident memory of this process so far, NaN where the system does not tell."""
    if sys.platform == "win32":
        return float("nan")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _answer(method: Method, volume: Volume, click: Point, before: Mask | None = None) -> Segmentation:
    """One click as the panel asks it."""
    from napari_medseg import workflow

    request = Request(volume, click.plane, (int(click.at[0]),), _TASK, (click,), previous=before)
    return finish(workflow.segment(method, request))


def _spread(volume: Volume) -> list[int]:
    """Five slices from the first to the last."""
    n = volume.geometry.shape[0]
    return sorted({0, n // 4, n // 2, 3 * n // 4, n - 1})


def _prepare(method: Method, volume: Volume, index: int) -> None:
    """Have one slice looked at before anybody asks."""
    finish(method.prepare(volume, volume.geometry.native_plane, (index,)))


def _slice_by_slice(method: Method, volume: Volume) -> dict[str, float]:
    """Prepare slices that were not seen before and outline something on each, in one mask of the volume."""
    waits, mask = [], Mask.empty(volume.geometry, _TASK.structures)
    for index in _spread(volume):
        waits.append(_seconds(_prepare, method, volume, index))
        answer = _answer(method, volume, clicks_on(volume, index, 1)[0], mask.copy())
        mask = mask.paste(answer.mask, answer.start)
    return {"encode": median(waits)}


def _again(method: Method, volume: Volume, clicks: Sequence[Point]) -> tuple[float, float]:
    """Time to fetch a slice that an earlier program prepared, and to answer on it without a closer look."""
    waits = [_seconds(_prepare, method, volume, index) for index in _spread(volume)]
    return median(waits), median(_seconds(_answer, method, volume, click) for click in clicks)


def _open_and_click(path: Path, method: Method, click: Point) -> None:
    """What a person does who has the program open: open a file, look at a slice, click on it.

    The model is loaded; of the image nothing is known but what the system's own file cache holds.
    """
    from napari_medseg import workflow

    volume = workflow.open_volume(path)
    _prepare(method, volume, int(click.at[0]))
    _answer(method, volume, click)


def _seconds(call: Callable[..., Any], *arguments: Any) -> float:
    """Time of one call."""
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start


def _threads() -> int:
    """Threads the network may use."""
    import torch

    return torch.get_num_threads()


if __name__ == "__main__":
    print(json.dumps(one_run(Path(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]))))
