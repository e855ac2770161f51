"""The methods on the inference thread: made ready once, asked, and their answers told as they come."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from napari_medseg import workflow
from napari_medseg.core.progress import Job, Progress
from napari_medseg.gui.asking import Answer, Question, request

if TYPE_CHECKING:
    from napari_medseg.session.store import Session
    from napari_medseg.workflow import Method

T = TypeVar("T")
_LONG = 1.5  # seconds on one slice that nobody should wait for unasked


class Asker:
    """The methods that were made ready once; used on the inference thread only, but for what `is_` says."""

    def __init__(self) -> None:
        self._ready: dict[Any, tuple[Method, str]] = {}
        self._slow: set[Any] = set()
        # Mesa's OpenGL and triton each bring an LLVM of their own, and the second one loaded ends the
        # process without a word. Nothing here compiles kernels, so torch is told that triton is absent.
        sys.modules.setdefault("triton", None)  # type: ignore[arg-type]

    def job(self, question: Question, session: Session | None) -> Job[Answer]:
        """Make the method ready if it is not, ask it, and hold the answer to what a person decided.

        What is found on the way comes as an Answer, too.
        """
        method, model = yield from self._method(question, session)
        yield Progress(0.05, "Looking at the image")
        job = self._timed(question, workflow.segment(method, request(question)))
        while True:
            try:
                step = next(job)
            except StopIteration as stop:
                return Answer(question, stop.value, model)
            part = None if step.partial is None else Answer(question, step.partial, model)
            yield replace(step, partial=part)

    def prepare(self, question: Question, session: Session | None) -> Job[None]:
        """Do the slow part for these slices before anybody asks."""
        method, _ = yield from self._method(question, session)
        slices = method.prepare(question.work.volume, question.plane, question.slices)
        yield from self._timed(question, slices)

    def suggest(self, question: Question, session: Session | None) -> Job[int | None]:
        """Which slice to annotate first; None where the method cannot say."""
        method, _ = yield from self._method(question, session)
        if not isinstance(method, workflow.Describes):
            return None
        return (yield from workflow.suggest_slice(method, question.work.volume, question.plane))

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

    def _method(self, question: Question, session: Session | None) -> Job[tuple[Method, str]]:
        choice, key = question.choice, _key(question)
        if key not in self._ready:
            yield Progress(0.0, "Loading the model")
            wanted = None if _fits_all(question) else question.work.asked
            model = workflow.model_for(choice.method, choice.model, session, wanted)
            method = workflow.build(
                choice.method, model=choice.model, settings=choice.settings, session=session, task=wanted
            )
            self._ready[key] = (method, f"{model.name} {model.sha256[:12]}" if model else "")
        return self._ready[key]


def _key(question: Question) -> Any:
    """What tells two methods made ready apart."""
    return question.choice.key, () if _fits_all(question) else question.work.asked.structure_names


def _fits_all(question: Question) -> bool:
    """Whether the method is the same whatever structures are asked for."""
    return question.promptable or question.learns
