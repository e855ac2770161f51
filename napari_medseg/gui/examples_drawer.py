"""The drawer of examples: what teaches, as small pictures, and where more of it comes from."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QIcon, QImage, QKeyEvent, QPixmap
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_medseg.gui.example_pictures import SIDE
from napari_medseg.gui.style import mark

TALL = 292  # pixels the drawer takes when open
_IMAGES = "Images (*.nii *.nii.gz *.nrrd *.mha *.mhd *.png *.jpg *.jpeg *.tif *.tiff);;All files (*)"
_MASKS = "Label maps (*.png *.nii.gz *.nii *.nrrd *.mha *.tif *.tiff)"


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
        self.setIconSize(QSize(SIDE - 4, SIDE - 4))
        self.setGridSize(QSize(SIDE, SIDE))
        self.setUniformItemSizes(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumHeight(SIDE + 4)
        self.setAccessibleName("Examples")
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


class ExamplesDrawer(QWidget):
    """What the methods under From examples go by."""

    slice_requested = Signal()
    pair_requested = Signal(object, object)  # Path of an image, Path of its mask
    folder_requested = Signal(object)  # Path
    session_requested = Signal()
    joins_changed = Signal(bool)
    careful_changed = Signal(bool)
    remove_requested = Signal(object)  # list of keys
    clear_requested = Signal()
    go_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.about = QLabel(self)
        self.about.setWordWrap(True)
        self.about.setAccessibleName("Examples in hand")
        self.go = self._button("Go", "Show that slice", self.go_requested.emit)
        self.remove = self._button("Remove", "Take the chosen examples away  [Del]", self._remove)
        self.clear = self._button("Clear", "Take all examples away", self.clear_requested.emit)
        self.add = self._button(
            "Add this slice",
            "The slice on screen teaches as it is outlined now, accepted or not",
            self.slice_requested.emit,
        )
        self.pair = self._button("Pair of files…", "An image and its mask", self._choose_pair)
        self.folder = self._button(
            "Folder…", "A folder with images/ and masks/, or a data set", self._choose_folder
        )
        self.elsewhere = self._button(
            "Other cases", "The accepted slices of other cases", self.session_requested.emit
        )
        self.joins = self._box(
            "Accepted slices join",
            "Each slice you accept in this case becomes an example",
            self.joins_changed,
        )
        self.joins.setChecked(True)
        self.careful = self._box(
            "Careful",
            "Average several readings: slower, better, and it shows its doubt",
            self.careful_changed,
        )
        self.cards = Cards(self)
        self.cards.remove_requested.connect(self._remove)
        self.cards.itemSelectionChanged.connect(self._on_choice)
        self.note = mark(QLabel(self), quiet=True)
        self.note.setWordWrap(True)
        self._lay_out()
        self.show_elsewhere(0)
        self.show_careful(False, False)
        self.show_examples((), "", "")

    def _button(self, text: str, tip: str, act: Callable[[], object]) -> QPushButton:
        button = QPushButton(text, self)
        button.setToolTip(tip)
        button.setAccessibleName(text.rstrip("…"))
        button.clicked.connect(lambda _checked: act())
        return button

    def _box(self, text: str, tip: str, changed: Any) -> QCheckBox:
        box = QCheckBox(text, self)
        box.setToolTip(tip)
        box.toggled.connect(changed)
        return box

    def _lay_out(self) -> None:
        top, bottom, sources = QHBoxLayout(), QHBoxLayout(), QGridLayout()
        top.addWidget(self.about, 1)
        for button in (self.go, self.remove, self.clear):
            top.addWidget(button, 0, Qt.AlignmentFlag.AlignTop)
        for position, button in enumerate((self.add, self.pair, self.folder, self.elsewhere)):
            sources.addWidget(button, position // 2, position % 2)
        bottom.addWidget(self.joins)
        bottom.addWidget(self.careful)
        bottom.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(2, 2, 2, 2)
        for layout in (top, sources, bottom):
            layout.setSpacing(4)
        column.setSpacing(4)
        column.addLayout(top)
        column.addWidget(self.cards, 1)
        column.addWidget(self.note)
        column.addLayout(sources)
        column.addLayout(bottom)

    def show_examples(self, cards: Sequence[Card], about: str, note: str) -> None:
        """Show the examples, how many there are of what, and where they differ from the image."""
        self.cards.show_cards(cards)
        self.about.setText(about)
        self.note.setText(note)
        self.note.setVisible(bool(note))
        self.clear.setVisible(bool(cards))
        self.remove.setVisible(bool(cards))
        self._on_choice()

    def show_way(self, shown: bool) -> None:
        """Offer to go to the slice that is best annotated first."""
        self.go.setVisible(shown)

    def show_elsewhere(self, n: int) -> None:
        """Offer the accepted slices of other cases, where there are any."""
        self.elsewhere.setText(f"Other cases ({n})")
        self.elsewhere.setAccessibleName(f"Accepted in other cases: {n} slices")
        self.elsewhere.setVisible(n > 0)

    def show_careful(self, shown: bool, careful: bool) -> None:
        """Offer several readings where the method can average them."""
        self.careful.setVisible(shown)
        self.careful.blockSignals(True)
        self.careful.setChecked(careful)
        self.careful.blockSignals(False)

    def _on_choice(self) -> None:
        self.remove.setEnabled(bool(self.cards.selectedItems()))

    def _remove(self) -> None:
        if self.cards.selectedItems():
            self.remove_requested.emit(self.cards.chosen())

    def _choose_pair(self) -> None:
        image, _ = QFileDialog.getOpenFileName(self, "Choose an annotated image", "", _IMAGES)
        if image:
            near = str(Path(image).parent)
            mask, _ = QFileDialog.getOpenFileName(
                self, f"Choose the mask of {Path(image).name}", near, _MASKS
            )
            if mask:
                self.pair_requested.emit(Path(image), Path(mask))

    def _choose_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Choose a folder with images/ and masks/")
        if path:
            self.folder_requested.emit(Path(path))
