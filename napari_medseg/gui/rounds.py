"""Rounds of training as the panel sees them: begun, steered and watched without the window's thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_medseg import workflow
from napari_medseg.core.progress import Job, Progress
from napari_medseg.gui.jobs import Worker
from napari_medseg.gui.memory import Memory

if TYPE_CHECKING:
    from napari_medseg.session.store import Session

_PACE = 1000  # milliseconds between two looks at a round that runs
RECIPE = "hsp_sam"


@dataclass(frozen=True)
class Learning:
    """What the Learn chip shows: whether a round can begin, and all rounds so far, the oldest first."""

    readiness: workflow.Readiness
    rounds: tuple[workflow.RoundRecord, ...] = ()

    @property
    def last(self) -> workflow.RoundRecord | None:
        """The latest round."""
        return self.rounds[-1] if self.rounds else None

    @property
    def runs(self) -> bool:
        """Whether one is running or paused."""
        return self.last is not None and self.last.state in ("running", "paused")


class Rounds(QObject):
    """Looks after the rounds of the session in hand; they live in processes of their own and outlive it."""

    found = Signal(object)  # Learning, or None without a session
    changed = Signal(str)  # another version is in use: what to say about it
    failed = Signal(str)

    def __init__(self, memory: Memory, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.worker = Worker("medseg rounds", self)
        self._memory = memory
        self._looking = False
        self._pace = QTimer(self)
        self._pace.setInterval(_PACE)
        self._pace.timeout.connect(self.look)
        memory.session_opened.connect(self.look)
        memory.kept.connect(lambda state: self.look() if state == "saved" else None)

    def look(self) -> None:
        """See what there is to learn and how far a round is, as soon as the disk says so."""
        session = self._memory.session
        if session is None:
            self._pace.stop()
            self.found.emit(None)
        elif not self._looking:
            self._looking = True
            self.worker.start(
                lambda: _look(session), self._found, failed=lambda _said: self._pace.stop(), last=self._looked
            )

    def start(self) -> None:
        """Begin a round."""
        self._do(lambda session: workflow.start_training(session, RECIPE))

    def steer(self, wish: str, number: int) -> None:
        """Pause a round, let it go on or cancel it."""
        acts = {"pause": workflow.pause_round, "resume": workflow.resume_round}
        self._do(lambda session: acts.get(wish, workflow.cancel_round)(session, number))

    def use(self, number: int) -> None:
        """Use the version that came of a round."""

        def done(_nothing: object) -> None:
            self.changed.emit(f"Round {number} is in use")

        self._do(lambda session: workflow.use_round(session, number), done)

    def back(self) -> None:
        """Use the version before again."""

        def done(name: str) -> None:
            self.changed.emit(f"{name} is in use again" if name else "The installed model is in use again")

        self._do(lambda session: workflow.back(session, RECIPE), done)

    def close(self) -> None:
        """Watch no more; a round that runs goes on."""
        self._pace.stop()
        self.worker.stop()

    def _do(self, act: Callable[[Session], Any], done: Callable[[Any], None] = lambda _value: None) -> None:
        """Do something with the session where it may take its time, and look again."""
        session = self._memory.session
        if session is not None:
            self.worker.start(lambda: _done(act, session), done, failed=self.failed.emit, last=self.look)

    def _found(self, learning: Learning) -> None:
        if learning.runs:
            self._pace.start()
        else:
            self._pace.stop()
        self.found.emit(learning)

    def _looked(self) -> None:
        self._looking = False


def _look(session: Session) -> Job[Learning]:
    yield Progress(0.0, "Looking at the rounds")
    rounds = workflow.rounds(session)
    return Learning(workflow.readiness(session, RECIPE), rounds)


def _done(act: Callable[[Session], Any], session: Session) -> Job[Any]:
    yield Progress(0.0, "Working on a round")
    return act(session)
