"""Slow work is a generator of Progress; not asking for the next one cancels it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Progress:
    """How far slow work has come.

    Parameters
    ----------
    done : float
        Part of the work behind us, 0 to 1.
    message : str
        What is being done, in words for the person who waits.
    partial : Any
        A result so far, such as a Segmentation, or None.
    numbers : Mapping
        Live values by name, such as a loss.
    """

    done: float
    message: str = ""
    partial: Any = None
    numbers: Mapping[str, float] = field(default_factory=dict)


Job = Generator[Progress, None, T]


def finish(job: Job[T], tell: Callable[[Progress], None] | None = None) -> T:
    """Run a job to its end, telling each step, and return what it returns."""
    try:
        while True:
            step = next(job)
            if tell is not None:
                tell(step)
    except StopIteration as stop:
        value: T = stop.value
        return value
