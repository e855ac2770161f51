"""What can be done to the case on screen.

Each function takes one `Work` and returns the next with the changes it made; the label arrays inside are
edited in place, so that a stroke costs a slice and not a volume.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from napari_medseg.core.correction import Correction, obey
from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Mask, Provenance, Region, slab
from napari_medseg.core.prompts import MaskPrompt, Prompt, slice_of
from napari_medseg.core.structure import Structure, colour_of
from napari_medseg.gui.acts import Change, count, put
from napari_medseg.gui.work import Pending, Spot, Work

Step = tuple[Work, tuple[Change, ...]]


def prompt(work: Work, given: Prompt) -> Work:
    """Add a prompt."""
    refuse_locked(work, given.structure)
    return replace(work, prompts=(*work.prompts, given))


def change_prompts(work: Work, plane: Plane, given: tuple[Prompt, ...]) -> Work:
    """Put prompts, but for masks, in place of those of the current structure on a plane."""
    refuse_locked(work, work.current)
    kept = [
        p
        for p in work.prompts
        if (p.structure, p.plane) != (work.current, plane) or isinstance(p, MaskPrompt)
    ]
    return replace(work, prompts=(*kept, *given))


def propose(work: Work, spot: Spot, region: Region, facts: Pending) -> Step:
    """Show a method's region (rows, columns) on one slice; what a person drew there stays."""
    name, plane, index = spot
    correction = work.corrections.get(spot)
    if correction is not None:
        fixed = correction.painted.astype(np.int8) - correction.erased.astype(np.int8)
        region = obey(region, fixed)
        facts = replace(facts, edited=True)
    return _hold(work, spot, region, facts)


def stroke(work: Work, plane: Plane, index: int, region: Region) -> Step:
    """Take over what a person drew: the current structure on one slice is now `region`."""
    spot = (work.current, plane, index)
    refuse_locked(work, work.current)
    before = work.shown(*spot)
    painted, erased = region & ~before, before & ~region
    if not (painted.any() or erased.any()):
        return work, ()
    old = work.corrections.get(spot)
    if old is not None:
        painted, erased = painted | (old.painted & ~erased), erased | (old.erased & ~painted)
    correction = Correction(work.current, plane, index, painted, erased)
    work = replace(work, corrections={**work.corrections, spot: correction})
    return _hold(work, spot, region, replace(work.pending.get(spot, Pending()), edited=True))


def discard(work: Work, plane: Plane, index: int) -> Step:
    """Drop what is proposed on one slice, with its prompts and corrections; what is accepted stays."""
    spots = _spots(work, plane, index)
    changes: tuple[Change, ...] = ()
    for spot in spots:
        work, more = _clear(work, spot)
        changes += more
    work = work.without_withheld(plane, index)
    return _forget(work, {*spots, *work.prompted(plane, index)}), changes


def accept(work: Work, plane: Plane, index: int, seen: bool = True, seconds: float = 0.0) -> Step:
    """Make what is proposed on one slice part of the mask.

    With nothing proposed the slice is accepted as it is, with all structures: a person looked at it.
    `seen` False writes it without saying so.
    """
    spots = _spots(work, plane, index)
    changes: tuple[Change, ...] = ()
    records = []
    for spot in spots:
        region = np.expand_dims(work.shown(*spot), work.volume.geometry.axis_of(plane))
        mask, more = put(work.mask, "mask", spot[0], work.slab(plane, index), region)
        mask = _begun(mask, spot[0])
        work, less = _clear(replace(work, mask=mask), spot)
        changes += (*more, *less)
        records.append(_record(work, spot, seconds / len(spots)))
    if not spots:
        records = [Provenance(n, plane, index, "looked at", seconds=seconds) for n in work.mask.names]
    mask = work.mask.record(*records)
    if seen:
        mask = mask.review(plane, (index,))
    work = replace(work.without_withheld(plane, index), mask=mask, voxels=count(work.voxels, changes))
    return _forget(work, spots), changes


def add_structure(work: Work, name: str) -> Work:
    """Append a structure with the next colour and make it the current one."""
    structure = Structure(name.strip(), colour_of(len(work.mask.structures)))
    mask, proposal = work.mask.add(structure), work.proposal.add(structure)
    return replace(work, mask=mask, proposal=proposal, current=structure.name)


