"""Which slice to annotate first: looked for when nothing else wants the inference thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_medseg.gui.asking import Question
from napari_medseg.gui.enquiry import Enquiry
from napari_medseg.gui.jobs import Ticket

_REST = 400  # milliseconds without a question


class FirstSlice(QObject):
    """Has the method look for the slice that is most like all others, and gives way to questions.

    Attributes
    ----------
    index : int or None
        That slice of the plane on screen, once it is found.
    """

    found = Signal()

    def __init__(self, enquiry: Enquiry, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.index: int | None = None
        self._enquiry = enquiry
        self._asked: Any = None  # what the index answers, or will answer
        self._wanted = False
        self._done = False
        self._ticket: Ticket | None = None
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.timeout.connect(self._begin)
        enquiry.asked.connect(self.stop)
        enquiry.ended.connect(self._again)

    def look(self, wanted: bool) -> None:
        """Look for it in the plane on screen, or stop looking; calling it again is cheap."""
        bench = self._enquiry.bench
        work = bench.work
        self._wanted = wanted and work is not None and work.volume.n_slices(bench.plane) > 1
        now = (work.volume, bench.plane, self._enquiry.choice.key) if self._wanted and work else None
        if now != self._asked:
            self.stop()
            self._asked, self.index, self._done = now, None, False
            self._again()

    def stop(self) -> None:
        """Give way."""
        self._rest.stop()
        if self._ticket is not None:
            self._ticket.cancel()
            self._ticket = None

    def sentence(self, position: Callable[[int], int]) -> str:
        """What to do first, in words, with the slice as the screen counts."""
        if self._enquiry.bench.work is None:
            return "Open an image first."
        if self.index is not None:
            return f"Annotate this slice first: slice {position(self.index) + 1}"
        if not self._wanted:
            return "Add annotated pictures first: a pair of files, a folder, or accepted ones of other cases."
        return "Annotate a slice first." + ("" if self._done else " Looking for the best one…")

    def _again(self) -> None:
        if self._wanted and not self._done and self._ticket is None:
            self._rest.start(_REST)

    def _begin(self) -> None:
        work = self._enquiry.bench.work
        if work is None or self._enquiry.busy or not self._wanted:
            return
        question = Question(work, self._enquiry.choice, self._enquiry.bench.plane, (0,))
        session = self._enquiry.bench.memory.session
        self._ticket = self._enquiry.worker.start(
            lambda: self._enquiry.asker.suggest(question, session),
            self._take,
            failed=lambda _said: self._take(None),  # told when a person asks
        )

    def _take(self, index: int | None) -> None:
        self._ticket, self._done, self.index = None, True, index
        self.found.emit()
