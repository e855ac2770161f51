"""Examples as small pictures side by side."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QIcon, QImage, QKeyEvent, QPixmap
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QWidget

from napari_medseg.gui.example_pictures import SIDE

_IN_A_ROW = 4  # in a panel of ordinary width


@dataclass(frozen=True)
class Card:
    """One example to look at: what tells it apart, what to call it, how many slices, its picture."""

    key: Hashable
    title: str
    n_slices: int = 1
    picture: QImage | None = None


class Cards(QListWidget):
    """The pictures side by side; Delete takes the chosen ones away."""

    remove_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setViewMode(QListWidget.ViewMode.IconMode)
        self.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.setMovement(QListWidget.Movement.Static)
        self.setSelectionMode(QListWidget.SelectionMode.ExtendedSelection)
        self.setIconSize(QSize(SIDE - 6, SIDE - 6))
        self.setGridSize(QSize(SIDE, SIDE))
        self.setUniformItemSizes(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("Examples")
        self._fit()
        self._keys: list[Hashable] = []  # of each row; Qt would turn tuples into lists
        self._blank = QPixmap(2 * SIDE, 2 * SIDE)
        self._blank.fill(Qt.GlobalColor.black)

    def show_cards(self, cards: Sequence[Card]) -> None:
        """Show these; those that are there already stay as they are."""
        keys = [card.key for card in cards]
        if keys == self._keys:
            return
        known = {key: self.item(row) for row, key in enumerate(self._keys)}
        self._keys = keys
        while self.count():
            self.takeItem(0)
        for card in cards:
            self.addItem(known.get(card.key) or self._item(card))
        self._fit()

    def _fit(self) -> None:
        """Take one row's room or two; more are scrolled to."""
        self.setVisible(self.count() > 0)
        self.setFixedHeight(SIDE * (1 if self.count() <= _IN_A_ROW else 2) + 4)

    def _item(self, card: Card) -> QListWidgetItem:
        item = QListWidgetItem(QIcon(self._blank) if card.picture is None else _icon(card.picture), "")
        several = "" if card.n_slices == 1 else f", {card.n_slices} slices"
        item.setToolTip(card.title + several)
        item.setData(Qt.ItemDataRole.AccessibleTextRole, card.title + several)
        return item

    def show_picture(self, key: Hashable, picture: QImage) -> None:
        """Draw one."""
        if key in self._keys:
            self.item(self._keys.index(key)).setIcon(_icon(picture))

    def chosen(self) -> list[Hashable]:
        """What is chosen."""
        return [self._keys[self.row(item)] for item in self.selectedItems()]

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  Qt's name
        """Delete and Backspace take away."""
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.remove_requested.emit()
        else:
            super().keyPressEvent(event)


def _icon(picture: QImage) -> QIcon:
    """A picture that is as clear when it is chosen."""
    icon = QIcon(QPixmap.fromImage(picture))
    icon.addPixmap(QPixmap.fromImage(picture), QIcon.Mode.Selected)
    return icon
