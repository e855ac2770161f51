"""Which series of a DICOM folder to open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QLabel,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

if TYPE_CHECKING:
    from napari_medseg.imaging.dicom import Series

_COLUMNS = ("Description", "Modality", "Slices", "Size", "Spacing (mm)", "Date", "Note")


class SeriesDialog(QDialog):
    """A table of series; Enter or a double click opens one."""

    def __init__(self, series: Sequence[Series], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Choose a series")
        self._series = tuple(series)
        self.table = QTreeWidget(self)
        self.table.setHeaderLabels(_COLUMNS)
        self.table.setRootIsDecorated(False)
        self.table.setAccessibleName("Series")
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        for one in self._series:
            self.table.addTopLevelItem(QTreeWidgetItem(_words(one)))
        for column in range(len(_COLUMNS)):
            self.table.resizeColumnToContents(column)
        self.table.setCurrentIndex(self.table.model().index(0, 0))
        self.table.itemActivated.connect(self.accept)
        buttons = QDialogButtonBox(self)
        buttons.addButton("Open", QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.addButton(QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        lines = QVBoxLayout(self)
        lines.addWidget(QLabel(f"This folder holds {len(self._series)} series. Which one?", self))
        lines.addWidget(self.table)
        lines.addWidget(buttons)
        self.resize(780, 320)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

    @property
    def chosen(self) -> Any:
        """The series chosen."""
        return self._series[self.table.currentIndex().row()]


def _words(one: Series) -> list[str]:
    """A series as a line of the table."""
    rows, columns = one.size
    spacing = " x ".join(f"{value:.3g}" for value in one.spacing) if one.spacing else "unknown"
    description = " · ".join(word for word in (one.description or "unnamed", one.stack) if word)
    return [description, one.modality, str(one.n_slices), f"{rows} x {columns}", spacing, one.date, one.note]
