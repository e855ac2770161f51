"""Prompts and runs: a question goes to the inference thread, its answer comes back as a proposal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from qtpy.QtCore import QObject, Signal

from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Mask
from napari_medseg.core.prompts import MaskPrompt, Prompt, slice_of
from napari_medseg.gui import asking, edits
from napari_medseg.gui.acts import Act
from napari_medseg.gui.asking import Answer, Asker, Choice, Question
from napari_medseg.gui.bench import Bench, Steps_
from napari_medseg.gui.jobs import Ticket, Worker
from napari_medseg.gui.work import Work


class Enquiry(QObject):
    """Asks the chosen method and lays what it answers on the bench.

    Attributes
    ----------
    choice : Choice
        How a mask is made.
    answer : Answer or None
        The last one, while its alternatives can still be looked at.
    alternative : int
        Which of them is shown.
    """

    progressed = Signal(float, str)
    ended = Signal()
    failed = Signal(str)
    said = Signal(str)

    def __init__(self, bench: Bench, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.bench = bench
        self.worker = Worker("medseg inference", self)
        self.choice = Choice("threshold")
        self.answer: Answer | None = None
        self.alternative = 0
        self._asker = Asker()
        self._ticket: Ticket | None = None
        self._warming: Ticket | None = None
        bench.upset.connect(self._drop)

    @property
    def busy(self) -> bool:
        """Whether an answer is awaited."""
        return self._ticket is not None

    def prompt(self, given: Prompt) -> None:
        """Take a prompt and ask the method for the slice it lies on."""
        work = self.bench.in_hand()
        act = self.bench.do("prompt", edits.prompt(work, given))
        axis = work.volume.geometry.axis_of(given.plane)
        self._ask(given.plane, (slice_of(given, axis),), pointed=True, act=act)

    def prompt_with_mask(self) -> None:
        """Give the method the outline of this slice, or of the one beside it, as a first guess."""
        work, plane, here = self.bench.in_hand(), self.bench.plane, self.bench.index
        for index in (here, here - 1, here + 1):
            if 0 <= index < work.volume.n_slices(plane):
                region = work.shown(work.current, plane, index)
                if region.any():
                    self.prompt(MaskPrompt(work.current, plane, here, region.copy()))
                    return
        raise TaskError(
            f"'{work.current}' is outlined neither here nor on the slices beside; outline it there first."
        )

    def run(self, slices: Iterable[int]) -> None:
        """Ask the method for these slices of the plane on screen."""
        self._ask(self.bench.plane, tuple(slices), pointed=False, act=None)

    def warm_up(self) -> None:
        """Let the method look at the slice on screen before anybody asks."""
        work = self.bench.work
        if work is None or self.worker.busy:
            return
        question = Question(work, self.choice, self.bench.plane, (self.bench.index,))
        self._warming = self.worker.start(lambda: self._asker.warm_up(question, self.bench.memory.session))

    def cancel(self) -> None:
        """Ask for no more; what is running is dropped."""
        if self._warming is not None:
            self._warming.cancel()
            self._warming = None
        if self._ticket is not None:
            self._ticket.cancel()
            self._ticket = None
            self.ended.emit()

    def close(self) -> None:
        """End the thread after the step that runs."""
        self.cancel()
        self.worker.stop()

    def show_alternative(self, position: int) -> None:
        """Put another reading of the same prompts on the slice."""
        answer = self.answer
        if answer is None or not answer.result.alternatives:
            raise TaskError("There is no other reading here; a single point often gives several.")
        self.alternative = position % len(answer.result.alternatives)
        chosen = answer.result.alternatives[self.alternative]
        quality = {name: (chosen.quality,) * len(answer.question.slices) for name in chosen.mask.names}
        told = replace(answer, result=replace(answer.result, quality=quality))
        self._lay("alternative", told, chosen.mask, None)

    def _ask(self, plane: Plane, slices: tuple[int, ...], pointed: bool, act: Act | None) -> None:
        work = self.bench.in_hand()
        self.cancel()
        self.answer = None
        question = Question(work, self.choice, plane, slices, pointed)
        self._ticket = self.worker.start(
            lambda: self._asker.job(question, self.bench.memory.session),
            done=lambda answer: self._answered(answer, act),
            tell=lambda step: self.progressed.emit(step.done, step.message),
            failed=self._failed,
        )
        self.progressed.emit(0.0, "Starting")

    def _failed(self, sentence: str) -> None:
        self._ticket = None
        self.ended.emit()
        self.failed.emit(sentence)

    def _answered(self, answer: Answer, act: Act | None) -> None:
        """Show an answer, unless the question has changed since."""
        self._ticket = None
        work, then = self.bench.in_hand(), answer.question.work
        if work.prompts is then.prompts and work.volume is then.volume:
            self.answer, self.alternative = answer, 0
            self._lay("proposal", answer, None, act)
        else:
            self.ended.emit()

    def _lay(self, label: str, answer: Answer, mask: Mask | None, act: Act | None) -> None:
        def pieces(work: Work) -> Steps_:
            work = asking.adopted(work, answer)
            yield work, ()
            yield from asking.lay(work, answer, mask)

        self.bench.do_in_pieces(label, pieces, onto=act, then=lambda: self._laid(answer))

    def _laid(self, answer: Answer) -> None:
        self.ended.emit()
        work, question = self.bench.in_hand(), answer.question
        for note in answer.result.notes:
            self.said.emit(note)
        if not answer.result.notes and not asking.found_any(work, question.plane, question.slices):
            self.said.emit("Nothing was found there; point again, or choose another method.")

    def _drop(self) -> None:
        """Forget what was asked: it does not hold any longer."""
        self.cancel()
        self.answer = None
