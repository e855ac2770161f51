"""Drawers at the foot of the panel, one open at a time, and the line that says what happened."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_medseg.gui.style import mark

_TALL = 172  # pixels a drawer takes when open, at least


class _Area(QScrollArea):
    """Where a drawer lies: as tall as it would like to be where there is room, else it scrolls."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumHeight(_TALL)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.tall = _TALL

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's name
        """As tall as the drawer asks for."""
        return QSize(super().sizeHint().width(), self.tall)


class Drawers(QWidget):
    """A row of titles; the one pressed opens below."""

    opened = Signal(str)  # "" when all are shut

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons: dict[str, QToolButton] = {}
        self._contents: dict[str, QWidget] = {}
        self._tall: dict[str, int] = {}
        self._titles = QHBoxLayout()
        self._titles.setSpacing(4)
        self._area = _Area(self)
        self._area.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addLayout(self._titles)
        column.addWidget(self._area)

    def add(self, name: str, title: str, content: QWidget, tall: int = _TALL) -> None:
        """Add a drawer, which takes so many pixels when it is open and there is room."""
        button = QToolButton(self)
        button.setText(title)
        button.setCheckable(True)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.setSizePolicy(button.sizePolicy().Policy.Expanding, button.sizePolicy().Policy.Fixed)
        button.clicked.connect(lambda checked: self.open(name if checked else ""))
        self.buttons[name] = button
        self._contents[name], self._tall[name] = content, tall
        content.hide()
        self._titles.addWidget(button)

    def fill(self, name: str, content: QWidget) -> None:
        """Put something else into a drawer."""
        shown = self.buttons[name].isChecked()
        if shown:
            self.open("")
        self._contents[name].deleteLater()
        self._contents[name] = content
        content.hide()
        if shown:
            self.open(name)

    def open(self, name: str) -> None:
        """Open one drawer and shut the others."""
        held = self._area.takeWidget()
        if held is not None:
            held.setParent(self)
            held.hide()
        for key, button in self.buttons.items():
            button.setChecked(key == name)
        if name:
            self._area.tall = self._tall[name]
            self._area.updateGeometry()
            self._area.setWidget(self._contents[name])
            self._contents[name].show()
        self._area.setVisible(bool(name))
        self.opened.emit(name)


class Message(QWidget):
    """One sentence for the person, and a way out where there is one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QLabel(self)
        self.text.setWordWrap(True)
        self.text.setAccessibleName("Message")
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.button = QPushButton(self)
        self.button.clicked.connect(self._go)
        self.close_button = QToolButton(self)
        self.close_button.setText("\u00d7")
        self.close_button.setToolTip("Dismiss")
        self.close_button.setAccessibleName("Dismiss the message")
        self.close_button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.close_button.clicked.connect(self.clear)
        self._way_out: Callable[[], None] | None = None
        line = QHBoxLayout()
        line.addWidget(self.text, 1)
        line.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addLayout(line)
        column.addWidget(self.button)
        self.clear()

    def say(
        self, sentence: str, alarm: bool = False, title: str = "", way_out: Callable[[], None] | None = None
    ) -> None:
        """Show a sentence; `title` is what the button of its way out says."""
        self._way_out = way_out
        mark(self.text, alarm=alarm, note=not alarm).setText(sentence)
        self.button.setText(title)
        self.button.setVisible(way_out is not None)
        self.show()

    def clear(self) -> None:
        """Say nothing."""
        self.text.setText("")
        self._way_out = None
        self.hide()

    def _go(self) -> None:
        way_out = self._way_out
        self.clear()
        if way_out is not None:
            way_out()
