"""The methods on the inference thread: made ready once, asked, and their answers told as they come."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from napari_medseg import workflow
from napari_medseg.core.progress import Job, Progress
from napari_medseg.gui.asking import Answer, Question, request
from napari_medseg.gui.blind import blind_slices
from napari_medseg.gui.learnt import task_for

if TYPE_CHECKING:
    from napari_medseg.core.task import Task
    from napari_medseg.session.store import Session
    from napari_medseg.workflow import Method

T = TypeVar("T")
_LONG = 1.5  # seconds on one slice that nobody should wait for unasked


@dataclass(frozen=True, eq=False)
class Ready:
    """A method made ready, its model by name and hash, and the task it learnt, None where any will do."""

    method: Method
    model: str
    task: Task | None


class Asker:
    """The methods that were made ready once; used on the inference thread only, but for what `is_` says."""

    def __init__(self) -> None:
        self._ready: dict[Any, Ready] = {}
        self._slow: set[Any] = set()
        # Mesa's OpenGL and triton each bring an LLVM of their own, and the second one loaded ends the
        # process without a word. Nothing here compiles kernels, so torch is told that triton is absent.
        sys.modules.setdefault("triton", None)  # type: ignore[arg-type]

    def job(self, question: Question, session: Session | None, case: str = "") -> Job[Answer]:
        """Make the method ready if it is not, ask it, and hold the answer to what a person decided.

        What is found on the way comes as an Answer, too. Of a `case` that is named it says which slices are
        asked for blind.
        """
        ready = yield from self._method(question, session)
        blind = blind_slices(question, session, case)
        yield Progress(0.05, "Looking at the image")
        job = self._timed(question, workflow.segment(ready.method, request(question, ready.task)))
        while True:
            try:
                step = next(job)
            except StopIteration as stop:
                return Answer(question, stop.value, ready.model, blind)
            part = None if step.partial is None else Answer(question, step.partial, ready.model, blind)
            yield replace(step, partial=part)

    def forget(self) -> None:
        """Make every method ready anew, as another version may be in use."""
        self._ready = {}

    def prepare(self, question: Question, session: Session | None) -> Job[None]:
        """Do the slow part for these slices before anybody asks."""
        ready = yield from self._method(question, session)
        slices = ready.method.prepare(question.work.volume, question.plane, question.slices)
        yield from self._timed(question, slices)

    def suggest(self, question: Question, session: Session | None) -> Job[int | None]:
        """Which slice to annotate first; None where the method cannot say."""
        ready = yield from self._method(question, session)
        if not isinstance(ready.method, workflow.Describes):
            return None
        return (yield from workflow.suggest_slice(ready.method, question.work.volume, question.plane))

    def is_ready(self, question: Question) -> bool:
        """Whether the method was made ready before."""
        return _key(question) in self._ready

    def is_slow(self, question: Question) -> bool:
        """Whether one slice took the method so long that a click should not have to wait for another."""
        return _key(question) in self._slow

    def _timed(self, question: Question, job: Job[T]) -> Job[T]:
        """Do a job and remember whether a single slice took long."""
        start = time.monotonic()
        answer = yield from job
        if len(question.slices) == 1 and time.monotonic() - start > _LONG:
            self._slow.add(_key(question))
        return answer

    def _method(self, question: Question, session: Session | None) -> Job[Ready]:
        choice, key = question.choice, _key(question)
        found = self._ready.get(key)
        if found is None:
            yield Progress(0.0, "Loading the model")
            task = None if _fits_all(question) else question.work.asked
            if task is not None and workflow.menu()[choice.method].network:
                task = task_for(choice.method, choice.model, session, task)
            model = workflow.model_for(choice.method, choice.model, session, task)
            method = workflow.build(
                choice.method, model=choice.model, settings=choice.settings, session=session, task=task
            )
            found = Ready(method, f"{model.name} {model.sha256[:12]}" if model else "", task)
            self._ready[key] = found
        return found


def _key(question: Question) -> Any:
    """What tells two methods made ready apart."""
    return question.choice.key, () if _fits_all(question) else question.work.asked.structure_names


def _fits_all(question: Question) -> bool:
    """Whether the method is the same whatever structures are asked for."""
    return question.promptable or question.learns
