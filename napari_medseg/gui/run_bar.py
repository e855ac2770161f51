"""The buttons that make a mask, and in their place how far a run has come."""

from __future__ import annotations

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QStackedLayout, QWidget

from napari_medseg.gui.keys import KEYS, with_key
from napari_medseg.gui.style import mark

_WORTH_SAYING = 200  # milliseconds after which progress is shown


class RunBar(QWidget):
    """Get a mask, fill between slices, or cancel what runs."""

    run_requested = Signal()
    fill_requested = Signal()
    cancel_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.run_button = self._button("Get mask", "run", "Ask the method for the slices chosen above")
        self.run_button.clicked.connect(self.run_requested)
        mark(self.run_button, main=True)
        self.fill_button = self._button(
            "Fill", "fill", "Fill the slices between those outlined, by their shapes alone"
        )
        self.fill_button.clicked.connect(self.fill_requested)
        self.bar = QProgressBar(self)
        self.bar.setAccessibleName("Progress")
        self.cancel_button = self._button("Cancel", "cancel", "Stop; what was found so far is kept")
        self.cancel_button.clicked.connect(self.cancel_requested)
        self._pages = QStackedLayout(self)
        for wide, narrow in ((self.run_button, self.fill_button), (self.bar, self.cancel_button)):
            page = QWidget(self)
            line = QHBoxLayout(page)
            line.setContentsMargins(0, 0, 0, 0)
            line.setSpacing(4)
            line.addWidget(wide, 1)
            line.addWidget(narrow)
            self._pages.addWidget(page)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_WORTH_SAYING)
        self._soon.timeout.connect(lambda: self._pages.setCurrentIndex(1))

    def _button(self, text: str, key: str, tip: str) -> QPushButton:
        button = QPushButton(f"{text}  {KEYS[key]}", self)
        button.setToolTip(with_key(tip, key))
        button.setAccessibleName(text)
        return button

    def show_fillable(self, fillable: bool) -> None:
        """Offer to fill between slices where the structure is outlined on some."""
        self.fill_button.setEnabled(fillable)

    def show_progress(self, done: float, message: str) -> None:
        """Show how far a run has come; one that is over at once is not worth a flicker."""
        if self._pages.currentIndex() == 0 and not self._soon.isActive():
            self._soon.start()
        self.bar.setRange(0, 0 if done <= 0 else 100)
        self.bar.setValue(round(done * 100))
        self.bar.setFormat(f"{message}  %p%" if done > 0 else message)
        self.bar.setToolTip(message)

    def show_idle(self) -> None:
        """Show that nothing runs."""
        self._soon.stop()
        focused = self.cancel_button.hasFocus()
        self._pages.setCurrentIndex(0)
        if focused:
            self.run_button.setFocus()
