"""The known tasks as a menu: those for this kind of image come first."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QStandardItem, QStandardItemModel
from qtpy.QtWidgets import QComboBox, QWidget

from napari_medseg import workflow
from napari_medseg.core.task import Task
from napari_medseg.core.volume import Volume

_NOTHING = "What to outline…"
_MOST_NAMES = 3  # that a title lists
_WIDE = 380  # pixels of the open list
_SLUG = Qt.ItemDataRole.UserRole


class KnownTasks(QComboBox):
    """What models were trained for, to choose from."""

    task_chosen = Signal(object)  # Task

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tasks: dict[str, Task] = {}
        self._shown: tuple[tuple[Task, ...], tuple[str, str]] = ((), ("", ""))
        self.setAccessibleName("Known tasks")
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.view().setMinimumWidth(_WIDE)
        self.activated.connect(self._choose)
        self._fill((), None)

    def show_tasks(self, tasks: Sequence[Task], volume: Volume | None) -> None:
        """List the tasks; with an image whose modality is known, those like it first, under a title."""
        about = (volume.modality, volume.anatomy) if volume else ("", "")
        if (tuple(tasks), about) != self._shown:
            self._shown = tuple(tasks), about
            self._fill(tasks, volume)

    def show_chosen(self, slug: str) -> None:
        """Show which task is in hand; one that is not known shows as none."""
        self.setCurrentIndex(max(self.findData(slug), 0))
        self.setToolTip(self.itemData(self.currentIndex(), Qt.ItemDataRole.ToolTipRole) or "Known tasks")

    @property
    def chosen(self) -> Task | None:
        """The task that is shown."""
        return self._tasks.get(str(self.currentData() or ""))

    def _fill(self, tasks: Sequence[Task], volume: Volume | None) -> None:
        before = str(self.currentData() or "")
        self._tasks = {task.slug: task for task in tasks}
        likely, others = grouped(tasks, volume)
        titles = [title_of(task) for task in tasks]
        listed = QStandardItemModel(self)
        listed.appendRow(QStandardItem(_NOTHING if tasks else "No model for a known task is installed"))
        for title, group in (("For images like this", likely), ("Others" if likely else "", others)):
            if title and group:
                head = QStandardItem(title)
                head.setEnabled(False)
                listed.appendRow(head)
            for task in group:
                several = titles.count(title_of(task)) > 1
                listed.appendRow(_item(task, "   " if title else "", f" ({task.slug})" if several else ""))
        self.setModel(listed)
        self.setEnabled(bool(tasks))
        self.show_chosen(before)

    def _choose(self) -> None:
        if self.chosen is not None:
            self.task_chosen.emit(self.chosen)


def grouped(tasks: Sequence[Task], volume: Volume | None) -> tuple[list[Task], list[Task]]:
    """Tasks on images like this one, the likeliest first, and the others, each by title."""
    alike = {task.slug: workflow.likeness(task, volume) if volume else 0 for task in tasks}
    ordered = sorted(tasks, key=lambda task: (-alike[task.slug], title_of(task).casefold(), task.slug))
    return [t for t in ordered if alike[t.slug]], [t for t in ordered if not alike[t.slug]]


def title_of(task: Task) -> str:
    """What a task outlines and on which images, as a line of the menu."""
    names = [name.split(" (")[0] for name in task.structure_names]
    more = f" and {len(names) - _MOST_NAMES + 1} more" if len(names) > _MOST_NAMES else ""
    what = ", ".join(names[: _MOST_NAMES - 1] if more else names) + more
    what = task.objective or what or task.slug
    kind = task.modality.split("(")[0].strip()
    return f"{what[:1].upper()}{what[1:]}" + (f" · {kind}" if kind else "")


def _item(task: Task, indent: str, more: str) -> QStandardItem:
    item = QStandardItem(f"{indent}{title_of(task)}{more}")
    item.setData(task.slug, _SLUG)
    about = " · ".join(word for word in (task.modality, task.anatomy) if word)
    lines = (", ".join(task.structure_names), about, f"task {task.slug}")
    item.setToolTip("\n".join(line for line in lines if line))
    return item
