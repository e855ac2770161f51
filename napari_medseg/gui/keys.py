"""The panel's keys: one table, and the shortcuts made of it.

They are shortcuts of the whole window, so that they work whichever layer is selected and whichever button
has the focus; a field that is typed into keeps its letters. None is one of napari's, but for undo and redo.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QWidget

KEYS: dict[str, str] = {
    "point": "Q",
    "box": "C",
    "scribble": "S",
    "lasso": "O",
    "mask": "K",
    "brush": "U",
    "eraser": "Y",
    "sign": "I",
    "run": "G",
    "fill": "Shift+G",
    "accept": "A",
    "accept all": "Shift+A",
    "discard": "D",
    "discard all": "Shift+D",
    "next": "N",
    "weakest": "Shift+N",
    "doubt": "Shift+H",
    "alternative": "T",
    "structure": "J",
    "hide": "H",
    "cancel": "R",
    "undo": "Ctrl+Z",
    "redo": "Ctrl+Shift+Z",
}


def bind(panel: QWidget, actions: Mapping[str, Callable[[], None]]) -> list[QShortcut]:
    """Make the shortcuts of a panel; they live and die with it."""
    shortcuts = []
    for name, action in actions.items():
        shortcut = QShortcut(QKeySequence(KEYS[name]), panel)
        shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
        shortcut.setAutoRepeat(name in ("undo", "redo"))
        shortcut.activated.connect(action)
        shortcuts.append(shortcut)
    return shortcuts


def with_key(text: str, name: str) -> str:
    """A tooltip with the key that does the same."""
    return f"{text}  [{KEYS[name]}]"
