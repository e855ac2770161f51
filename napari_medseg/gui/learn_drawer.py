"""The drawer about learning: what each structure gained or lost, what was left out and why, all rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QListWidget,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_medseg.gui.learn_section import is_usable, sentence_of
from napari_medseg.gui.rounds import Learning
from napari_medseg.gui.style import mark

if TYPE_CHECKING:
    from napari_medseg.workflow import Change, RoundRecord

TALL = 300  # pixels
_LINE = 25  # pixels of a row
_COLUMNS = ("Structure", "Dice", "Change")
_TIPS = (
    "",
    "Mean overlap with your outlines on the held-back slices, before and after",
    "Where the difference lies with 95 % confidence",
)


class LearnDrawer(QWidget):
    """What rounds came to."""

    train_requested = Signal()
    use_requested = Signal(int)
    back_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._learning: Learning | None = None
        self._lines: list[tuple[str, str]] = []
        self._shown: RoundRecord | None = None
        self.said = QLabel(self)
        self.said.setWordWrap(True)
        self.why = mark(QLabel(self), quiet=True)
        self.why.setWordWrap(True)
        self.rounds = self._tree("Rounds", ("Round", "What came of it"))
        self.rounds.currentItemChanged.connect(lambda _now, _before: self._show_round())
        self.rows = self._tree("What each structure gained or lost", _COLUMNS)
        for column, tip in enumerate(_TIPS):
            self.rows.headerItem().setToolTip(column, tip)
        self.left_title = mark(QLabel("Not learnt from", self), quiet=True)
        self.left_out = QListWidget(self)
        self.left_out.setWordWrap(True)
        self.left_out.setAccessibleName("What was not learnt from, and why")
        self.left_out.setMinimumHeight(60)
        self.train_button = QPushButton("Train now", self)
        self.train_button.clicked.connect(self.train_requested)
        self.use_button = QPushButton("Use this one", self)
        self.use_button.clicked.connect(lambda: self.use_requested.emit(self._number))
        self.back_button = QPushButton("Back", self)
        self.back_button.setAccessibleName("Back to the version before")
        self.back_button.setToolTip("Outline with the version before again")
        self.back_button.clicked.connect(self.back_requested)
        self._lay_out()
        self.show_learning(None)

    def _tree(self, name: str, columns: tuple[str, ...]) -> QTreeWidget:
        tree = QTreeWidget(self)
        tree.setAccessibleName(name)
        tree.setHeaderLabels(columns)
        tree.setRootIsDecorated(False)
        tree.setUniformRowHeights(True)
        tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        tree.setMinimumHeight(76)
        header = tree.header()
        header.setStretchLastSection(False)
        wide = len(columns) - 1 if len(columns) == 2 else 0
        for column in range(len(columns)):
            stretch = QHeaderView.ResizeMode.Stretch
            header.setSectionResizeMode(
                column, stretch if column == wide else QHeaderView.ResizeMode.ResizeToContents
            )
        return tree

    def _lay_out(self) -> None:
        line = QHBoxLayout()
        for button in (self.train_button, self.use_button, self.back_button):
            line.addWidget(button, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(2, 2, 2, 2)
        column.setSpacing(3)
        column.addWidget(self.said)
        column.addWidget(self.rows)
        column.addLayout(line)
        for widget in (self.left_title, self.left_out, self.why, self.rounds):
            column.addWidget(widget)

    @property
    def _number(self) -> int:
        """The round that is looked at."""
        record = self._record
        return record.number if record is not None else 0

    @property
    def _row(self) -> int:
        """Its line in the list, -1 for none."""
        return self.rounds.currentIndex().row()

    @property
    def _record(self) -> RoundRecord | None:
        rounds = self._learning.rounds if self._learning is not None else ()
        row = self._row
        return rounds[len(rounds) - 1 - row] if 0 <= row < len(rounds) else None  # the newest is on top

    def show_learning(self, learning: Learning | None) -> None:
        """Show all rounds; the one that is looked at stays so, a new one is looked at."""
        self._learning = learning
        rounds = learning.rounds if learning is not None else ()
        self.why.setText(learning.readiness.why if learning is not None else "Open an image first.")
        self.train_button.setEnabled(learning is not None and learning.readiness.can_train)
        self.back_button.setEnabled(any(record.in_use for record in rounds))
        lines = [(str(record.number), _brief(record)) for record in reversed(rounds)]
        if lines != self._lines:
            self._list(lines)
        self._show_round()

    def _list(self, lines: list[tuple[str, str]]) -> None:
        row = self._row if len(lines) == len(self._lines) else 0
        self._lines = lines
        self.rounds.blockSignals(True)
        self.rounds.clear()
        self.rounds.addTopLevelItems([QTreeWidgetItem(line) for line in lines])
        self.rounds.setCurrentIndex(self.rounds.model().index(row, 0))
        self.rounds.blockSignals(False)

    def _show_round(self) -> None:
        """Show the rows and reasons of the round that is looked at; those that stay are not touched."""
        record, before = self._record, self._shown
        self._shown = record
        self.use_button.setEnabled(is_usable(record) and not (record and record.in_use))
        self.rounds.setVisible(bool(self._lines))
        if record is not None and before is not None and _content(record) == _content(before):
            return
        self.rows.clear()
        self.left_out.clear()
        verdict = record.verdict if record is not None else None
        for change in verdict.structures if verdict is not None else ():
            self.rows.addTopLevelItem(_row_of(change))
        reasons = record.left_out if record is not None else ()
        self.said.setText(sentence_of(record) if record is not None else "")
        self.said.setVisible(record is not None)
        self.left_out.addItems(reasons)
        self.left_out.setVisible(bool(reasons))
        self.left_title.setVisible(bool(reasons))
        self.rows.setVisible(bool(verdict and verdict.structures))
        self.rows.setMaximumHeight(_LINE * (2 + self.rows.topLevelItemCount()))


def _content(record: RoundRecord) -> tuple[object, ...]:
    """What is shown of a round beside its line."""
    return record.number, record.verdict, record.left_out, sentence_of(record)


def _row_of(change: Change) -> QTreeWidgetItem:
    """What one structure gained or lost."""
    before = "" if change.before is None else f"{change.before:.2f} → "
    known = change.low is not None and change.high is not None
    interval = f"{change.low:+.2f} to {change.high:+.2f}" if known else ""
    item = QTreeWidgetItem([change.name, f"{before}{change.after:.2f}", interval])
    counts = f"{change.n_better} better, {change.n_worse} worse of " if known else ""
    counts += f"{change.n_slices} held-back slices of {change.n_groups} patients"
    for column in range(len(_COLUMNS)):
        item.setToolTip(column, f"{change.name}: {change.outcome}; {counts}")
    return item


def _brief(record: RoundRecord) -> str:
    """A round in a few words."""
    outcome = record.verdict.outcome if record.verdict is not None else record.state
    return f"{outcome}, in use" if record.in_use else outcome
