"""What becomes of the structures of a case when its task changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from napari_medseg.core.structure import UNTITLED, Structure
from napari_medseg.core.task import Task
from napari_medseg.gui import edits
from napari_medseg.gui.work import Work


def set_task(work: Work, task: Task) -> Work:
    """Give a case another task: structures not listed yet are added, empty ones of the task before go."""
    names = task.structure_names
    for name in [name for name in names if name not in work.mask.names]:
        work = edits.add_structure(work, name)
    work = drop_unused(work, names, (UNTITLED, *work.task.structure_names))
    return replace(work, task=task, current=names[0] if names else work.current)


def drop_unused(work: Work, wanted: Iterable[str], before: Iterable[str] = (UNTITLED,)) -> Work:
    """Take structures that were there before and are not outlined away, once wanted ones are there."""
    keep = set(wanted) - {UNTITLED}
    for name in dict.fromkeys(before):
        known = name in work.mask.names and name not in keep
        if keep and known and not work.voxels_of(name) and not _belongings(work, name):
            mask, proposal = work.mask.remove(name), work.proposal.remove(name)
            current = mask.names[0] if work.current == name else work.current
            work = replace(work, mask=mask, proposal=proposal, current=current)
    return work


def named(task: Task, before: Sequence[Structure], after: Sequence[Structure]) -> Task:
    """A session's task with the structures that were renamed or added in one of its cases; none goes."""
    renamed: dict[str, Structure] = {}
    if len(before) == len(after):
        renamed = {a.name: b for a, b in zip(before, after, strict=True) if a.name != b.name}
    kept = [renamed.get(one.name, one) for one in task.structures]
    old = {one.name for one in before}
    kept += [one for one in after if one.name not in old]
    names = dict.fromkeys(one.name for one in kept if one.name != UNTITLED)
    return replace(task, structures=tuple(next(o for o in kept if o.name == name) for name in names))


def _belongings(work: Work, name: str) -> bool:
    return any(spot[0] == name for spot in work.pending) or any(p.structure == name for p in work.prompts)
