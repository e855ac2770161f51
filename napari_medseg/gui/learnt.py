"""Which structures are asked for where a model learnt only some of those that are listed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_medseg import workflow
from napari_medseg.core.task import Task

if TYPE_CHECKING:
    from napari_medseg.session.store import Session


def task_for(method: str, model: str, session: Session | None, task: Task) -> Task:
    """The task with the structures that a model has learnt, where all of them are listed; reads the disk.

    Parameters
    ----------
    model : str
        Its name, "" for the version of the session's rounds that is in use.
    """
    known = {one.name: one for one in task.structures}
    names = _names_of(model, session) if model else _names_in_use(method, session, set(known))
    if not names or not set(names) <= set(known):
        return task
    return replace(task, structures=tuple(known[name] for name in names))


def _names_of(model: str, session: Session | None) -> tuple[str, ...]:
    return next((found.structures for found in workflow.models(session) if found.name == model), ())


def _names_in_use(method: str, session: Session | None, known: set[str]) -> tuple[str, ...]:
    """The structures of the latest version in use that knows no others."""
    for record in reversed(workflow.rounds(session) if session is not None else ()):
        used = record.in_use and session is not None and session.in_use(method, record.task)
        if used == record.version and set(record.structures) <= known:
            return record.structures
    return ()
