"""The small pictures in napari's list of layers, drawn anew when the person rests and not at every slice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from napari_medseg.gui.layers import ROLE

if TYPE_CHECKING:
    from napari.viewer import Viewer

_REST = 250  # milliseconds without a change


class Thumbnails:
    """Holds back the thumbnails of masks and prompts; each takes napari a few milliseconds.

    Parameters
    ----------
    viewer : Viewer
        Whose layers with a role of ours, but for images, are looked after.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._stale: list[Any] = []
        self._rest = QTimer()
        self._rest.setSingleShot(True)
        self._rest.timeout.connect(self._draw_next)
        viewer.layers.events.inserted.connect(self._on_insert)
        viewer.dims.events.current_step.connect(self.later)
        viewer.dims.events.order.connect(self.later)

    def close(self) -> None:
        """Let go of the viewer."""
        self._rest.stop()
        for layer in [la for la in self._viewer.layers if _ours(la) and la.events.thumbnail.blocked()]:
            layer.events.thumbnail.unblock()
        self._viewer.layers.events.inserted.disconnect(self._on_insert)
        self._viewer.dims.events.current_step.disconnect(self.later)
        self._viewer.dims.events.order.disconnect(self.later)

    def later(self, _event: Any = None) -> None:
        """Draw them once nothing has changed for a moment."""
        self._stale = [la for la in self._viewer.layers if _ours(la)]
        self._rest.start(_REST)

    def _on_insert(self, event: Any) -> None:
        if _ours(event.value):
            event.value.events.thumbnail.block()

    def _draw_next(self) -> None:
        """Draw one, and the others in turns of their own."""
        while self._stale:
            layer = self._stale.pop()
            if layer.visible and layer in self._viewer.layers:
                layer.events.thumbnail.unblock()
                layer.refresh(data_displayed=False, highlight=False, extent=False)
                layer.events.thumbnail.block()
                self._rest.start(0)
                return


def _ours(layer: Any) -> bool:
    return layer.metadata.get(ROLE) in ("mask", "proposal", "prompts")
