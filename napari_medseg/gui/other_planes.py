"""The two planes that are not on the canvas, through the same point, always up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, Qt, QTimer, Signal
from qtpy.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_medseg.core.geometry import PLANES, Plane
from napari_medseg.gui import views
from napari_medseg.gui.layers import ROLE, Display, outline, volume_of

if TYPE_CHECKING:
    from napari.viewer import Viewer

_CROSSHAIR = QColor(255, 220, 0, 150)
_MARGIN = 16  # pixels for the letters
_CHANGES = ("set_data", "contrast_limits", "paint", "visible", "colormap", "opacity")


class OtherPlanes(QWidget):
    """Two small views; a click moves all planes there, the wheel turns pages, a double click swaps planes."""

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.panes = (Pane(self), Pane(self))
        column = QVBoxLayout(self)
        for pane in self.panes:
            column.addWidget(pane)
            pane.pointed.connect(self._go_to)
            pane.turned.connect(self._turn)
            pane.chosen.connect(self._choose)
        self._display: Display | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.refresh)
        self._heard: list[Any] = []
        self._hear(viewer.dims.events, "point", "order")
        self._hear(viewer.layers.events, "inserted", "removed")

    def refresh(self) -> None:
        """Draw both planes anew."""
        volume = volume_of(self._viewer)
        self._display = None if volume is None or volume.geometry.is_2d else Display(volume.geometry)
        for layer in self._viewer.layers:
            if ROLE in layer.metadata:
                self._hear(layer.events, *(name for name in _CHANGES if hasattr(layer.events, name)))
        if self._display is None:
            for pane in self.panes:
                pane.show_nothing()
            return
        shown = views.plane(self._viewer, self._display)
        at = self._display.to_display(views.crosshair(self._viewer, self._display))
        for pane, plane in zip(self.panes, (p for p in PLANES if p != shown), strict=True):
            pane.show_plane(self._display, plane, at, picture(self._viewer, self._display, plane, at))

    def closeEvent(self, event: Any) -> None:  # Qt's name
        """Let go of the viewer."""
        for emitter in self._heard:
            emitter.disconnect(self._later)
        self._heard.clear()
        super().closeEvent(event)

    def showEvent(self, event: Any) -> None:  # Qt's name
        """Catch up with what happened while hidden."""
        super().showEvent(event)
        self._later()

    def _hear(self, events: Any, *names: str) -> None:
        """Draw anew after these events, once however often this is called."""
        for name in names:
            emitter = getattr(events, name)
            if emitter not in self._heard:
                emitter.connect(self._later)
                self._heard.append(emitter)

    def _later(self, _event: Any = None) -> None:
        """Draw once, however many changes come together; nothing while hidden."""
        if self.isVisible():
            self._soon.start(0)

    def _go_to(self, at: tuple[float, float, float]) -> None:
        if self._display is not None:
            views.go_to(self._viewer, self._display, self._display.to_array(at))

    def _choose(self, plane: Plane) -> None:
        if self._display is not None:
            views.set_plane(self._viewer, self._display, plane)

    def _turn(self, dim: int, steps: int) -> None:
        if self._display is not None:
            at = list(self._display.to_display(views.crosshair(self._viewer, self._display)))
            at[dim] = float(np.clip(at[dim] + steps, 0, self._display.shape[dim] - 1))
            self._go_to((at[0], at[1], at[2]))


class Pane(QWidget):
    """One plane with its crosshair and letters."""

    pointed = Signal(object)  # displayed index of all three dimensions
    turned = Signal(int, int)  # displayed dimension, slices
    chosen = Signal(str)  # plane

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumSize(160, 160)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._picture: NDArray[np.uint8] | None = None
        self._plane: Plane = "axial"
        self._order, self._at = (0, 1, 2), (0.0, 0.0, 0.0)
        self._letters: tuple[str, ...] = ()
        self._size = (1.0, 1.0)

    def show_nothing(self) -> None:
        """Empty the pane."""
        self._picture = None
        self.update()

    def show_plane(
        self, display: Display, plane: Plane, at: tuple[float, float, float], rgb: NDArray[np.uint8]
    ) -> None:
        """Show one plane, (rows, columns, 3), with a crosshair at a displayed index."""
        self._picture, self._plane, self._at = rgb, plane, at
        self._order, self._letters = display.order(plane), views.letters(display, plane)
        rows, columns = rgb.shape[:2]
        self._size = rows * display.scale[self._order[1]], columns * display.scale[self._order[2]]
        self.setAccessibleName(plane)
        self.setToolTip(
            f"{plane}: click to go there, wheel to turn pages, double-click to edit on this plane"
        )
        self.update()

    @property
    def frame(self) -> QRectF:
        """Where in the pane the slice lies, in true proportions."""
        height, width = self._size
        zoom = min((self.width() - 2 * _MARGIN) / width, (self.height() - 2 * _MARGIN) / height)
        box = QRectF(0, 0, width * zoom, height * zoom)
        box.moveCenter(QPointF(self.width() / 2, self.height() / 2))
        return box

    def index_at(self, position: QPointF) -> tuple[float, float, float]:
        """Displayed index under a position of the pane, held inside the image."""
        assert self._picture is not None
        rows, columns = self._picture.shape[:2]
        box, at = self.frame, list(self._at)
        row = (position.y() - box.top()) / box.height() * rows - 0.5
        column = (position.x() - box.left()) / box.width() * columns - 0.5
        at[self._order[1]] = float(np.clip(round(row), 0, rows - 1))
        at[self._order[2]] = float(np.clip(round(column), 0, columns - 1))
        return at[0], at[1], at[2]

    def position_of(self, at: tuple[float, float, float]) -> QPointF:
        """Where a displayed index lies in the pane: the inverse of `index_at`."""
        assert self._picture is not None
        rows, columns = self._picture.shape[:2]
        row, column = (at[self._order[1]] + 0.5) / rows, (at[self._order[2]] + 0.5) / columns
        return QPointF(self.frame.left() + column * self.frame.width(),
                       self.frame.top() + row * self.frame.height())  # fmt: skip

    def paintEvent(self, event: QPaintEvent) -> None:  # Qt's name
        """Draw slice, crosshair and letters on black."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), Qt.GlobalColor.black)
        if self._picture is not None:
            rows, columns = self._picture.shape[:2]
            image = QImage(self._picture.data, columns, rows, 3 * columns, QImage.Format.Format_RGB888)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(self.frame, image)
            self._draw_marks(painter)
        painter.end()

    def _draw_marks(self, painter: QPainter) -> None:
        cross, box = self.position_of(self._at), self.frame
        painter.setPen(QPen(_CROSSHAIR, 1))
        painter.drawLine(QPointF(box.left(), cross.y()), QPointF(box.right(), cross.y()))
        painter.drawLine(QPointF(cross.x(), box.top()), QPointF(cross.x(), box.bottom()))
        painter.setPen(Qt.GlobalColor.white)
        flags = Qt.AlignmentFlag
        sides = [flags.AlignTop | flags.AlignHCenter, flags.AlignBottom | flags.AlignHCenter]
        sides += [flags.AlignLeft | flags.AlignVCenter, flags.AlignRight | flags.AlignVCenter]
        for side, letter in zip(sides, self._letters, strict=True):
            painter.drawText(self.rect(), side, letter)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # Qt's name
        """Go where the left button is pressed."""
        if self._picture is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self.pointed.emit(self.index_at(event.position()))

    mouseMoveEvent = mousePressEvent

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # Qt's name
        """Bring this plane to the canvas."""
        if self._picture is not None:
            self.chosen.emit(self._plane)

    def wheelEvent(self, event: QWheelEvent) -> None:  # Qt's name
        """Turn pages."""
        steps = event.angleDelta().y()
        if self._picture is not None and steps:
            self.turned.emit(self._order[0], -1 if steps > 0 else 1)


