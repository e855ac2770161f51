"""The Learn chip: what a model could learn from, how far it is, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_medseg.gui.rounds import Learning
from napari_medseg.gui.style import mark

if TYPE_CHECKING:
    from napari_medseg.workflow import Readiness, RoundRecord

_USABLE = ("better", "no change", "too few", "first")


class LearnSection(QWidget):
    """One quiet line, which becomes a bar while a round runs and a sentence when it has ended."""

    train_requested = Signal()
    steer_requested = Signal(str, int)  # pause, resume or cancel; the round's number
    use_requested = Signal(int)
    back_requested = Signal()
    details_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._number = self._dismissed = 0
        self._paused = self._elsewhere = False
        self._learning: Learning | None = None
        self._n_accepted = 0
        self.text, self.saved = mark(QLabel(self), quiet=True), mark(QLabel(self), quiet=True)
        self.text.setWordWrap(True)
        act = self._button
        self.train_button = act("Train", "Train on what you accepted; work goes on", self._train)
        self.bar = QProgressBar(self)
        self.bar.setAccessibleName("Progress of the training")
        self.pause_button = act(
            "Pause", "Let the training wait, so that the machine is all yours", self._pause
        )
        self.cancel_button = act("Cancel", "Stop the training; the model stays as it is", self._cancel)
        self.cancel_button.setAccessibleName("Cancel the training")
        self.verdict = mark(QLabel(self), note=True)
        self.verdict.setWordWrap(True)
        self.verdict.setAccessibleName("What came of the training")
        self.use_button = act("Use it", "Outline with what was learnt, from the next request on", self._use)
        self.back_button = act("Back", "Outline with the version before again", self.back_requested)
        self.back_button.setAccessibleName("Back to the version before")
        details = "Each structure, and what was not learnt from and why"
        self.details_button = act("Details", details, self.details_requested)
        self.dismiss_button = act("Dismiss", "Show this no longer; Learning below keeps it", self._dismiss)
        self._lay_out()
        self.show_saved("")
        self.show_learning(None)

    def _button(self, text: str, tip: str, wish: object) -> QPushButton:
        button = QPushButton(text, self)
        button.setToolTip(tip)
        button.clicked.connect(wish)
        return button

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addWidget(self.verdict)
        for widgets, stretches in (
            ((self.use_button, self.back_button, self.details_button, self.dismiss_button), (1, 1, 1, 1)),
            ((self.bar, self.pause_button, self.cancel_button), (1, 0, 0)),
            ((self.text, self.train_button, self.saved), (1, 1, 0)),
        ):
            line = QHBoxLayout()
            line.setSpacing(4)
            for widget, stretch in zip(widgets, stretches, strict=True):
                line.addWidget(widget, stretch)
            column.addLayout(line)

    def show_accepted(self, n_slices: int) -> None:
        """Show how many slices a person has accepted in this case."""
        self._n_accepted = n_slices
        self._show_quiet()

    def show_saved(self, state: str) -> None:
        """Show whether all that was accepted is on the disk."""
        self.saved.setText(state)
        self.saved.setVisible(bool(state))

    def set_elsewhere(self, elsewhere: bool) -> None:
        """Say whether what came of the last round is shown elsewhere, in the drawer."""
        self._elsewhere = elsewhere
        self._show_result(self._learning.last if self._learning is not None else None)
        self._show_quiet()

    def show_learning(self, learning: Learning | None) -> None:
        """Show what there is to learn, or how far a round is, or what came of the last one."""
        first = self._learning is None
        self._learning = learning
        last = learning.last if learning is not None else None
        if first and last is not None and not _is_news(last):
            self._dismissed = last.number
        self._number = last.number if last is not None else 0
        self._show_running(last)
        self._show_result(last)
        self._show_quiet()

    def _show_running(self, record: RoundRecord | None) -> None:
        runs = record is not None and record.state in ("running", "paused")
        for widget in (self.bar, self.pause_button, self.cancel_button):
            widget.setVisible(runs)
        if record is None or not runs:
            return
        paused = self._paused = record.state == "paused"
        self.bar.setRange(0, 100)
        self.bar.setValue(round(100 * record.fraction))
        self.bar.setFormat("Paused" if paused else f"Learning: {minutes(record.minutes_left)} left")
        self.bar.setToolTip(record.message)
        self.pause_button.setText("Go on" if paused else "Pause")
        self.pause_button.setAccessibleName("Go on with the training" if paused else "Pause the training")

    def _show_result(self, record: RoundRecord | None) -> None:
        ended = record is not None and record.state not in ("running", "paused")
        shown = record is not None and ended and record.number != self._dismissed and not self._elsewhere
        for widget in (self.verdict, self.details_button, self.dismiss_button):
            widget.setVisible(shown)
        self.use_button.setVisible(shown and is_usable(record) and not (record and record.in_use))
        self.back_button.setVisible(shown and bool(record and record.in_use))
        if record is not None and shown:
            mark(self.verdict, alarm=is_bad(record), note=not is_bad(record)).setText(sentence_of(record))

    def _show_quiet(self) -> None:
        """Show the one line that is there when nothing runs."""
        learning = self._learning
        ready = learning.readiness if learning is not None and not learning.runs else None
        offer = ready is not None and ready.can_train and ready.n_new > 0
        offer = offer and not self.dismiss_button.isVisibleTo(self)  # one thing at a time
        self.train_button.setVisible(offer)
        self.train_button.setEnabled(offer)
        busy = self.dismiss_button.isVisibleTo(self) or (learning is not None and learning.runs)
        self.text.setVisible(not offer and not busy)
        if ready is not None and offer:
            self.train_button.setText(offer_of(ready))
            self.train_button.setAccessibleName(offer_of(ready))
            self.train_button.setToolTip(f"{ready.why} In the background; work goes on")
        self.text.setText(self._accepted(ready))
        self.text.setToolTip(ready.why if ready is not None else "")

    def _accepted(self, ready: Readiness | None) -> str:
        """How much was accepted, and what is missing before there is something to learn."""
        if ready is not None and ready.n_new and not ready.can_train:
            return ready.why
        words = {0: "No slice accepted yet", 1: "1 slice accepted"}
        return words.get(self._n_accepted, f"{self._n_accepted} slices accepted")

    def _train(self) -> None:
        self.train_button.setEnabled(False)
        self.train_button.setText("Starting…")
        self.train_requested.emit()

    def _cancel(self) -> None:
        self.steer_requested.emit("cancel", self._number)

    def _use(self) -> None:
        self.use_requested.emit(self._number)

    def _pause(self) -> None:
        self.steer_requested.emit("resume" if self._paused else "pause", self._number)

    def _dismiss(self) -> None:
        self._dismissed = self._number
        self.show_learning(self._learning)


def offer_of(ready: Readiness) -> str:
    """What the chip says when there is something to learn."""
    corrections = "1 new correction" if ready.n_new == 1 else f"{ready.n_new} new corrections"
    return f"{corrections}: train now ({minutes(ready.minutes)})"


def minutes(n: float) -> str:
    """A time to wait, in words."""
    return "less than 1 min" if n < 0.75 else f"{round(n)} min"


def is_usable(record: RoundRecord | None) -> bool:
    """Whether a version came of a round that may be used."""
    return record is not None and bool(
        record.version and record.verdict and record.verdict.outcome in _USABLE
    )


def is_bad(record: RoundRecord) -> bool:
    """Whether a round came to nothing, or to something worse."""
    worse = record.verdict is not None and record.verdict.outcome == "worse"
    return worse or record.state in ("failed", "lost")


def sentence_of(record: RoundRecord) -> str:
    """What came of a round."""
    if record.verdict is not None:
        return record.verdict.sentence
    return record.error or f"Round {record.number} was {record.state}."


def _is_news(record: RoundRecord) -> bool:
    """Whether a round that ended while nobody looked waits for a decision."""
    return record.state in ("running", "paused") or (is_usable(record) and not record.in_use)
