"""Laying a method's answer on the work, one structure of one slice at a time."""

from __future__ import annotations

from collections.abc import Collection, Generator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medseg import workflow
from napari_medseg.core.mask import Mask, Region, slab
from napari_medseg.core.settings import as_record, with_overrides
from napari_medseg.gui import blind, edits
from napari_medseg.gui.acts import Change
from napari_medseg.gui.asking import Answer, Question
from napari_medseg.gui.work import Pending, Spot, Work


def adopted(work: Work, answer: Answer) -> Work:
    """Give the work the structures that a method found and nobody has listed yet."""
    new = [s for s in answer.result.mask.structures if s.name not in work.mask.names]
    for structure in new:
        work = edits.add_structure(work, structure.name)
    return replace(work, current=answer.question.work.current) if new else work


def lay(
    work: Work, answer: Answer, mask: Mask | None = None, reading: int = 0
) -> Generator[edits.Step, None, None]:
    """Lay an answer on the proposal, one structure of one slice at a time.

    Parameters
    ----------
    mask : Mask or None
        An alternative in place of the answer's own mask, the one of number `reading`.

    Yields
    ------
    The work so far, and what the last piece changed.
    """
    question, chosen = answer.question, mask or answer.result.mask
    for number, index in enumerate(question.slices):
        doubt = _doubt_on(answer, index)
        for name in chosen.names:
            spot = (name, question.plane, index)
            if _is_closed(work, question, spot):
                continue
            region = _on_slice(chosen, answer, spot)
            facts = replace(_facts(answer, name, number), reading=reading, **doubt)
            if _is_withheld(work, answer, index):
                work = blind.withhold(work, spot, region, facts)
                yield work, ()
            elif _is_new(work, question, spot, region):
                work, changes = edits.propose(work.without_withheld(*spot[1:]), spot, region, facts)
                yield work, changes
            elif _is_alike(work.pending.get(spot), facts):
                work = _rated(work, spot, facts)
                yield work, ()


def lay_found(
    work: Work, answer: Answer, laid: Collection[Spot]
) -> Generator[tuple[Spot, edits.Step], None, None]:
    """Lay what a run has found so far but for what is laid already; empty slices may only be not done yet."""
    question, mask = answer.question, answer.result.mask
    for number, index in enumerate(question.slices):
        if _is_withheld(work, answer, index):
            continue
        doubt = _doubt_on(answer, index)
        for name in mask.names:
            spot = (name, question.plane, index)
            if spot in laid or _is_closed(work, question, spot):
                continue
            region = _on_slice(mask, answer, spot)
            if region.any():
                changes: tuple[Change, ...] = ()
                if _is_new(work, question, spot, region):
                    facts = replace(_facts(answer, name, number), **doubt)
                    work, changes = edits.propose(work, spot, region, facts)
                yield spot, (work, changes)


def _is_closed(work: Work, question: Question, spot: Spot) -> bool:
    """Whether an answer may not touch a structure on a slice."""
    name, plane, index = spot
    done = index in work.reviewed_for(name).get(plane, frozenset())
    return work.mask.structure(name).locked or (done and not question.pointed)


def _is_alike(held: Pending | None, facts: Pending) -> bool:
    """Whether what is proposed came of the same method and nobody corrected it: a part of the same run."""
    return held is not None and not held.edited and (held.method, held.model) == (facts.method, facts.model)


def _rated(work: Work, spot: Spot, facts: Pending) -> Work:
    """The work with what the whole run says of a slice that a part of it had outlined already."""
    said = {name: getattr(facts, name) for name in ("quality", "interval", "n_wrong", "doubt")}
    return replace(work, pending={**work.pending, spot: replace(work.pending[spot], **said)})


def _is_withheld(work: Work, answer: Answer, index: int) -> bool:
    """Whether a slice is asked for blind, and nothing on it yet."""
    return index in answer.blind and work.state(answer.question.plane, index) in ("none", "blind")


def _is_new(work: Work, question: Question, spot: Spot, region: Region) -> bool:
    """Whether a region says anything; a run that finds what is proposed already leaves it as it is."""
    if spot not in work.pending:
        return bool(region.any())
    return question.pointed or not np.array_equal(region, work.shown(*spot))


def _on_slice(mask: Mask, answer: Answer, spot: Spot) -> Region:
    """One slice of an answer on the whole image's slice (rows, columns)."""
    name, _, index = spot
    axis = answer.question.work.volume.geometry.axis_of(answer.question.plane)
    first = index - answer.result.start[axis]
    return np.asarray(_whole(mask.of(name, slab(axis, first, first + 1)).squeeze(axis), answer))


def _doubt_on(answer: Answer, index: int) -> dict[str, Any]:
    """How unsure the method is of each pixel of a slice; a pixel of full doubt is wrong half the time."""
    found = answer.result.uncertainty
    if found is None:
        return {}
    axis = answer.question.work.volume.geometry.axis_of(answer.question.plane)
    part = np.clip(np.take(found, index - answer.result.start[axis], axis), 0.0, 1.0)
    doubt = _whole(np.rint(part * 255).astype(np.uint8), answer)
    return {"doubt": doubt, "n_wrong": float(part.sum()) / 2}


def _whole(part: NDArray[Any], answer: Answer) -> NDArray[Any]:
    """Part of a slice (rows, columns) on the whole image's slice, 0 elsewhere."""
    geometry = answer.question.work.volume.geometry
    axis = geometry.axis_of(answer.question.plane)
    shape = tuple(n for a, n in enumerate(geometry.shape) if a != axis)
    if part.shape == shape:
        return part
    full = np.zeros(shape, part.dtype)
    r, c = (s for a, s in enumerate(answer.result.start) if a != axis)
    full[r : r + part.shape[0], c : c + part.shape[1]] = part
    return full


def _facts(answer: Answer, name: str, number: int) -> Pending:
    question, said = answer.question, answer.result.quality.get(name, ())
    intervals = answer.result.interval.get(name, ())
    low, high = intervals[number] if number < len(intervals) else (0.0, 1.0)
    n_prompts = sum(p.structure == name and p.plane == question.plane for p in question.work.prompts)
    choice = question.choice
    return Pending(
        quality=float(said[number]) if number < len(said) else None,
        interval=(float(low), float(high)) if 0.0 < high - low < 1.0 else None,
        method=choice.method,
        model=answer.model,
        settings=as_record(with_overrides(workflow.menu()[choice.method].settings(), choice.settings)),
        n_prompts=n_prompts,
    )
