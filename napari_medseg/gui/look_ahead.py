"""While a person looks, the inference thread prepares this slice and its neighbours."""

from __future__ import annotations

from qtpy.QtCore import QObject, QTimer

from napari_medseg import workflow
from napari_medseg.core.geometry import Plane
from napari_medseg.gui.asking import Question
from napari_medseg.gui.enquiry import Enquiry
from napari_medseg.gui.jobs import Ticket

REACH = 8  # slices to either side
_REST = 200  # milliseconds on a slice before its neighbours are worth the electricity


class LookAhead(QObject):
    """Prepares one slice at a time, so that a question waits for one slice at most.

    It works only with a network that was loaded before, and says nothing: what fails here is told when a
    person asks. Where one slice takes long, as with a large network without a graphics card, only the slice
    on screen is prepared: a click elsewhere would have to wait until a neighbour is done.

    Attributes
    ----------
    enabled : bool
        Whether it may.
    """

    def __init__(self, enquiry: Enquiry, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.enabled = True
        self._enquiry, self._bench = enquiry, enquiry.bench
        self._seen: tuple[Plane, int] = ("axial", 0)
        self._forwards = True
        self._left: list[int] = []
        self._ticket: Ticket | None = None
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.timeout.connect(self._begin)
        self._bench.placed.connect(self._on_place)
        enquiry.asked.connect(self.stop)
        enquiry.ended.connect(self.later)

    def set_enabled(self, enabled: bool) -> None:
        """Allow it or not."""
        self.enabled = enabled
        self.later()

    def stop(self) -> None:
        """Prepare nothing after the slice that is being prepared."""
        self._rest.stop()
        self._left.clear()
        if self._ticket is not None:
            self._ticket.cancel()
            self._ticket = None

    def close(self) -> None:
        """Prepare nothing any more."""
        self.enabled = False
        self.stop()

    def later(self) -> None:
        """Begin anew when the person has rested on a slice."""
        self.stop()
        if self.enabled:
            self._rest.start(_REST)

    def _on_place(self) -> None:
        plane, index = self._bench.plane, self._bench.index
        if plane == self._seen[0] and index != self._seen[1]:
            self._forwards = index > self._seen[1]
        self._seen = plane, index
        self.later()

    def _begin(self) -> None:
        work = self._bench.work
        if work is not None:
            n = work.volume.n_slices(self._bench.plane)
            self._left = [i for i in nearest(self._bench.index, self._forwards) if 0 <= i < n]
            self._next()

    def _next(self) -> None:
        """Have the nearest slice left prepared, then the next."""
        work, choice = self._bench.work, self._enquiry.choice
        self._ticket = None
        if not self._left or work is None or self._enquiry.busy or not workflow.menu()[choice.method].network:
            return
        index, asker = self._left.pop(0), self._enquiry.asker
        question = Question(work, choice, self._bench.plane, (index,))
        if asker.is_ready(question) and (index == self._bench.index or not asker.is_slow(question)):
            session = self._bench.memory.session
            self._ticket = self._enquiry.worker.start(
                lambda: asker.prepare(question, session),
                done=lambda _nothing: self._next(),
                failed=lambda _said: self.stop(),
            )


def nearest(here: int, forwards: bool, reach: int = REACH) -> list[int]:
    """A slice and its neighbours, the nearest first, of two as near the one a person is heading for."""
    step = 1 if forwards else -1
    return [here, *(here + side * distance for distance in range(1, reach + 1) for side in (step, -step))]
