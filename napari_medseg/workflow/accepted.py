"""What a person accepted before, as examples for what comes next."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from napari_medseg.core.geometry import Geometry, Plane
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.request import Example
from napari_medseg.session.accepted import accepted_slices
from napari_medseg.workflow.examples import Examples

if TYPE_CHECKING:
    from napari_medseg.session.records import CaseRecord
    from napari_medseg.session.store import Session

MOST_SLICES = 200


def other_cases(session: Session, not_case: str = "") -> tuple[CaseRecord, ...]:
    """The cases of a session with accepted slices, but for one; the newest first."""
    return tuple(case for case in reversed(session.cases()) if case.n_reviewed and case.id != not_case)


def accepted_examples(
    session: Session,
    names: Collection[str],
    not_case: str = "",
    number: Callable[[Geometry, Plane, int], int] = lambda _geometry, _plane, index: index,
) -> Job[Examples]:
    """The accepted slices of other cases that show any of these structures, each an example of one slice.

    The session keeps the images of accepted slices, so nothing else is read.

    Parameters
    ----------
    number : callable
        What number to call a slice by; by default its index, from 0.

    Raises
    ------
    SessionError
        If a file of the session is missing or damaged.
    """
    found: list[Example] = []
    came_from: list[str] = []
    notes: tuple[str, ...] = ()
    cases = other_cases(session, not_case)
    for n, case in enumerate(cases):
        yield Progress(n / len(cases), f"Reading {case.name}")
        for one in accepted_slices(session, case, names):
            if len(found) < MOST_SLICES and any(region.any() for region in one.regions.values()):
                shown = number(one.grid, one.plane, one.index)
                found.append(one.example(f"{case.name}, {one.plane} slice {shown}"))
                came_from.append(case.id)
        if len(found) >= MOST_SLICES:
            notes = (f"The {MOST_SLICES} accepted slices of the newest cases were taken.",)
            break
    return Examples(tuple(found), notes, tuple(came_from))
