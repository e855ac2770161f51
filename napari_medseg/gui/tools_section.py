"""The tools: prompts of six kinds, a brush and an eraser; the key that does the same stands on each."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_medseg.gui.keys import KEYS, with_key
from napari_medseg.gui.style import icon, mark
from napari_medseg.gui.tidy import TIDY

_HELP = {
    "point": "Click on the structure; Ctrl-click for the other sign",
    "box": "Drag a box around the structure",
    "scribble": "Draw a line through the structure",
    "lasso": "Draw around the structure",
    "mask": "Use the outline of this slice, or of the one beside it, as a first guess",
    "brush": "Paint by hand; no model runs",
    "eraser": "Erase by hand; no model runs",
}
_BRUSHES = ("brush", "eraser")


class ToolsSection(QWidget):
    """What the left mouse button does."""

    tool_requested = Signal(str)  # "" puts the tool down
    mask_requested = Signal()
    sign_requested = Signal(bool)
    size_requested = Signal(int)
    tidy_requested = Signal(str)  # a name of TIDY

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.colours = ("#ffffff", "#ffffff")
        self.positive = True
        self.buttons = {name: self._button(name) for name in _HELP}
        self.sign = self._make("inside", "Inside", "sign", "Prompts mean: this belongs to the structure")
        self.sign.clicked.connect(lambda: self.sign_requested.emit(not self.positive))
        self.brush_size = QSlider(Qt.Orientation.Horizontal, self)
        self.brush_size.setRange(1, 80)
        self.brush_size.setValue(10)
        self.brush_size.setAccessibleName("Brush size")
        self.brush_size.setToolTip("Brush size in pixels  [ [ and ] with the brush in hand ]")
        self.brush_size.valueChanged.connect(self._on_size)
        self._size_text = mark(QLabel("10 px", self), quiet=True)
        self.tidy = self._tidy_button()
        self._lay_out()

    def _tidy_button(self) -> QToolButton:
        button = QToolButton(self)
        button.setText("Tidy \u25be")
        button.setToolTip("Repair the outline on this slice; counts as your own stroke")
        button.setAccessibleName("Tidy the outline")
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(button)
        for name in TIDY:
            menu.addAction(name).triggered.connect(lambda _checked, n=name: self.tidy_requested.emit(n))
        button.setMenu(menu)
        return button

    def _make(self, drawn: str, text: str, key: str, tip: str) -> QToolButton:
        button = QToolButton(self)
        button.setText(f"{text}  {KEYS[key]}")
        button.setProperty("drawn", drawn)
        button.setToolTip(with_key(tip, key))
        button.setAccessibleName(text)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        button.setIconSize(QSize(20, 20))
        button.setFixedHeight(46)
        button.setMinimumWidth(70)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        return button

    def _button(self, name: str) -> QToolButton:
        button = self._make(name, name.capitalize(), name, _HELP[name])
        if name == "mask":
            button.clicked.connect(self.mask_requested)
        else:
            button.setCheckable(True)
            button.clicked.connect(lambda checked, n=name: self.tool_requested.emit(n if checked else ""))
        return button

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setSpacing(4)
        for position, button in enumerate([*self.buttons.values(), self.sign]):
            grid.addWidget(button, position // 4, position % 4)
            button.setSizePolicy(button.sizePolicy().Policy.Expanding, button.sizePolicy().Policy.Fixed)
        line = QHBoxLayout()
        line.addWidget(mark(QLabel("Brush size", self), quiet=True))
        line.addWidget(self.brush_size, 1)
        line.addWidget(self._size_text)
        line.addWidget(self.tidy)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addLayout(grid)
        column.addLayout(line)

    def set_colours(self, text: str, on_current: str) -> None:
        """Draw the icons in the theme's colours."""
        self.colours = (text, on_current)
        for button in (*self.buttons.values(), self.sign):
            button.setIcon(icon(button.property("drawn"), text, on_current))

    def show_tool(self, tool: str) -> None:
        """Show which tool is in hand."""
        for name, button in self.buttons.items():
            button.setChecked(name == tool)

    def show_sign(self, positive: bool) -> None:
        """Show whether prompts mean inside or outside."""
        self.positive = positive
        drawn, text = ("inside", "Inside") if positive else ("outside", "Outside")
        self.sign.setText(f"{text}  {KEYS['sign']}")
        self.sign.setAccessibleName(f"Prompts mean {text.lower()}")
        self.sign.setProperty("drawn", drawn)
        self.sign.setIcon(icon(drawn, *self.colours))
        meaning = "this belongs to the structure" if positive else "this does not belong to it"
        self.sign.setToolTip(with_key(f"Prompts mean: {meaning}", "sign"))

    def show_size(self, size: int) -> None:
        """Show the brush's size."""
        self.brush_size.setValue(size)

    def _on_size(self, size: int) -> None:
        self._size_text.setText(f"{size} px")
        self.size_requested.emit(size)
