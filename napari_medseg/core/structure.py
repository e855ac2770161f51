"""Something that is outlined: an organ, a lesion, a cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from napari_medseg.core.errors import TaskError

State = Literal["not started", "in progress", "completed", "flagged"]
UNTITLED = "untitled"
# Distinct on grey and for most colour-blind readers: Okabe and Ito, 2008, then Tol's bright scheme, 2021.
COLOURS: tuple[tuple[int, int, int], ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (204, 121, 167),
    (68, 119, 170),
    (102, 204, 238),
    (34, 136, 51),
    (238, 102, 119),
    (170, 51, 119),
    (187, 187, 187),
)


@dataclass(frozen=True)
class Code:
    """A term of a published vocabulary, such as SNOMED CT 10200004 "Liver"."""

    scheme: str
    value: str
    meaning: str


@dataclass(frozen=True)
class Structure:
    """One thing to outline, with its name, colour (red, green, blue), lock and state of work.

    Raises
    ------
    TaskError
        If the name is empty.
    """

    name: str = UNTITLED
    colour: tuple[int, int, int] = COLOURS[0]
    locked: bool = False
    state: State = "not started"
    code: Code | None = None

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise TaskError("A structure needs a name.")


def colour_of(position: int) -> tuple[int, int, int]:
    """Colour (red, green, blue), 0 to 255, for the structure at a position in its list."""
    return COLOURS[position % len(COLOURS)]
