"""What verbs share: options, the answer's two forms, progress, and positions typed as numbers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from napari_medseg.core.errors import TaskError
from napari_medseg.core.progress import Job, Progress, finish

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
Settings = Annotated[
    list[str], typer.Option("--set", metavar="NAME=VALUE", help="A setting; may be given again.")
]


class PlaneName(StrEnum):
    """A plane as typed."""

    axial = "axial"
    coronal = "coronal"
    sagittal = "sagittal"


def answer(record: dict[str, Any], lines: Sequence[str], as_json: bool) -> None:
    """Print what a verb found: one JSON object, or lines for a person."""
    if as_json:
        print(json.dumps(record, default=_plain, allow_nan=False))
    else:
        print("\n".join(lines))


def run(job: Job[T]) -> T:
    """Run slow work to its end, with its progress on standard error."""
    return finish(job, _teller())


def check_device(device: str) -> None:
    """Refuse a device that is none, without loading torch for the common ones."""
    if device not in ("auto", "cpu"):
        from napari_medseg.workflow import choose_device

        choose_device(device)


def numbers(text: str, flag: str, counts: tuple[int, ...], form: str) -> list[float]:
    """Read numbers separated by commas; TaskError if there are not as many as the flag needs."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in counts or not all(abs(value) < 1e9 for value in values):
        raise TaskError(f"{flag} needs numbers as {form}, not '{text}'.")
    return values


def slice_range(text: str | None, n: int) -> tuple[int, ...] | None:
    """Read A:B as slices A to B - 1; either may be left out; None if nothing was typed."""
    if text is None:
        return None
    first, colon, last = text.partition(":")
    try:
        start, stop = int(first or 0), int(last or n)
    except ValueError:
        start, stop = 0, 0
    if not colon or start < 0 or start >= stop:
        raise TaskError(f"--slices needs A:B, from A up to but not including B, not '{text}'.")
    return tuple(range(start, stop))


def overrides(items: Sequence[str]) -> dict[str, str]:
    """Read name=value pairs."""
    for item in items:
        if "=" not in item:
            raise TaskError(f"--set needs NAME=VALUE, not '{item}'.")
    return {name.strip(): value for name, _, value in (item.partition("=") for item in items)}


def _teller() -> Callable[[Progress], None]:
    """Tell each new message once, and at every tenth of the work."""
    said: list[tuple[str, int]] = []

    def tell(step: Progress) -> None:
        now = (step.message, int(step.done * 10))
        if not said or said[-1] != now:
            said[:] = [now]
            live = "".join(f", {name} {value:.4g}" for name, value in step.numbers.items())
            print(f"{step.done:4.0%} {step.message}{live}", file=sys.stderr, flush=True)

    return tell


def _plain(value: Any) -> Any:
    """Give JSON what it does not know: paths, arrays' numbers, tuples' kin."""
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        return value.item()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is not for JSON")
