"""Get a mask: by which method, with which model, on which slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QStandardItem, QStandardItemModel
from qtpy.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_medseg.gui.asking import Choice, Scope
from napari_medseg.gui.known_tasks import KnownTasks
from napari_medseg.gui.run_bar import RunBar
from napari_medseg.gui.style import mark

if TYPE_CHECKING:
    from napari_medseg.workflow import Entry

_WAYS = {"prompt": "Prompt", "automatic": "Automatic", "examples": "From examples"}
_AROUND = 5  # slices to either side that a range begins with
_SCOPES: tuple[Scope, ...] = ("slice", "range", "volume")


class GetMaskSection(QWidget):
    """How a mask is made."""

    run_requested = Signal()
    fill_requested = Signal()
    cancel_requested = Signal()
    choice_changed = Signal(object)  # Choice
    method_changed = Signal(str)
    task_requested = Signal(object)  # Task

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entries: Mapping[str, Entry] = {}
        self._settings: dict[str, Mapping[str, Any]] = {}
        self._models: dict[str, str] = {}  # chosen by a person, by method
        self.method = self._combo("How the mask is made")
        self.method.currentIndexChanged.connect(self._on_method)
        self.model = self._combo("Model")
        self.model.currentIndexChanged.connect(self._on_model)
        self.tasks = KnownTasks(self)
        self.tasks.task_chosen.connect(self.task_requested)
        self.scopes = {name: self._scope_button(name) for name in _SCOPES}
        self._group = QButtonGroup(self)
        for button in self.scopes.values():
            self._group.addButton(button)
        self._here = 0
        self.first, self.last = self._spin("First slice"), self._spin("Last slice")
        self.runs = RunBar(self)
        self.runs.run_requested.connect(self.run_requested)
        self.runs.fill_requested.connect(self.fill_requested)
        self.runs.cancel_requested.connect(self.cancel_requested)
        self._lay_out()
        self.scopes["slice"].setChecked(True)
        self._group.buttonToggled.connect(self._on_scope)

    def _combo(self, name: str) -> QComboBox:
        combo = QComboBox(self)
        combo.setAccessibleName(name)
        combo.setToolTip(name)
        combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        combo.setMinimumContentsLength(8)
        return combo

    def _scope_button(self, name: str) -> QToolButton:
        button = QToolButton(self)
        button.setText(name.capitalize())
        button.setCheckable(True)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.setToolTip(
            {"slice": "The slice on screen", "range": "From one slice to another"}.get(name, "All slices")
        )
        button.setSizePolicy(button.sizePolicy().Policy.Expanding, button.sizePolicy().Policy.Fixed)
        return button

    def _spin(self, name: str) -> QSpinBox:
        spin = QSpinBox(self)
        spin.setAccessibleName(name)
        spin.setToolTip(name)
        spin.setRange(1, 1)
        spin.setMinimumWidth(50)
        return spin

    def _lay_out(self) -> None:
        top, scope = QHBoxLayout(), QHBoxLayout()
        top.addWidget(self.method, 1)
        top.addWidget(self.model, 1)
        for button in self.scopes.values():
            scope.addWidget(button, 1)
        self._extent = self._make_extent()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        top.setSpacing(4)
        scope.setSpacing(4)
        column.addLayout(top)
        column.addWidget(self.tasks)
        column.addLayout(scope)
        column.addWidget(self._extent)
        column.addWidget(self.runs)

    def _make_extent(self) -> QWidget:
        """The line for a range of slices, hidden until it is wanted."""
        line = QWidget(self)
        extent = QHBoxLayout(line)
        extent.setContentsMargins(0, 0, 0, 0)
        extent.addWidget(mark(QLabel("Slices", self), quiet=True))
        extent.addWidget(self.first, 1)
        extent.addWidget(mark(QLabel("to", self), quiet=True))
        extent.addWidget(self.last, 1)
        line.hide()
        return line

    def set_menu(self, entries: Mapping[str, Entry], chosen: str) -> None:
        """List the methods under the way they are used."""
        self._entries = entries
        self.method.blockSignals(True)
        listed = QStandardItemModel(self.method)
        for way, title in _WAYS.items():
            fitting = [entry for entry in entries.values() if entry.way == way]
            if fitting:
                head = QStandardItem(title)
                head.setEnabled(False)
                listed.appendRow(head)
            for entry in fitting:
                item = QStandardItem(f"   {entry.title}")
                item.setData(entry.name, Qt.ItemDataRole.UserRole)
                item.setToolTip(entry.help)
                listed.appendRow(item)
        self.method.setModel(listed)
        self.method.setCurrentIndex(max(self.method.findData(chosen), 1))
        self.method.blockSignals(False)
        self._on_method()

    def set_models(self, names: Sequence[str]) -> None:
        """List the models of the method, the one in use first; one chosen before is chosen again."""
        self.model.blockSignals(True)
        self.model.clear()
        for name in names:
            self.model.addItem(name, name)
        self.model.setCurrentIndex(max(self.model.findData(self._models.get(self.name)), 0))
        self.model.setVisible(len(names) > 1)
        self.model.blockSignals(False)
        self._on_choice()

    def forget_models(self) -> None:
        """Choose no model any more; the one in use comes first when they are listed again."""
        self._models.clear()

    def choose(self, name: str) -> None:
        """Make masks by another method."""
        self.method.setCurrentIndex(max(self.method.findData(name), 0))

    def set_settings(self, values: Mapping[str, Any]) -> None:
        """Use other settings for the method chosen."""
        self._settings[self.name] = dict(values)
        self._on_choice()

    @property
    def name(self) -> str:
        """The method chosen."""
        return str(self.method.currentData(Qt.ItemDataRole.UserRole) or "")

    @property
    def entry(self) -> Entry | None:
        """The menu's line of the method chosen."""
        return self._entries.get(self.name)

    @property
    def choice(self) -> Choice:
        """What was chosen."""
        return Choice(self.name, str(self.model.currentData() or ""), self._settings.get(self.name, {}))

    def slices(self, here: int, n: int) -> tuple[int, ...]:
        """Positions asked for, from 0, in napari's order; `here` is the one on screen."""
        if self.scopes["slice"].isChecked():
            return (here,)
        if self.scopes["volume"].isChecked():
            return tuple(range(n))
        low, high = sorted((self.first.value(), self.last.value()))
        return tuple(range(low - 1, high))

    def show_extent(self, n: int, here: int, allows_3d: bool) -> None:
        """Fit ranges to an image; several slices only where there are some to join."""
        for spin in (self.first, self.last):
            spin.setRange(1, max(n, 1))
        self._here = here
        for name in ("range", "volume"):
            self.scopes[name].setEnabled(n > 1 and allows_3d)
            if not (n > 1 and allows_3d) and self.scopes[name].isChecked():
                self.scopes["slice"].setChecked(True)

    def _on_scope(self) -> None:
        """A range begins around the slice on screen."""
        wanted = self.scopes["range"].isChecked()
        if wanted and not self._extent.isVisible():
            self.first.setValue(self._here + 1 - _AROUND)
            self.last.setValue(self._here + 1 + _AROUND)
        self._extent.setVisible(wanted)

    def _on_method(self) -> None:
        entry = self.entry
        self.method.setToolTip(entry.help if entry else "")
        self.tasks.setVisible(entry is not None and entry.way == "automatic" and bool(entry.network))
        self.method_changed.emit(self.name)

    def _on_model(self) -> None:
        self._models[self.name] = str(self.model.currentData() or "")
        self.model.setToolTip(f"Model: {self.model.currentText()}")
        self._on_choice()

    def _on_choice(self) -> None:
        self.choice_changed.emit(self.choice)
