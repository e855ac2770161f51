"""What a run over many slices has found so far, laid on the bench while it goes on, as one act."""

from __future__ import annotations

from qtpy.QtCore import QObject, QTimer

from napari_medseg.gui import laying
from napari_medseg.gui.acts import Act
from napari_medseg.gui.asking import Answer, Question
from napari_medseg.gui.bench import Bench, Steps_
from napari_medseg.gui.work import Spot, Work

_PACE = 300  # milliseconds between two drawings


class Parts(QObject):
    """Draws a run as it comes, now and then, so that the window stays free.

    Attributes
    ----------
    act : Act or None
        What was laid so far; further parts join it, so that one key takes all back.
    """

    def __init__(self, bench: Bench, question: Question, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.act: Act | None = None
        self._bench, self._question = bench, question
        self._newest: Answer | None = None
        self._laid: set[Spot] = set()
        self._pace = QTimer(self)
        self._pace.setSingleShot(True)
        self._pace.timeout.connect(self._lay)

    def take(self, answer: Answer) -> None:
        """Take the answer so far; it is drawn soon."""
        self._newest = answer
        if not self._pace.isActive():
            self._pace.start(_PACE if self._laid else 0)

    def stop(self) -> None:
        """Draw nothing more."""
        self._pace.stop()
        self._newest = None

    def keep(self) -> str:
        """Lay what came last and draw nothing more; returns the sentence about it."""
        self._pace.stop()
        self._bench.steps.finish()
        self._lay()
        self._bench.steps.finish()
        n, n_all = len({index for _, _, index in self._laid}), len(self._question.slices)
        if not n:
            return "Stopped before anything was found."
        return f"Stopped after slice {n} of {n_all}; what was found is kept as a proposal."

    def _lay(self) -> None:
        answer, self._newest = self._newest, None
        if answer is None:
            return
        if self._bench.steps.busy:  # other acts first
            self.take(answer)
            return

        def pieces(work: Work) -> Steps_:
            work = laying.adopted(work, answer)
            yield work, ()
            for spot, step in laying.lay_found(work, answer, self._laid):
                self._laid.add(spot)
                yield step

        self._bench.do_in_pieces("proposal", pieces, onto=self.act, then=self._joined)

    def _joined(self) -> None:
        self.act = self._bench.history.last
