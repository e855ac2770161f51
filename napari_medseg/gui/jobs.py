"""Slow work off the window's thread: one long-lived thread that runs jobs in the order they came."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal, Slot

from napari_medseg.core.errors import MedsegError
from napari_medseg.core.progress import Job, Progress

log = logging.getLogger(__name__)
_BUDGET = 0.008  # seconds a piece of window work may take before others get their turn
_PATIENCE = 10.0  # seconds a closing window waits for the step that is running
_SPACING = 0.03  # seconds between two progress messages; the window need not hear all


def _nothing(_value: Any) -> None:
    return None


@dataclass(eq=False)
class Ticket:
    """One job: what to do with what comes of it, and whether anybody still wants it."""

    job: Callable[[], Job[Any]]
    done: Callable[[Any], None]
    tell: Callable[[Progress], None]
    failed: Callable[[str], None]
    last: Callable[[], None]
    cancelled: bool = field(default=False)

    def cancel(self) -> None:
        """Ask for no further step; what the running one still brings is dropped."""
        self.cancelled = True


class Worker(QObject):
    """A thread that lives as long as the viewer and runs generator jobs one after the other.

    `done`, `tell` and `failed` are called on the window's thread, and never after a cancel; `last` is
    called there in any case.
    """

    _event = Signal(object)

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self._queue: SimpleQueue[Ticket | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._tickets: set[Ticket] = set()
        self._event.connect(self._call)

    def start(
        self,
        job: Callable[[], Job[Any]],
        done: Callable[[Any], None] = _nothing,
        tell: Callable[[Progress], None] = _nothing,
        failed: Callable[[str], None] = _nothing,
        last: Callable[[], None] = lambda: None,
    ) -> Ticket:
        """Queue a job; `job` itself is called in the thread, so it may be slow to begin."""
        ticket = Ticket(job, done, tell, failed, last)
        self._tickets.add(ticket)
        if self._thread is None:
            self._thread = Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._queue.put(ticket)
        return ticket

    @property
    def busy(self) -> bool:
        """Whether a job waits or runs."""
        return bool(self._tickets)

    def stop(self, finish: bool = False) -> None:
        """End the thread after the step that runs; with `finish` after all that is queued."""
        if self._thread is None:
            return
        if not finish:
            for ticket in self._tickets:
                ticket.cancel()
        self._queue.put(None)
        self._thread.join(_PATIENCE if not finish else None)
        self._thread = None

    def _run(self) -> None:
        while (ticket := self._queue.get()) is not None:
            if not ticket.cancelled:
                self._work(ticket)
            self._send(partial(self._end, ticket))

    def _work(self, ticket: Ticket) -> None:
        """Run one job to its end, its failure or its cancel."""
        spoken = 0.0
        try:
            job = ticket.job()
            while not ticket.cancelled:
                step = next(job)
                if step.partial is not None or time.monotonic() - spoken > _SPACING:
                    spoken = time.monotonic()
                    self._send(partial(self._tell, ticket, step))
            job.close()
        except StopIteration as stop:
            value = stop.value
            self._send(lambda: None if ticket.cancelled else ticket.done(value))
        except Exception as error:  # noqa: BLE001  the door: nothing that fails may take the window along
            said = sentence(error)
            self._send(lambda: None if ticket.cancelled else ticket.failed(said))

    @Slot(object)
    def _call(self, call: Callable[[], None]) -> None:
        call()

    def _tell(self, ticket: Ticket, step: Progress) -> None:
        if not ticket.cancelled:
            ticket.tell(step)

    def _end(self, ticket: Ticket) -> None:
        self._tickets.discard(ticket)
        ticket.last()

    def _send(self, call: Callable[[], None]) -> None:
        """Have a call made on the window's thread."""
        self._event.emit(call)


def sentence(error: Exception) -> str:
    """One plain sentence with a way out for anything that went wrong."""
    if isinstance(error, MedsegError):
        return str(error)
    log.error("%s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return "There is not enough memory for this; ask for fewer slices, or close other programs first."
    return (
        f"This did not work ({type(error).__name__}); nothing you did is lost. "
        "Try again, or choose another method."
    )


class Steps(QObject):
    """Window work in small pieces, so that a thousand slices never freeze the window."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._steps: Iterator[None] | None = None
        self._done: Callable[[], None] = lambda: None
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._turn)

    @property
    def busy(self) -> bool:
        """Whether pieces are left."""
        return self._steps is not None

    def start(self, steps: Iterator[None], done: Callable[[], None]) -> None:
        """Do the pieces one by one, then `done`; those of an earlier call are done first."""
        self.finish()
        self._steps, self._done = steps, done
        self._timer.start()
        self._turn()

    def finish(self) -> None:
        """Do all pieces that are left at once."""
        while self.busy:
            self._turn()

    def _turn(self) -> None:
        """Do pieces until the time is up."""
        steps, end = self._steps, time.perf_counter() + _BUDGET
        going = False
        try:
            while steps is not None and (going := next(steps, self) is not self):
                if time.perf_counter() > end:
                    break
        finally:
            if not going:
                self._steps = None
                self._timer.stop()
        if steps is not None and not going:
            self._done()
