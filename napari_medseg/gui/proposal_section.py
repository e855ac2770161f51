"""The proposal bar: accept, discard, go on; how sure the model is, and what else it could be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QMenu, QPushButton, QToolButton, QVBoxLayout, QWidget

from napari_medseg.gui.keys import KEYS, with_key
from napari_medseg.gui.strip import Strip
from napari_medseg.gui.style import STATES, mark
from napari_medseg.gui.work import SliceState

_MOST = 4  # alternatives that fit a line
_BLIND = "This slice is asked for without a proposal, so that the model can be judged fairly: outline it."


@dataclass(frozen=True)
class Shown:
    """What the bar shows of the slice on screen."""

    states: tuple[SliceState, ...] = ()
    here: int = 0
    quality: float | None = None
    interval: tuple[float, float] | None = None
    alternatives: tuple[float, ...] = ()
    alternative: int = 0
    n_waiting: int = 0
    undo: str = ""
    blind: bool = False
    has_doubt: bool = False
    has_weak: bool = False


class ProposalSection(QWidget):
    """What to do with what is proposed."""

    accept_requested = Signal()
    accept_all_requested = Signal()
    discard_requested = Signal()
    discard_all_requested = Signal()
    next_requested = Signal()
    weakest_requested = Signal()
    doubt_requested = Signal(bool)
    reveal_requested = Signal()
    undo_requested = Signal()
    alternative_requested = Signal(int)
    slice_requested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._make_acts()
        self.all_button = self._make_all_button()
        self.doubt_button = self._make_doubt_button()
        self.about = QLabel(self)
        self.sure = QLabel(self)
        self.sure.setToolTip(
            "The overlap with the true outline that the model itself expects, 0 to 1; in brackets where "
            "eight in ten of such outlines lie"
        )
        self.strip = Strip(self)
        self.strip.slice_requested.connect(self.slice_requested)
        self.legend = mark(QLabel(self), quiet=True)
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.others = [self._other(n) for n in range(_MOST)]
        self._lay_out()
        self.show_proposal(Shown())

    def _make_acts(self) -> None:
        """The buttons for the slice on screen."""
        self.accept_button = self._button(
            "Accept", "accept", "Make this slice part of the mask", self.accept_requested
        )
        self.discard_button = self._button(
            "Discard", "discard", "Drop what is proposed here", self.discard_requested
        )
        self.next_button = self._button(
            "Next", "next", "Go to the next slice worth a look: doubtful ones first", self.next_requested
        )
        self.weakest_button = self._button(
            "Weakest",
            "weakest",
            "Go to the slice most worth correcting; again: the next",
            self.weakest_requested,
        )
        self.undo_button = self._button("Undo", "undo", "Take the last act back", self.undo_requested)
        mark(self.accept_button, main=True)
        self.blind = mark(QLabel(_BLIND, self), note=True)
        self.blind.setWordWrap(True)
        self.reveal_button = QPushButton("Show it anyway", self)
        self.reveal_button.setToolTip(
            "Show what the model proposes here; the slice judges it less fairly then"
        )
        self.reveal_button.clicked.connect(self.reveal_requested)

    def _button(self, text: str, key: str, tip: str, wish: object) -> QPushButton:
        button = QPushButton(f"{text}  {KEYS[key]}", self)
        button.setToolTip(with_key(tip, key))
        button.setAccessibleName(text)
        button.clicked.connect(wish)
        return button

    def _make_all_button(self) -> QToolButton:
        """The menu for everything proposed at once."""
        button = QToolButton(self)
        button.setText("All \u25be")
        button.setToolTip("Accept or discard everything proposed on this plane")
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(button)
        menu.addAction(f"&Accept all proposed slices\t{KEYS['accept all']}", self.accept_all_requested.emit)
        menu.addAction(
            f"&Discard all proposed slices\t{KEYS['discard all']}", self.discard_all_requested.emit
        )
        button.setMenu(menu)
        return button

    def _make_doubt_button(self) -> QToolButton:
        """The switch for the picture of the method's doubt."""
        button = QToolButton(self)
        button.setText("Doubt")
        button.setAccessibleName("Show the doubt")
        button.setToolTip(
            with_key("Show where the method itself is unsure, as colours on the image", "doubt")
        )
        button.setCheckable(True)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.clicked.connect(self.doubt_requested)
        return button

    def _other(self, number: int) -> QToolButton:
        button = QToolButton(self)
        button.setCheckable(True)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.setToolTip(with_key("Another reading of the same prompts; next one", "alternative"))
        button.clicked.connect(lambda: self.alternative_requested.emit(number))
        return button

    def _lay_out(self) -> None:
        first, second, third, fourth = (QHBoxLayout() for _ in range(4))
        first.addWidget(self.accept_button, 3)
        first.addWidget(self.discard_button, 3)
        first.addWidget(self.all_button)
        second.addWidget(self.next_button, 2)
        second.addWidget(self.weakest_button, 3)
        second.addWidget(self.undo_button, 2)
        third.addWidget(self.about, 1)
        for button in self.others:
            third.addWidget(button)
        fourth.addWidget(self.sure, 1)
        fourth.addWidget(self.doubt_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        for line in (first, second, third, fourth):
            line.setSpacing(4)
            column.addLayout(line)
        column.addWidget(self.blind)
        column.addWidget(self.reveal_button)
        column.addWidget(self.strip)
        column.addWidget(self.legend)

    def show_proposal(self, shown: Shown) -> None:
        """Show the slice on screen, its neighbours, and what can be done."""
        n, state = len(shown.states), shown.states[shown.here] if shown.states else "none"
        waits = state in ("proposed", "edited", "doubtful")
        self.accept_button.setEnabled(n > 0)
        self.discard_button.setEnabled(waits)
        self.all_button.setEnabled(shown.n_waiting > 0)
        self.next_button.setEnabled(n > 1)
        self.weakest_button.setEnabled(shown.has_weak)
        self.blind.setVisible(shown.blind)
        self.reveal_button.setVisible(shown.blind)
        self.doubt_button.setVisible(shown.has_doubt)
        self.undo_button.setEnabled(bool(shown.undo))
        self.undo_button.setToolTip(
            with_key(f"Take back: {shown.undo}" if shown.undo else "Nothing to undo", "undo")
        )
        crowded = len(shown.alternatives) > 1  # the readings need the room; the legend names the state too
        words = "" if state in ("none", "blind") or crowded else f" · {state}"
        self.about.setText(f"Slice {shown.here + 1} of {n}{words}" if n > 1 else words.strip(" ·"))
        self.strip.setVisible(n > 1)
        self.strip.show_states(shown.states, shown.here)
        self._show_legend(shown.states)
        self._show_quality(shown)

    def _show_quality(self, shown: Shown) -> None:
        """Show what Dice the model expects, of each reading where there are several."""
        qualities = shown.alternatives if len(shown.alternatives) > 1 else ()
        self.sure.setText(_expected(shown))
        self.sure.setVisible(shown.quality is not None or shown.has_doubt)  # it keeps the switch on the right
        for number, button in enumerate(self.others):
            button.setVisible(number < len(qualities))
            if number < len(qualities):
                button.setText(f"{qualities[number]:.2f}")
                button.setAccessibleName(f"Reading {number + 1}, expected Dice {qualities[number]:.2f}")
                button.setChecked(number == shown.alternative)

    def _show_legend(self, states: Sequence[SliceState]) -> None:
        counted = [(name, sum(state == name for state in states)) for name in STATES]
        parts = [_counted(name, n) for name, n in counted if n]
        self.legend.setText(" &nbsp;".join(parts) or "Nothing outlined yet")
        self.legend.setToolTip(
            "Accepted; edited by hand; proposed; doubtful: the model is unsure; blind: asked for without it"
        )


def _counted(state: str, n: int) -> str:
    """A coloured square with a number and a word."""
    return f'<span style="color:{STATES[state]}">&#9632;</span>&nbsp;{n}&nbsp;{state}'


def _expected(shown: Shown) -> str:
    """What Dice is expected, and where it may lie."""
    if shown.quality is None:
        return ""
    between = f" ({shown.interval[0]:.2f} to {shown.interval[1]:.2f})" if shown.interval else ""
    return f"Expected Dice {shown.quality:.2f}{between}"
