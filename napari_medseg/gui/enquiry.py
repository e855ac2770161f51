"""Prompts and runs: a question goes to the inference thread, its answer comes back as a proposal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from qtpy.QtCore import QObject, Signal

from napari_medseg import workflow
from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.likeness import FOREIGN
from napari_medseg.core.mask import Mask
from napari_medseg.core.progress import Progress
from napari_medseg.core.prompts import MaskPrompt, Prompt, slice_of
from napari_medseg.core.request import Example
from napari_medseg.gui import asking, blind, edits, laying
from napari_medseg.gui.acts import Act
from napari_medseg.gui.asker import Asker
from napari_medseg.gui.asking import Answer, Choice, Question
from napari_medseg.gui.bench import Bench, Steps_
from napari_medseg.gui.jobs import Ticket, Worker
from napari_medseg.gui.parts import Parts
from napari_medseg.gui.work import Work

FILL = "between"  # the method that fills between outlined slices


class Enquiry(QObject):
    """Asks the chosen method and lays what it answers on the bench.

    Attributes
    ----------
    choice : Choice
        How a mask is made.
    pointing : Choice
        How prompts are answered: by the choice, or by the last one that takes prompts.
    examples : callable
        The examples in hand now, to be made on the inference thread.
    counted : callable
        A sentence with its slice numbers as they are on screen, given the plane.
    asker : Asker
        The methods made ready so far.
    blind : bool
        Whether a few slices are asked for without a proposal.
    """

    asked = Signal()
    progressed = Signal(float, str)
    ended = Signal()
    failed = Signal(str)
    said = Signal(str)
    warned = Signal(str)  # of something that holds for the whole case

    def __init__(self, bench: Bench, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.bench = bench
        self.worker = Worker("medseg inference", self)
        self.choice = self.pointing = Choice("threshold")
        self.examples: Callable[[], Callable[[], tuple[Example, ...]]] = lambda: tuple
        self.counted: Callable[[Plane, str], str] = lambda _plane, sentence: sentence
        self.asker = Asker()
        self.blind = True
        self._answer: Answer | None = None
        self._parts: Parts | None = None
        self._ticket: Ticket | None = None
        self._warming: Ticket | None = None
        bench.upset.connect(self._halt)

    def choose(self, choice: Choice) -> None:
        """Make masks another way."""
        self.choice = choice
        entry = workflow.menu().get(choice.method)
        if entry is not None and entry.way == "prompt":
            self.pointing = choice

    @property
    def busy(self) -> bool:
        """Whether an answer is awaited."""
        return self._ticket is not None

    @property
    def answer(self) -> Answer | None:
        """The last answer while it holds: its prompts are those of the current structure as they stand."""
        answer, work = self._answer, self.bench.work
        if answer is None or work is None:
            return None
        then = answer.question.work
        same = work.volume is then.volume and work.current == then.current and work.prompts is then.prompts
        return answer if same else None

    @property
    def alternative(self) -> int:
        """Which of the answer's readings is on the slice on screen."""
        bench = self.bench
        spot = (bench.work.current, bench.plane, bench.index) if bench.work else None
        held = bench.work.pending.get(spot) if bench.work and spot else None
        return held.reading if held else 0

    def prompt(self, given: Prompt) -> None:
        """Take a prompt and ask the method for the slice it lies on."""
        work = self.bench.in_hand()
        act = self.bench.do("prompt", edits.prompt(work, given))
        axis = work.volume.geometry.axis_of(given.plane)
        slices = (slice_of(given, axis),)
        self._ask(Question(self.bench.in_hand(), self.pointing, given.plane, slices, pointed=True), act)

    def change_prompts(self, given: tuple[Prompt, ...]) -> None:
        """Take the prompts of this plane, but for masks, as a person changed them in napari's own layers."""
        work, plane, here = self.bench.in_hand(), self.bench.plane, self.bench.index
        act = self.bench.do("prompt", edits.change_prompts(work, plane, given))
        if (work.current, plane, here) in self.bench.in_hand().prompted(plane, here):
            self._ask(Question(self.bench.in_hand(), self.pointing, plane, (here,), pointed=True), act)

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
        work, plane = self.bench.in_hand(), self.bench.plane
        self._ask(Question(work, self.choice, plane, tuple(slices), examples=self.examples()))

    def fill(self) -> None:
        """Fill the slices between those of this plane that carry the current structure."""
        work, plane = self.bench.in_hand(), self.bench.plane
        edits.refuse_locked(work, work.current)
        there = asking.outlined(work, plane)
        if len(there) < 2:
            raise TaskError(f"Outline '{work.current}' on two slices first; those between are then filled.")
        slices = tuple(range(there[0], there[-1] + 1))
        self._ask(Question(work, Choice(FILL), plane, slices, filling=True))

    def warm_up(self) -> None:
        """Let the method look at the slice on screen before anybody asks."""
        work = self.bench.work
        if work is None or self.worker.busy:
            return
        question = Question(work, self.choice, self.bench.plane, (self.bench.index,))
        self._warming = self.worker.start(
            lambda: self.asker.prepare(question, self.bench.memory.session),
            lambda _nothing: self.ended.emit(),
        )

    def cancel(self) -> None:
        """Ask for no more; what a run has found so far is kept as a proposal."""
        parts, self._parts = self._parts, None
        self._halt()
        if parts is not None:
            self.said.emit(parts.keep())

    def _halt(self) -> None:
        """Ask for no more; what is running is dropped."""
        if self._warming is not None:
            self._warming.cancel()
            self._warming = None
        if self._parts is not None:
            self._parts.stop()
            self._parts = None
        if self._ticket is not None:
            self._ticket.cancel()
            self._ticket = None
            self.ended.emit()

    def close(self) -> None:
        """End the thread after the step that runs."""
        self._halt()
        self.worker.stop()

    def show_alternative(self, position: int) -> None:
        """Put another reading of the same prompts on the slice."""
        answer = self.answer
        if answer is None or not answer.result.alternatives:
            raise TaskError("There is no other reading here; a single point often gives several.")
        number = position % len(answer.result.alternatives)
        chosen = answer.result.alternatives[number]
        quality = {name: (chosen.quality,) * len(answer.question.slices) for name in chosen.mask.names}
        told = replace(answer, result=replace(answer.result, quality=quality, interval={}, uncertainty=None))
        self._lay("alternative", told, chosen.mask, None, number)

    def _ask(self, question: Question, act: Act | None = None) -> None:
        self._halt()
        memory = self.bench.memory
        self.asked.emit()
        self._answer = None
        self._parts = None if question.pointed else Parts(self.bench, question, self)
        self._ticket = self.worker.start(
            lambda: self.asker.job(question, memory.session, memory.case_id if self.blind else ""),
            done=lambda answer: self._answered(answer, act),
            tell=lambda step: self._told(step, question.plane),
            failed=lambda said: self._failed(self.counted(question.plane, said)),
        )
        self.progressed.emit(0.0, "Starting")

    def _told(self, step: Progress, plane: Plane) -> None:
        """Show how far it is, and what is found already."""
        self.progressed.emit(step.done, self.counted(plane, step.message))
        if self._parts is not None and step.partial is not None:
            self._parts.take(step.partial)

    def _failed(self, sentence: str) -> None:
        self._halt()
        self.failed.emit(sentence)

    def _answered(self, answer: Answer, act: Act | None) -> None:
        """Show an answer, unless the prompts it answers have changed since."""
        self._ticket = None
        work, then = self.bench.in_hand(), answer.question.work
        parts, self._parts = self._parts, None
        if parts is not None:
            parts.stop()
            act = parts.act
        if work.volume is then.volume and (work.prompts is then.prompts or not answer.question.pointed):
            self._answer = answer
            self._lay("proposal", answer, None, act)
        else:
            self.ended.emit()

    def _lay(self, label: str, answer: Answer, mask: Mask | None, act: Act | None, reading: int = 0) -> None:
        def pieces(work: Work) -> Steps_:
            work = laying.adopted(work, answer)
            yield work, ()
            yield from laying.lay(work, answer, mask, reading)

        self.bench.do_in_pieces(label, pieces, onto=act, then=lambda: self._laid(answer))

    def _laid(self, answer: Answer) -> None:
        self.ended.emit()
        work, question = self.bench.in_hand(), answer.question
        notes = answer.result.notes
        if FOREIGN in notes:
            self.warned.emit(FOREIGN)
        said = (*(note for note in notes if note != FOREIGN), blind.sentence(work, question))
        told = " ".join(sentence for sentence in said if sentence)
        if not told and not work.found_any(question.plane, question.slices):
            told = "Nothing was found there; point again, or choose another method."
        if told:
            self.said.emit(self.counted(question.plane, told))
