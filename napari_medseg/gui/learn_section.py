"""The place of the Learn chip: what was accepted in this session, which is what a model can learn from."""

from __future__ import annotations

from qtpy.QtWidgets import QHBoxLayout, QLabel, QWidget

from napari_medseg.gui.style import mark


class LearnSection(QWidget):
    """How much was accepted."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = mark(QLabel(self), quiet=True)
        self.saved = mark(QLabel(self), quiet=True)
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self.text, 1)
        line.addWidget(self.saved)

    def show_accepted(self, n_slices: int) -> None:
        """Show how many slices a person has accepted in this case."""
        words = {0: "No slice accepted yet", 1: "1 slice accepted"}
        self.text.setText(words.get(n_slices, f"{n_slices} slices accepted"))

    def show_saved(self, state: str) -> None:
        """Show whether all that was accepted is on the disk."""
        self.saved.setText(state)
