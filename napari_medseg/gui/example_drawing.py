"""The pictures of this case's examples, drawn one at a time while the window rests."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from napari_medseg.gui.example_pictures import slice_picture
from napari_medseg.gui.example_pieces import Place

if TYPE_CHECKING:
    from qtpy.QtGui import QImage

    from napari_medseg.gui.example_set import Own

_PAUSE = 30  # milliseconds between two pictures, each of which takes about five


class ExampleDrawing(QObject):
    """Draws what is not drawn yet; a slice that is accepted again is drawn again."""

    drawn = Signal(object, object)  # key, QImage

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pictures: dict[Hashable, QImage] = {}
        self._own: Own | None = None
        self._left: list[Place] = []
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.timeout.connect(self._draw_next)

    def get(self, key: Hashable) -> QImage | None:
        """A picture that is drawn already."""
        return self._pictures.get(key)

    def draw(self, own: Own | None, places: Sequence[Place]) -> None:
        """Draw these slices of a case, soon."""
        if own is None or self._own is None or own.work.volume is not self._own.work.volume:
            self._pictures = {}
        self._own = own
        self._left = [p for p in places if own is not None and own.key(p) not in self._pictures]
        if self._left:
            self._pause.start(_PAUSE)

    def stop(self) -> None:
        """Draw nothing more."""
        self._pause.stop()

    def _draw_next(self) -> None:
        own = self._own
        if own is None or not self._left:
            return
        place = self._left.pop(0)
        outlines = [(region, own.work.mask.structure(name).colour) for name, region in own.regions(place)]
        key = own.key(place)
        self._pictures[key] = slice_picture(own.work.volume, *place, outlines)
        self.drawn.emit(key, self._pictures[key])
        self._pause.start(_PAUSE)
