"""The case line: open an image, see which case and session it is, hand its mask over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_medseg.gui.style import mark

_IMAGES = "Images (*.nii *.nii.gz *.nrrd *.mha *.mhd *.dcm *.png *.jpg *.jpeg *.tif *.tiff);;All files (*)"
_MASKS = "Label maps (*.nii.gz *.nii *.nrrd *.mha *.png *.tif)"


class Elided(QLabel):
    """One line that ends in dots where it is too long; the whole stands in the tooltip."""

    def __init__(
        self, parent: QWidget | None = None, mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight
    ) -> None:
        super().__init__(parent)
        self._full, self._mode = "", mode
        self.setMinimumWidth(20)

    def say(self, text: str) -> None:
        """Show a text."""
        self._full = text
        self.setToolTip(text)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's name
        """Fit the text to the new width."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        self.setText(self.fontMetrics().elidedText(self._full, self._mode, self.width() - 4))


class CaseSection(QWidget):
    """Which image is worked on."""

    open_requested = Signal(object)  # Path of a file or folder
    session_requested = Signal(object)  # Path of a session's folder
    export_requested = Signal(object)  # Path to write to

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.open_button = QToolButton(self)
        self.open_button.setText("&Open \u25be")
        self.open_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.open_button.setToolTip(
            "Open an image, a DICOM folder or a session (or drop an image on the window)"
        )
        menu = QMenu(self.open_button)
        menu.addAction("Image &file…", self._choose_file)
        menu.addAction("DICOM &folder…", self._choose_folder)
        menu.addSeparator()
        menu.addAction("&Session folder…", self._choose_session)
        self.open_button.setMenu(menu)
        self.name = mark(Elided(self), title=True)
        self.export_button = QPushButton("E&xport…", self)
        self.export_button.setToolTip(
            "Write the accepted mask as NIfTI, NRRD, MHA, PNG or TIFF, placed as the image"
        )
        self.export_button.clicked.connect(self._choose_target)
        self.about = mark(Elided(self), quiet=True)
        self.session = mark(Elided(self, Qt.TextElideMode.ElideMiddle), quiet=True)
        self._lay_out()
        self.show_case("", "", "")

    def _lay_out(self) -> None:
        line = QHBoxLayout()
        line.addWidget(self.open_button)
        line.addWidget(self.name, 1)
        line.addWidget(self.export_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(line)
        column.addWidget(self.about)
        column.addWidget(self.session)

    def show_case(self, name: str, about: str, session: str) -> None:
        """Show a case; all empty when there is none."""
        self.name.say(name or "No image yet")
        self.about.say(about or "Open a file or a DICOM folder, or drop one on the window")
        self.session.say(f"Session {session}" if session else "")
        self.export_button.setEnabled(bool(name))

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open an image", "", _IMAGES)
        self._ask(self.open_requested, path)

    def _choose_folder(self) -> None:
        self._ask(self.open_requested, QFileDialog.getExistingDirectory(self, "Open a DICOM folder"))

    def _choose_session(self) -> None:
        title = "Choose a session's folder, or an empty one to begin a session"
        self._ask(self.session_requested, QFileDialog.getExistingDirectory(self, title))

    def _choose_target(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Write the mask", "mask.nii.gz", _MASKS)
        self._ask(self.export_requested, path)

    @staticmethod
    def _ask(signal: Any, path: str) -> None:
        if path:
            signal.emit(Path(path))
