"""The structures: colour, name, volume, eye, lock and state, one a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QHBoxLayout,
    QHeaderView,
    QMenu,
    QPushButton,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_medseg.core.structure import State, Structure
from napari_medseg.gui.keys import with_key
from napari_medseg.gui.style import icon, swatch

NAME, SIZE, EYE, LOCK, STATE = range(5)
_WIDTHS = {EYE: 24, LOCK: 24, STATE: 24}
_LINE = 24  # pixels


@dataclass(frozen=True)
class Line:
    """One structure as it is listed."""

    structure: Structure
    size: str
    visible: bool


class Tree(QTreeWidget):
    """The list; its keys are F2 rename, Del remove, V eye, L lock."""

    key = Signal(str)
    _KEYS = {Qt.Key.Key_F2: "rename", Qt.Key.Key_Delete: "remove", Qt.Key.Key_V: "eye", Qt.Key.Key_L: "lock"}

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  Qt's name
        """Turn keys into wishes; the rest moves in the list."""
        wish = self._KEYS.get(Qt.Key(event.key()))
        if wish is not None and self.state() != QAbstractItemView.State.EditingState:
            self.key.emit(wish)
        else:
            super().keyPressEvent(event)


class StructuresSection(QWidget):
    """What is outlined."""

    chosen = Signal(str)
    add_requested = Signal()
    remove_requested = Signal(str)
    change_requested = Signal(str, object)  # name, Structure
    visibility_requested = Signal(str, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lines: tuple[Line, ...] = ()
        self._text = "#ffffff"
        self._filling = False
        self.tree = self._make_tree()
        self.add_button = QPushButton("A&dd", self)
        self.add_button.setToolTip("Add a structure")
        self.add_button.clicked.connect(self.add_requested)
        self.rename_button = QPushButton("Rena&me", self)
        self.rename_button.setToolTip("Rename the structure  [F2 in the list]")
        self.rename_button.clicked.connect(lambda: self._wish("rename"))
        self.more_button = QToolButton(self)
        self.more_button.setText("More \u25be")
        self.more_button.setToolTip("Colour, lock, state, remove")
        self.more_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.more_button.setMenu(QMenu(self.more_button))
        self.more_button.menu().aboutToShow.connect(self._fill_menu)
        self._lay_out()

    def _make_tree(self) -> Tree:
        tree = Tree(self)
        tree.setColumnCount(5)
        tree.setHeaderHidden(True)
        tree.setRootIsDecorated(False)
        tree.setIconSize(QSize(14, 14))
        tree.setUniformRowHeights(True)
        tree.setAccessibleName("Structures")
        tree.setToolTip(with_key("The structure that prompts and strokes are for; next one", "structure"))
        tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        tree.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked)
        header = tree.header()
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(20)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(SIZE, QHeaderView.ResizeMode.ResizeToContents)  # a name may be elided
        for column, width in _WIDTHS.items():
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            header.resizeSection(column, width)
        tree.currentItemChanged.connect(self._on_current)
        tree.itemClicked.connect(self._on_click)
        tree.itemChanged.connect(self._on_edit)
        tree.key.connect(self._wish)
        return tree

    def _lay_out(self) -> None:
        line = QHBoxLayout()
        for button in (self.add_button, self.rename_button, self.more_button):
            line.addWidget(button, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addWidget(self.tree, 1)
        column.addLayout(line)
        self.tree.setMinimumHeight(3 * _LINE + 4)

    def set_text_colour(self, colour: str) -> None:
        """Draw the icons in the theme's text colour."""
        self._text = colour
        self._fill()

    def show_structures(self, lines: Sequence[Line], current: str) -> None:
        """List the structures."""
        self.setEnabled(bool(lines))
        names = [line.structure.name for line in lines]
        if tuple(lines) != self._lines:
            self._lines = tuple(lines)
            self._fill()
        if current in names:
            self._filling = True
            self.tree.setCurrentIndex(self.tree.model().index(names.index(current), NAME))
            self._filling = False

    def edit_name(self) -> None:
        """Let the person type a new name."""
        item = self.tree.currentItem()
        if item is not None:
            self.tree.setFocus()
            self.tree.editItem(item, NAME)

    def _fill(self) -> None:
        self._filling = True
        while self.tree.topLevelItemCount() > len(self._lines):
            self.tree.takeTopLevelItem(self.tree.topLevelItemCount() - 1)
        for position, line in enumerate(self._lines):
            item = self.tree.topLevelItem(position)
            if item is None:
                item = QTreeWidgetItem(self.tree)
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
                item.setTextAlignment(SIZE, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self._fill_line(item, line)
        self._filling = False

    def _fill_line(self, item: QTreeWidgetItem, line: Line) -> None:
        structure = line.structure
        item.setText(NAME, structure.name)
        item.setIcon(NAME, swatch("#{:02x}{:02x}{:02x}".format(*structure.colour)))
        item.setText(SIZE, line.size)
        eye, lock = "seen" if line.visible else "hidden", "locked" if structure.locked else "open"
        for column, drawn in ((EYE, eye), (LOCK, lock), (STATE, structure.state)):
            item.setIcon(column, icon(drawn, self._text))
        item.setToolTip(NAME, structure.name)
        item.setToolTip(EYE, "Shown; click to hide  [V]" if line.visible else "Hidden; click to show  [V]")
        item.setToolTip(LOCK, "Locked: nothing changes it  [L]" if structure.locked else "Click to lock  [L]")
        item.setToolTip(STATE, f"{structure.state.capitalize()}; click for the next state")

    def _line(self) -> Line | None:
        item = self.tree.currentItem()
        position = self.tree.indexOfTopLevelItem(item) if item is not None else -1
        return self._lines[position] if 0 <= position < len(self._lines) else None

    def _on_current(self, item: QTreeWidgetItem | None) -> None:
        if item is not None and not self._filling:
            self.chosen.emit(item.text(NAME))

    def _on_click(self, _item: QTreeWidgetItem, column: int) -> None:
        if column in (EYE, LOCK, STATE):
            self._wish({EYE: "eye", LOCK: "lock", STATE: "state"}[column])

    def _on_edit(self, item: QTreeWidgetItem, column: int) -> None:
        position = self.tree.indexOfTopLevelItem(item)
        if self._filling or column != NAME or not 0 <= position < len(self._lines):
            return
        old, new = self._lines[position].structure, item.text(NAME).strip()
        self._filling = True
        item.setText(NAME, old.name)  # until it is done
        self._filling = False
        if new and new != old.name:
            self.change_requested.emit(old.name, replace(old, name=new))

    def _wish(self, wish: str) -> None:
        """Ask for what a key, a click or the menu means for the current structure."""
        line = self._line()
        if line is None:
            return
        structure, name = line.structure, line.structure.name
        if wish == "rename":
            self.edit_name()
        elif wish == "remove":
            self.remove_requested.emit(name)
        elif wish == "eye":
            self.visibility_requested.emit(name, not line.visible)
        elif wish == "lock":
            self.change_requested.emit(name, replace(structure, locked=not structure.locked))
        elif wish == "state":
            states = get_args(State)
            following = states[(states.index(structure.state) + 1) % len(states)]
            self.change_requested.emit(name, replace(structure, state=following))

    def _fill_menu(self) -> None:
        menu, line = self.more_button.menu(), self._line()
        menu.clear()
        if line is None:
            return
        structure = line.structure
        menu.addAction("&Colour…", lambda: self._choose_colour(structure))
        menu.addAction("Un&lock" if structure.locked else "&Lock", lambda: self._wish("lock"))
        menu.addAction("&Hide" if line.visible else "&Show", lambda: self._wish("eye"))
        states = menu.addMenu("&State")
        for state in get_args(State):
            action = states.addAction(icon(state, self._text), state.capitalize())
            changed = replace(structure, state=state)
            action.triggered.connect(lambda _=False, c=changed: self.change_requested.emit(c.name, c))
        menu.addSeparator()
        menu.addAction("&Remove", lambda: self._wish("remove"))

    def _choose_colour(self, structure: Structure) -> None:
        colour = QColorDialog.getColor(QColor(*structure.colour), self, f"Colour of {structure.name}")
        if colour.isValid():
            rgb = (colour.red(), colour.green(), colour.blue())
            self.change_requested.emit(structure.name, replace(structure, colour=rgb))
