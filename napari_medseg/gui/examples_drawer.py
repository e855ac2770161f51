"""The drawer of examples: what teaches, as small pictures, and where more of it comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_medseg.gui.example_cards import Card, Cards
from napari_medseg.gui.style import mark

TALL = 300  # pixels the drawer takes when open, where there is room
_IMAGES = "Images (*.nii *.nii.gz *.nrrd *.mha *.mhd *.png *.jpg *.jpeg *.tif *.tiff);;All files (*)"
_MASKS = "Label maps (*.png *.nii.gz *.nii *.nrrd *.mha *.tif *.tiff)"


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
        self.about, self.note = QLabel(self), mark(QLabel(self), quiet=True)
        for label in (self.about, self.note):
            label.setWordWrap(True)
        self.about.setAccessibleName("Examples in hand")
        self.go = self._button("Go", "Show that slice", self.go_requested.emit)
        self.remove = self._button("Remove", "Take the chosen examples away  [Del]", self._remove)
        self.clear = self._button("Clear", "Take all examples away", self.clear_requested.emit)
        now = "The slice on screen teaches as it is outlined now, accepted or not"
        self.add = self._button("Add this slice", now, self.slice_requested.emit)
        self.pair = self._button("Pair of files…", "An image and its mask", self._choose_pair)
        where = "A folder with images/ and masks/, or a data set"
        self.folder = self._button("Folder…", where, self._choose_folder)
        others = "The accepted slices of the session's other cases"
        self.elsewhere = self._button("Other cases", others, self.session_requested.emit)
        each = "Each slice you accept in this case becomes an example"
        self.joins = self._box("Accepted slices join", each, self.joins_changed)
        self.joins.setChecked(True)
        several = "Average several readings: slower; where they differ it is in doubt"
        self.careful = self._box("Careful", several, self.careful_changed)
        self.cards = Cards(self)
        self.cards.remove_requested.connect(self._remove)
        self.cards.itemSelectionChanged.connect(self._on_choice)
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
        top, here, sources = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        top.addWidget(self.about, 1)
        for button in (self.go, self.remove, self.clear):
            top.addWidget(button, 0, Qt.AlignmentFlag.AlignTop)
        for button in (self.pair, self.folder, self.elsewhere):
            sources.addWidget(button, 1)
        here.addWidget(self.add)
        here.addWidget(self.joins)
        here.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(2, 2, 2, 2)
        for layout in (top, sources, here):
            layout.setSpacing(4)
        column.setSpacing(4)
        column.addLayout(top)
        column.addWidget(self.cards)
        column.addWidget(self.note)
        column.addLayout(here)
        column.addLayout(sources)
        column.addWidget(self.careful)
        column.addStretch(1)

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
