"""Asking a method for a mask: the request made from the work, and the answer laid on it."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_medseg import workflow
from napari_medseg.core.correction import Fixed
from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Mask, Region, slab
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.prompts import MaskPrompt, Prompt
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.settings import as_record, with_overrides
from napari_medseg.gui import edits
from napari_medseg.gui.work import Pending, Spot, Work

if TYPE_CHECKING:
    from napari_medseg.session.store import Session
    from napari_medseg.workflow import Method

Scope = Literal["slice", "range", "volume"]


@dataclass(frozen=True)
class Choice:
    """How a mask is to be made: the method, its model ("" for the best there is) and its settings."""

    method: str
    model: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, tuple[tuple[str, Any], ...]]:
        """What tells two choices apart."""
        return self.method, self.model, tuple(sorted(self.settings.items()))


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked: which slices, for which structures, and whether a person just pointed there."""

    work: Work
    choice: Choice
    plane: Plane
    slices: tuple[int, ...]
    pointed: bool = False

    @property
    def promptable(self) -> bool:
        """Whether the method wants prompts."""
        return workflow.menu()[self.choice.method].way == "prompt"


@dataclass(frozen=True, eq=False)
class Answer:
    """A method's result beside the question it answers, and the model that gave it, by name and hash."""

    question: Question
    result: Segmentation
    model: str = ""


class Asker:
    """The methods that were made ready once; used on the inference thread only."""

    def __init__(self) -> None:
        self._ready: dict[Any, tuple[Method, str]] = {}
        # Mesa's OpenGL and triton each bring an LLVM of their own, and the second one loaded ends the
        # process without a word. Nothing here compiles kernels, so torch is told that triton is absent.
        sys.modules.setdefault("triton", None)  # type: ignore[arg-type]

    def job(self, question: Question, session: Session | None) -> Job[Answer]:
        """Make the method ready if it is not, ask it, and hold the answer to what a person decided."""
        method, model = yield from self._method(question, session)
        yield Progress(0.05, "Looking at the image")
        result = yield from workflow.segment(method, request(question))
        return Answer(question, result, model)

    def warm_up(self, question: Question, session: Session | None) -> Job[None]:
        """Do the slow part for these slices before anybody asks."""
        method, _ = yield from self._method(question, session)
        yield from method.prepare(question.work.volume, question.plane, question.slices)

    def _method(self, question: Question, session: Session | None) -> Job[tuple[Method, str]]:
        choice = question.choice
        task = question.work.asked
        key = (choice.key, task.structure_names if not question.promptable else ())
        if key not in self._ready:
            yield Progress(0.0, "Loading the model")
            wanted = None if question.promptable else task
            model = workflow.model_for(choice.method, choice.model, session, wanted)
            method = workflow.build(
                choice.method, model=choice.model, settings=choice.settings, session=session, task=wanted
            )
            self._ready[key] = (method, f"{model.name} {model.sha256[:12]}" if model else "")
        return self._ready[key]


def request(question: Question) -> Request:
    """What a method is asked; slow on large volumes, so called on the inference thread."""
    work = question.work
    prompts = prompts_for(question) if question.promptable else ()
    wanted = {p.structure for p in prompts} or set(work.mask.names)
    return Request(
        volume=work.volume,
        plane=question.plane,
        slices=question.slices,
        task=work.asked,
        prompts=prompts,
        previous=result_so_far(work),
        fixed={name: value for name in wanted if (value := fixed_for(question, name)) is not None},
    )


def prompts_for(question: Question) -> tuple[Prompt, ...]:
    """The current structure's prompts; over several slices its outlined slices count as prompts too."""
    work, plane = question.work, question.plane
    given = tuple(p for p in work.prompts if p.structure == work.current)
    if len(question.slices) == 1 and question.pointed:
        return given
    near = range(max(question.slices[0] - 1, 0), min(question.slices[-1] + 2, work.volume.n_slices(plane)))
    outlined = work.reviewed_for(work.current).get(plane, frozenset()) | {
        index for name, owner, index in work.pending if (name, owner) == (work.current, plane)
    }
    shown = ((i, work.shown(work.current, plane, i)) for i in near if i in outlined)
    return (*given, *(MaskPrompt(work.current, plane, i, region) for i, region in shown if region.any()))


