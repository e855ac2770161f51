"""What a person accepted before, as examples for what comes next."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_medseg.core.geometry import Geometry, Plane
from napari_medseg.core.mask import Mask, Region
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.request import Example
from napari_medseg.core.volume import Volume
from napari_medseg.workflow.examples import Examples

if TYPE_CHECKING:
    from napari_medseg.session.records import CaseRecord
    from napari_medseg.session.store import Session

MOST_SLICES = 200


def reviewed_for(mask: Mask, name: str) -> dict[Plane, frozenset[int]]:
    """Slices a person accepted with one structure in mind.

    Accepting the liver on a slice says nothing about the spleen that is outlined next.
    """
    said = {(p.plane, p.index) for p in mask.provenance if p.index is not None}
    own = {(p.plane, p.index) for p in mask.provenance if p.structure == name}
    return {
        plane: frozenset(i for i in indices if (plane, i) in own or (plane, i) not in said)
        for plane, indices in mask.reviewed.items()
    }


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
        mask = session.load(case.id)
        if mask is None or not set(names) & set(mask.names):
            continue
        slices = {name: reviewed_for(mask, name) for name in mask.names if name in names}
        for plane, index, image in session.reviewed_images(case.id):
            shown = [name for name in slices if index in slices[name].get(plane, ())]
            where = mask.geometry.one_slice(plane, index)
            regions = {name: mask.of(name, where) for name in shown}
            if len(found) < MOST_SLICES and any(region.any() for region in regions.values()):
                title = f"{case.name}, {plane} slice {number(mask.geometry, plane, index)}"
                found.append(_one(replace(image, name=title), mask, regions, plane))
                came_from.append(case.id)
        if len(found) >= MOST_SLICES:
            notes = (f"The {MOST_SLICES} accepted slices of the newest cases were taken.",)
            break
    return Examples(tuple(found), notes, tuple(came_from))


def _one(image: Volume, mask: Mask, regions: Mapping[str, Region], plane: Plane) -> Example:
    """An example of one slice, which is all its image holds."""
    shown = Mask.empty(image.geometry, (mask.structure(name) for name in regions))
    for name, region in regions.items():
        shown = shown.put(name, region)
    return Example(image, shown.review(plane, (0,)))
