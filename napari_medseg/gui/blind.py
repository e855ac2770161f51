"""Slices that are asked for without the model's proposal: what a person outlines there judges it fairly."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_medseg import workflow
from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Region
from napari_medseg.gui import edits
from napari_medseg.gui.acts import Change
from napari_medseg.gui.asking import Question
from napari_medseg.gui.work import Pending, Spot, Work

if TYPE_CHECKING:
    from napari_medseg.session.store import Session


def is_judged(entry: workflow.Entry) -> bool:
    """Whether what a method proposes unasked would sway the person who judges it."""
    return bool(entry.network) and entry.way != "prompt"


def blind_slices(question: Question, session: Session | None, case: str) -> frozenset[int]:
    """The slices of a question that are asked for blind; none where a person pointed. Reads the session."""
    judged = is_judged(workflow.menu()[question.choice.method]) and not (question.pointed or question.filling)
    if session is None or not case or not judged:
        return frozenset()
    return frozenset(i for i in question.slices if workflow.is_blind(session, case, question.plane, i))


def withhold(work: Work, spot: Spot, region: Region, facts: Pending) -> Work:
    """Keep what is proposed for one structure of a slice without showing it."""
    return replace(work, withheld={**work.withheld, spot: (region, facts)})


def reveal(work: Work, plane: Plane, index: int) -> edits.Step:
    """Show what was withheld on a slice; what a person drew there stays."""
    changes: tuple[Change, ...] = ()
    for spot, (region, facts) in work.withheld.items():
        if spot[1:] == (plane, index) and spot[0] in work.mask.names and region.any():
            work, more = edits.propose(work, spot, region, facts)
            changes += more
    return work.without_withheld(plane, index), changes


def sentence(work: Work, question: Question) -> str:
    """Which slices of a question are asked for blind, and why; "" for none."""
    asked = sorted({i for _, plane, i in work.withheld if plane == question.plane and i in question.slices})
    if not asked:
        return ""
    which = f"slice {asked[0]} is" if len(asked) == 1 else f"slices {', '.join(map(str, asked))} are"
    return f"So that the model can be judged fairly, {which} asked for without its proposal."