def result_so_far(work: Work) -> Mask:
    """The accepted mask with all that is proposed laid over it."""
    mask = work.mask.copy()
    for name, plane, index in work.pending:
        mask = mask.put_slice(name, plane, index, work.proposal.on_slice(name, plane, index))
    return mask


def fixed_for(question: Question, name: str) -> Fixed | None:
    """What a person decided about a structure; None if nothing.

    Who points at an accepted slice wants it changed, so that slice is free again.
    """
    work = question.work
    reviewed = work.reviewed_for(name)
    if question.pointed:
        pointed = frozenset(question.slices)
        reviewed = {p: i - pointed if p == question.plane else i for p, i in reviewed.items()}
    corrections = [c for spot, c in work.corrections.items() if spot[0] == name]
    locked = any(s.locked for s in work.mask.structures)
    if not (any(reviewed.values()) or corrections or locked):
        return None
    return workflow.fixed(replace(work.mask, reviewed=reviewed), name, work.asked, corrections)


def adopted(work: Work, answer: Answer) -> Work:
    """Give the work the structures that a method found and nobody has listed yet."""
    new = [s for s in answer.result.mask.structures if s.name not in work.mask.names]
    for structure in new:
        work = edits.add_structure(work, structure.name)
    return replace(work, current=answer.question.work.current) if new else work


def lay(work: Work, answer: Answer, mask: Mask | None = None) -> Generator[edits.Step, None, None]:
    """Lay an answer on the proposal, one structure of one slice at a time.

    Parameters
    ----------
    mask : Mask or None
        An alternative in place of the answer's own mask.

    Yields
    ------
    The work so far, and what the last piece changed.
    """
    question, chosen = answer.question, mask or answer.result.mask
    for number, index in enumerate(question.slices):
        for name in chosen.names:
            spot = (name, question.plane, index)
            if work.mask.structure(name).locked or (not question.pointed and _is_done(work, spot)):
                continue
            region = _on_slice(chosen, answer, spot)
            if region.any() or spot in work.pending:
                facts = _facts(answer, name, number, question)
                work, changes = edits.propose(work, spot, region, facts)
                yield work, changes


def quality_of(work: Work, plane: Plane, index: int) -> float | None:
    """Lowest expected Dice of what is proposed on a slice, None where nobody says."""
    said = [p.quality for (_, o, i), p in work.pending.items() if (o, i) == (plane, index)]
    known = [quality for quality in said if quality is not None]
    return min(known) if known else None


def found_any(work: Work, plane: Plane, slices: Iterable[int]) -> bool:
    """Whether anything is proposed on these slices."""
    wanted = set(slices)
    return any(p.voxels for (_, o, i), p in work.pending.items() if o == plane and i in wanted)


def _is_done(work: Work, spot: Spot) -> bool:
    name, plane, index = spot
    return index in work.reviewed_for(name).get(plane, frozenset())


def _on_slice(mask: Mask, answer: Answer, spot: Spot) -> Region:
    """One slice of an answer on the whole image's slice (rows, columns)."""
    name, plane, index = spot
    geometry = answer.question.work.volume.geometry
    axis = geometry.axis_of(plane)
    start = answer.result.start
    part = mask.of(name, slab(axis, index - start[axis], index - start[axis] + 1)).squeeze(axis)
    shape = tuple(n for a, n in enumerate(geometry.shape) if a != axis)
    if part.shape == shape:
        return np.asarray(part)
    full = np.zeros(shape, bool)
    r, c = (s for a, s in enumerate(start) if a != axis)
    full[r : r + part.shape[0], c : c + part.shape[1]] = part
    return full


def _facts(answer: Answer, name: str, number: int, question: Question) -> Pending:
    said = answer.result.quality.get(name, ())
    n_prompts = sum(p.structure == name and p.plane == question.plane for p in question.work.prompts)
    choice = question.choice
    return Pending(
        quality=float(said[number]) if number < len(said) else None,
        method=choice.method,
        model=answer.model,
        settings=as_record(with_overrides(workflow.menu()[choice.method].settings(), choice.settings)),
        n_prompts=n_prompts,
    )
