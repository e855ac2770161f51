"""What to do where memory is full."""

from __future__ import annotations

from napari_medseg.core.errors import TaskError

SAID = "The graphics card's memory is full; the processor goes on, more slowly."


def give_way(at_once: int, device: str) -> tuple[int, str]:
    """How many slices to take at once, and where, after memory was full: one, then with the processor.

    Raises
    ------
    TaskError
        If even the processor's memory is full.
    """
    if at_once > 1:
        return 1, device
    if device == "cpu":
        raise TaskError("There is not enough memory for this image; close other programs and try again.")
    return 1, "cpu"