def picture(
    viewer: Viewer, display: Display, plane: Plane, at: tuple[float, float, float]
) -> NDArray[np.uint8]:
    """One plane as napari shows it, (rows, columns, 3): the lowest image, and masks as outlines.

    Parameters
    ----------
    at : displayed index
        The point the plane passes through.
    """
    dim = display.dim_of(plane)
    ours = [layer for layer in viewer.layers if layer.metadata.get(ROLE) in ("image", "mask", "proposal")]
    image = next(layer for layer in ours if layer.metadata[ROLE] == "image")
    here = (*(slice(None),) * dim, round(at[dim]))  # np.take would copy the whole of a turned array
    values = image.data[here]
    if image.rgb:
        rgb = np.ascontiguousarray(values[..., :3], np.uint8)
    else:
        low, high = image.contrast_limits
        grey = (np.clip((values.astype(np.float32) - low) / (high - low), 0, 1) * 255).astype(np.uint8)
        rgb = np.repeat(grey[..., None], 3, axis=-1)
    for layer in ours:
        if layer.metadata[ROLE] != "image" and layer.visible:
            labels = layer.data[here]
            shown = outline(labels) if layer.metadata[ROLE] == "mask" else labels
            rgba = layer.colormap.map(np.arange(256, dtype=np.uint8))[shown[shown > 0]]
            share = rgba[:, 3:] * layer.opacity
            rgb[shown > 0] = rgb[shown > 0] * (1 - share) + rgba[:, :3] * 255 * share
    return rgb
