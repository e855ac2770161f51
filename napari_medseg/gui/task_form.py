"""The task: what is outlined on which kind of image; known ones to choose from, all words free."""

from __future__ import annotations

import re
from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QLineEdit, QPushButton, QWidget

from napari_medseg.core.structure import UNTITLED
from napari_medseg.core.task import Task, task_of

_WORDS = {
    "objective": "what is outlined, such as liver tumours",
    "modality": "such as CT, MR T2, ultrasound",
    "anatomy": "such as abdomen",
    "site": "scanner or hospital, if it matters",
}


class TaskForm(QWidget):
    """What the session is about."""

    task_requested = Signal(object)  # Task

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._known: dict[str, Task] = {}
        self.known = QComboBox(self)
        self.known.setAccessibleName("Known tasks")
        self.known.activated.connect(self._take)
        self.words = {name: QLineEdit(self) for name in _WORDS}
        for name, example in _WORDS.items():
            self.words[name].setPlaceholderText(example)
            self.words[name].setAccessibleName(name.capitalize())
        self.structures = QLineEdit(self)
        self.structures.setPlaceholderText("names, separated by commas")
        self.structures.setAccessibleName("Structures of the task")
        self.apply_button = QPushButton("Use this task", self)
        self.apply_button.clicked.connect(self._apply)
        form = QFormLayout(self)
        form.setContentsMargins(2, 2, 2, 2)
        form.setVerticalSpacing(3)
        form.addRow("Known", self.known)
        for name, field in self.words.items():
            form.addRow(name.capitalize(), field)
        form.addRow("Structures", self.structures)
        form.addRow("", self.apply_button)

    def set_known(self, tasks: Sequence[Task]) -> None:
        """List the tasks that models were trained for."""
        self._known = {task.slug: task for task in tasks}
        self.known.clear()
        self.known.addItems(["choose…", *self._known])
        self.known.setEnabled(bool(tasks))

    def show_task(self, task: Task, names: Sequence[str]) -> None:
        """Show what the session is about now."""
        for name, field in self.words.items():
            field.setText(getattr(task, name))
        self.structures.setText(", ".join(name for name in names if name != UNTITLED))

    def _take(self, position: int) -> None:
        task = self._known.get(self.known.itemText(position))
        if task is not None:
            self.show_task(task, task.structure_names)

    def _apply(self) -> None:
        names = [name.strip() for name in self.structures.text().split(",") if name.strip()]
        words = {name: field.text().strip() for name, field in self.words.items()}
        slug = re.sub(r"[^a-z0-9]+", "_", words["objective"].lower()).strip("_") or UNTITLED
        chosen = self._known.get(self.known.currentText())
        if chosen is not None and chosen.fits(list(dict.fromkeys(names))):
            slug = chosen.slug
        self.task_requested.emit(task_of(slug, list(dict.fromkeys(names)), **words))