def change_structure(work: Work, name: str, structure: Structure) -> Work:
    """Rename, recolour, lock or judge a structure."""
    mask, proposal = work.mask.update(name, structure), work.proposal.update(name, structure)
    if structure.name == name:
        return replace(work, mask=mask, proposal=proposal)
    new = structure.name
    return replace(
        work,
        mask=mask,
        proposal=proposal,
        current=new if work.current == name else work.current,
        pending={(new if s[0] == name else s[0], *s[1:]): p for s, p in work.pending.items()},
        prompts=tuple(replace(p, structure=new) if p.structure == name else p for p in work.prompts),
        corrections={
            (new if s[0] == name else s[0], *s[1:]): replace(c, structure=new) if s[0] == name else c
            for s, c in work.corrections.items()
        },
        voxels={new if key == name else key: n for key, n in work.voxels.items()},
    )


def remove_structure(work: Work, name: str) -> Generator[Step, None, None]:
    """Take a structure away with all that belongs to it, a slice at a time; the last one cannot go.

    Yields
    ------
    The work so far, which holds the structure until the last piece, and what the piece changed.
    """
    if len(work.mask.names) == 1:
        raise TaskError("The last structure cannot be removed; rename it, or discard its outlines.")
    for index in range(work.volume.geometry.shape[0]):
        where = slab(0, index, index + 1)
        nothing = np.zeros_like(work.mask.of(name, where))
        _, first = put(work.mask, "mask", name, where, nothing)
        _, second = put(work.proposal, "proposal", name, where, nothing)
        yield work, first + second
    mask = work.mask.remove(name)
    yield work, ()
    proposal = work.proposal.remove(name)
    position = work.mask.names.index(name)
    current = mask.names[min(position, len(mask.names) - 1)] if work.current == name else work.current
    spots = [spot for spot in {*work.pending, *work.corrections} if spot[0] == name]
    work = replace(work, mask=mask, proposal=proposal, current=current)
    prompts = tuple(p for p in work.prompts if p.structure != name)
    voxels = {key: n for key, n in work.voxels.items() if key != name}
    yield replace(_forget(work, spots), prompts=prompts, voxels=voxels), ()


def refuse_locked(work: Work, name: str) -> None:
    """Raise TaskError if a structure is locked."""
    if work.mask.structure(name).locked:
        raise TaskError(f"'{name}' is locked; unlock it in the list of structures to change it.")


def _hold(work: Work, spot: Spot, region: Region, facts: Pending) -> Step:
    """Put a region on one slice of the proposal and remember what is known of it."""
    name, plane, index = spot
    axis = work.volume.geometry.axis_of(plane)
    full = np.expand_dims(region, axis)
    proposal, changes = put(work.proposal, "proposal", name, work.slab(plane, index), full)
    replaced = int(np.count_nonzero(work.mask.on_slice(name, plane, index)))
    facts = replace(facts, voxels=int(np.count_nonzero(region)), replaced=replaced)
    return replace(work, proposal=proposal, pending={**work.pending, spot: facts}), changes


def _clear(work: Work, spot: Spot) -> Step:
    """Empty one slice of the proposal."""
    name, plane, index = spot
    where = work.slab(plane, index)
    nothing = np.zeros_like(work.proposal.of(name, where))
    proposal, changes = put(work.proposal, "proposal", name, where, nothing)
    return replace(work, proposal=proposal), changes


def _spots(work: Work, plane: Plane, index: int) -> list[Spot]:
    return [(name, plane, index) for name in work.mask.names if (name, plane, index) in work.pending]


def _forget(work: Work, spots: Iterable[Spot]) -> Work:
    """Drop what was pending, corrected and prompted on these slices."""
    gone = set(spots)
    axis_of = work.volume.geometry.axis_of
    return replace(
        work,
        pending={spot: p for spot, p in work.pending.items() if spot not in gone},
        corrections={spot: c for spot, c in work.corrections.items() if spot not in gone},
        prompts=tuple(
            p for p in work.prompts if (p.structure, p.plane, slice_of(p, axis_of(p.plane))) not in gone
        ),
    )


def _begun(mask: Mask, name: str) -> Mask:
    structure = mask.structure(name)
    if structure.state != "not started":
        return mask
    return mask.update(name, replace(structure, state="in progress"))


def _record(work: Work, spot: Spot, seconds: float) -> Provenance:
    facts, correction = work.pending[spot], work.corrections.get(spot)
    return Provenance(
        *spot,
        method=facts.method or "by hand",
        model=facts.model,
        settings=facts.settings,
        n_prompts=facts.n_prompts,
        changed_voxels=correction.changed_pixels if correction else 0,
        seconds=seconds,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
