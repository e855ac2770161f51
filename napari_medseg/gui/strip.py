"""A strip with one mark a slice: how far each has come; a click or an arrow key goes there."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPolygonF
from qtpy.QtWidgets import QToolTip, QWidget

from napari_medseg.gui.style import STATES
from napari_medseg.gui.work import SliceState

# What a column shows when several slices share it; and its height, for those who tell colours apart badly.
_URGENCY: tuple[SliceState, ...] = ("none", "accepted", "proposed", "blind", "edited", "doubtful")
_HEIGHTS: dict[SliceState, float] = {
    "none": 0.15,
    "accepted": 1.0,
    "edited": 0.75,
    "proposed": 0.5,
    "doubtful": 0.5,
    "blind": 0.3,
}


class Strip(QWidget):
    """All slices of a plane side by side, in the order of napari's slider."""

    slice_requested = Signal(int)  # position, from 0

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._states: tuple[SliceState, ...] = ()
        self._here = 0
        self._colours = {"text": "#ffffff", "none": "#888888"}
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Slices")
        self.setFixedHeight(30)
        self.setMouseTracking(True)
        self.setToolTip("Slices: click, or use the arrow keys")

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's name
        """As wide as there is room."""
        return QSize(200, 30)

    def set_colours(self, text: str, none: str) -> None:
        """Use the theme's colours."""
        self._colours = {"text": text, "none": none}
        self.update()

    def show_states(self, states: Sequence[SliceState], here: int) -> None:
        """Show the slices and which of them is on screen."""
        if (tuple(states), here) != (self._states, self._here):
            self._states, self._here = tuple(states), here
            self.setAccessibleDescription(self.words(here))
            self.update()

    def words(self, position: int) -> str:
        """One slice in words."""
        if not 0 <= position < len(self._states):
            return ""
        state = self._states[position]
        words = {"none": "nothing yet", "blind": "asked for without a proposal"}
        return f"Slice {position + 1} of {len(self._states)}: {words.get(state, state)}"

    def at(self, x: float) -> int:
        """Which slice lies at a distance from the left edge."""
        n = max(len(self._states), 1)
        return min(max(int((x - 1) / max(self.width() - 2, 1) * n), 0), n - 1)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  Qt's name
        """Draw a bar a slice, or a bar a pixel where there are more slices than pixels."""
        painter = QPainter(self)
        n, width, height = len(self._states), self.width() - 2, self.height() - 8
        columns = min(n, width)
        for column in range(columns):
            first, last = column * n // columns, max((column + 1) * n // columns, column * n // columns + 1)
            state = max(self._states[first:last], key=_URGENCY.index)
            tall = _HEIGHTS[state] * height
            left, right = column * width / columns, (column + 1) * width / columns
            gap = 1.0 if right - left > 3 else 0.0
            bar = QRectF(1 + left, height - tall, right - left - gap, tall)
            painter.fillRect(bar, QColor(STATES.get(state, self._colours["none"])))
        if n:
            self._draw_here(painter, 1 + (self._here + 0.5) * width / n, height)
        if self.hasFocus():
            painter.setPen(QColor(self._colours["text"]))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()

    def _draw_here(self, painter: QPainter, x: float, height: float) -> None:
        """Point at the slice on screen."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QColor(self._colours["text"]))
        painter.drawLine(int(x), 0, int(x), int(height))
        painter.setBrush(QColor(self._colours["text"]))
        corners = (x, height), (x - 4, height + 6), (x + 4, height + 6)
        painter.drawPolygon(QPolygonF([QPointF(*corner) for corner in corners]))

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802  Qt's name
        """Go to the slice under the mouse."""
        self._go(self.at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802  Qt's name
        """Follow a drag; say what lies under the mouse."""
        position = self.at(event.position().x())
        QToolTip.showText(event.globalPosition().toPoint(), self.words(position), self)
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._go(position)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  Qt's name
        """Arrows go one slice, pages ten, Home and End to the ends."""
        last = len(self._states) - 1
        ways = {
            Qt.Key.Key_Left: self._here - 1,
            Qt.Key.Key_Right: self._here + 1,
            Qt.Key.Key_PageUp: self._here - 10,
            Qt.Key.Key_PageDown: self._here + 10,
            Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: last,
        }
        way = ways.get(Qt.Key(event.key()))
        if way is None or last < 0:
            super().keyPressEvent(event)
        else:
            self._go(min(max(way, 0), last))

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  Qt's name
        """Draw anew when enabled or disabled."""
        super().changeEvent(event)
        self.update()

    def _go(self, position: int) -> None:
        if self._states and position != self._here:
            self.slice_requested.emit(position)
