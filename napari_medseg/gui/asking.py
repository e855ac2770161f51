"""Asking a method for a mask: the request made from the work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from napari_medseg import workflow
from napari_medseg.core.correction import Fixed
from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Mask, slab
from napari_medseg.core.prompts import MaskPrompt, Prompt
from napari_medseg.core.request import Example, Request, Segmentation
from napari_medseg.core.task import Task
from napari_medseg.gui.work import Work

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
    """What is asked: which slices, for which structures, and whether a person just pointed there.

    `filling` asks for the current structure between its outlined slices, without a prompt. `examples` are
    made when they are wanted, on the inference thread.
    """

    work: Work
    choice: Choice
    plane: Plane
    slices: tuple[int, ...]
    pointed: bool = False
    filling: bool = False
    examples: Callable[[], tuple[Example, ...]] = tuple

    @property
    def promptable(self) -> bool:
        """Whether the method wants prompts."""
        return workflow.menu()[self.choice.method].way == "prompt"

    @property
    def learns(self) -> bool:
        """Whether the method learns from examples, of whatever structures."""
        return workflow.menu()[self.choice.method].way == "examples"


@dataclass(frozen=True, eq=False)
class Answer:
    """A method's result beside the question it answers, and the model that gave it, by name and hash.

    `blind` are slices that are asked for without showing what it proposes.
    """

    question: Question
    result: Segmentation
    model: str = ""
    blind: frozenset[int] = frozenset()


def request(question: Question, task: Task | None = None) -> Request:
    """What a method is asked, of one task or of all structures; slow, so called on the inference thread."""
    work = question.work
    prompts = prompts_for(question) if question.promptable or question.filling else ()
    wanted = {p.structure for p in prompts} or set(work.mask.names)
    return Request(
        volume=work.volume,
        plane=question.plane,
        slices=question.slices,
        task=task or work.asked,
        prompts=prompts,
        examples=question.examples() if question.learns else (),
        previous=result_so_far(question),
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


def result_so_far(question: Question) -> Mask:
    """What is accepted and proposed on the slices asked for and beside them; elsewhere nothing is copied."""
    work, plane = question.work, question.plane
    first, last = max(question.slices[0] - 1, 0), question.slices[-1] + 2
    near = slab(work.volume.geometry.axis_of(plane), first, last)
    arrays = tuple(np.zeros(labels.shape, labels.dtype) for labels in work.mask.arrays)
    for fresh, labels in zip(arrays, work.mask.arrays, strict=True):
        fresh[near] = labels[near]
    mask = replace(work.mask, arrays=arrays)
    for name, owner, index in work.pending:
        if owner != plane or first <= index < last:
            mask = mask.put_slice(name, owner, index, work.proposal.on_slice(name, owner, index))
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


def outlined(work: Work, plane: Plane) -> tuple[int, ...]:
    """Slices of a plane that carry the current structure, in order."""
    axis = work.volume.geometry.axis_of(plane)
    others = tuple(a for a in range(3) if a != axis)
    there = set(np.flatnonzero(work.mask.of(work.current).any(axis=others)).tolist())
    for (name, owner, index), pending in work.pending.items():
        if (name, owner) == (work.current, plane):
            (there.add if pending.voxels else there.discard)(index)
    return tuple(sorted(there))
