"""The task: what is outlined on which kind of image; known ones to choose from, all words free."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QLineEdit, QPushButton, QWidget

from napari_medseg.core.structure import UNTITLED
from napari_medseg.core.task import Task, task_of
from napari_medseg.gui.known_tasks import KnownTasks

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
        self._shown: Task | None = None
        self.known = KnownTasks(self)
        self.known.task_chosen.connect(self._fill)
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

    def show_task(self, task: Task, names: Sequence[str]) -> None:
        """Show what the session is about now; what a person is typing stays while that is the same."""
        if task != self._shown:
            self._shown = task
            self.known.show_chosen(task.slug)
            self._fill(task, names)

    def _fill(self, task: Task, names: Sequence[str] = ()) -> None:
        for name, field in self.words.items():
            field.setText(getattr(task, name))
        listed = names or task.structure_names
        self.structures.setText(", ".join(name for name in listed if name != UNTITLED))

    def _apply(self) -> None:
        typed = (name.strip() for name in self.structures.text().split(","))
        names = list(dict.fromkeys(name for name in typed if name))
        words = {name: field.text().strip() for name, field in self.words.items() if name != "site"}
        slug = re.sub(r"[^a-z0-9]+", "_", words["objective"].lower()).strip("_") or UNTITLED
        chosen = self.known.chosen
        task = replace(task_of(slug, names, **words), site=self.words["site"].text().strip())
        if chosen is not None and chosen.fits(names):
            task = replace(task, slug=chosen.slug, rules=chosen.rules)
        self.task_requested.emit(task)
