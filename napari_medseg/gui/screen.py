"""The napari side of the bench: the layers of the case, and what the mouse draws on them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Literal

from qtpy.QtCore import QObject, Signal

from napari_medseg.core.geometry import Plane
from napari_medseg.gui import views
from napari_medseg.gui.display import Display
from napari_medseg.gui.doubt_layer import DOUBT, DoubtLayer
from napari_medseg.gui.jobs import Steps
from napari_medseg.gui.layers import KEY, ROLE, add_volume, redraw
from napari_medseg.gui.mask_layers import MaskLayers
from napari_medseg.gui.prompts_layer import PromptLayers
from napari_medseg.gui.thumbnails import Thumbnails
from napari_medseg.gui.work import Work

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.viewer import Viewer

Tool = Literal["", "point", "box", "scribble", "lasso", "brush", "eraser"]
BRUSHES = {"brush": "paint", "eraser": "erase"}
_ROLES = ("image", "mask", "proposal", "prompts", DOUBT)


class Screen(QObject):
    """Shows one case in a napari viewer and says what a person draws there.

    Attributes
    ----------
    tool : str
        What the left button does; "" moves the camera.
    work : Work or None
        What is shown.
    masks : MaskLayers
        Those of the mask and of the proposal.
    """

    painted = Signal(object)  # a proposal's layer that was just painted on
    edited = Signal(object)  # the prompts on screen, but for masks, changed with napari's own tools
    moved = Signal()
    tool_changed = Signal(str)
    size_changed = Signal(int)  # of the brush
    image_added = Signal(object)  # an Image layer that is not ours yet

    def __init__(self, viewer: Viewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.display: Display | None = None
        self.tool: Tool = ""
        self.work: Work | None = None
        self.masks = MaskLayers(viewer, self._take)
        self.doubt = DoubtLayer(viewer)
        self.prompts: PromptLayers | None = None
        self._size = 10
        self._stages = Steps(self)
        self._thumbnails = Thumbnails(viewer)
        self._busy = False
        viewer.dims.events.current_step.connect(self._on_move)
        viewer.dims.events.order.connect(self._on_move)
        viewer.layers.events.inserted.connect(self._on_insert)
        viewer.layers.selection.events.active.connect(self._on_active)

    def close(self) -> None:
        """Let go of the viewer."""
        viewer = self.viewer
        self._thumbnails.close()
        self.doubt.close()
        viewer.dims.events.current_step.disconnect(self._on_move)
        viewer.dims.events.order.disconnect(self._on_move)
        viewer.layers.events.inserted.disconnect(self._on_insert)
        viewer.layers.selection.events.active.disconnect(self._on_active)

    @property
    def place(self) -> tuple[Plane, int]:
        """The plane and the array index of the slice on screen."""
        assert self.display is not None
        return views.plane(self.viewer, self.display), views.current_index(self.viewer, self.display)

    def go_to(self, index: int) -> None:
        """Show another slice of the plane on screen."""
        if self.display is not None:
            views.set_index(self.viewer, self.display, index)

    def begin(self, work: Work, then: Callable[[], None]) -> None:
        """Put a case on screen in place of the one before, a layer at a time, then do the next thing."""
        self._stages.start(self._beginning(work), then)

    def _beginning(self, work: Work) -> Generator[None, None, None]:
        """The layers of a case, from below; each takes napari a moment, in which the window lives."""
        self.display, self.work, self.prompts = None, None, None
        self.masks.begin()
        display = Display(work.volume.geometry)
        stages: tuple[Callable[[], object], ...] = (
            lambda: self._clear(work),
            lambda: self.masks.show_mask(work, display),
            lambda: self.masks.show_proposal(work, display),
            lambda: self._finish(work, display, PromptLayers(self.viewer, display, self.edited.emit)),
            self._warm_up,
        )
        for stage in stages:
            self._busy = True
            stage()
            self._busy = False
            yield

    def _clear(self, work: Work) -> None:
        """Take the case before away and show the image, if it is not there already."""
        for layer in [la for la in self.viewer.layers if la.metadata.get(ROLE) in _ROLES]:
            if layer.metadata.get(KEY) is not work.volume or layer.metadata[ROLE] != "image":
                self.viewer.layers.remove(layer)
        if not any(layer.metadata.get(KEY) is work.volume for layer in self.viewer.layers):
            add_volume(self.viewer, work.volume)

    def _finish(self, work: Work, display: Display, prompts: PromptLayers) -> None:
        """Turn the view and show the rest."""
        views.attach(self.viewer)
        views.set_plane(self.viewer, display, work.volume.geometry.native_plane)
        self.display, self.prompts = display, prompts
        self.show(work)
        self.viewer.layers.selection.active = self._brush_layer()
        self.set_tool(self.tool)

    def _warm_up(self) -> None:
        """Let napari make the brush's circle now rather than at the first stroke."""
        layer = self._brush_layer()
        if layer is not None and self.tool not in BRUSHES:
            layer.mode = "paint"
            layer.mode = "pan_zoom"

    def show(self, work: Work) -> None:
        """Show the work as it stands; only what differs is touched."""
        if self.display is None or self.prompts is None:
            return
        self._busy = True
        before, self.work = self.work, work
        active = self.viewer.layers.selection.active
        self.masks.show(before, work, self.display)
        self.prompts.show(work, *self.place)
        self.doubt.show(work, self.display, *self.place)
        if self.viewer.layers.selection.active is not active:
            known = active in self.viewer.layers
            self.viewer.layers.selection.active = active if known else self._brush_layer()
        self._arm()
        self._thumbnails.later()
        self._busy = False

    def hide(self, names: frozenset[str]) -> None:
        """Show all structures but these."""
        self.masks.hidden = names
        if self.work is not None and self.display is not None:
            self._busy = True
            self.masks.show(None, self.work, self.display)
            self._busy = False

    def show_doubt(self, shown: bool) -> None:
        """Show how unsure the method is of what is proposed, or not."""
        self.doubt.enabled = shown
        if self.work is not None:
            self.show(self.work)

    def _take(self, layer: Labels) -> None:
        """Hear what is painted on a new layer of the proposal."""
        layer.events.paint.connect(self._on_paint)
        layer.events.brush_size.connect(self._on_size)
        layer.brush_size = self._size

    def set_tool(self, tool: Tool) -> None:
        """Choose what the left button does."""
        self.tool = tool
        layer = self._brush_layer()
        if layer is not None:
            self._busy = True
            if tool:
                self.viewer.layers.selection.active = layer
            layer.mode = BRUSHES.get(tool, "pan_zoom")
            self._arm()
            self._busy = False
        self.tool_changed.emit(tool)

    def set_brush_size(self, size: int) -> None:
        """Make the brush and the eraser wider or narrower, in pixels."""
        self._size = size
        for layer in self.masks.proposal:
            if layer.brush_size != size:
                layer.brush_size = size

    def _on_size(self, event: Any) -> None:
        if event.source.brush_size != self._size:
            self.set_brush_size(int(event.source.brush_size))
            self.size_changed.emit(self._size)

    def _brush_layer(self) -> Labels | None:
        """The layer that holds the current structure's proposal."""
        work = self.work
        if work is None or not self.masks.proposal:
            return None
        return self.masks.proposal[work.proposal.places[work.current][0]]

    def _arm(self) -> None:
        """Give the brush the current structure's value."""
        layer = self._brush_layer()
        if layer is None or self.work is None:
            return
        for other in self.masks.proposal:
            if other is not layer and other.mode != "pan_zoom":
                other.mode = "pan_zoom"
        value = self.work.proposal.places[self.work.current][1]
        if layer.selected_label != value:
            layer.selected_label = value
        if self.tool in BRUSHES:
            layer.mode = BRUSHES[self.tool]
            self.viewer.layers.selection.active = layer
        layer.preserve_labels = False

    def _on_move(self, _event: Any = None) -> None:
        if self.prompts is not None and self.work is not None and not self._busy:
            self.prompts.show(self.work, *self.place)
            if self.doubt.enabled:
                self.show(self.work)
            self.moved.emit()

    def _on_insert(self, event: Any) -> None:
        if not self._busy and type(event.value).__name__ == "Image":
            self.image_added.emit(event.value)

    def _on_active(self, event: Any) -> None:
        """The brush paints on the proposal only: another layer in hand puts it down."""
        if not self._busy and self.tool in BRUSHES and event.value is not self._brush_layer():
            self.set_tool("")

    def _on_paint(self, event: Any) -> None:
        if not self._busy and self.work is not None and event.source in self.masks.proposal:
            self.painted.emit(event.source)

    def give_back(self, layer: Labels) -> None:
        """Make a layer as it was before the last stroke on it."""
        self._busy = True
        layer.undo()
        self._busy = False

    def redraw_proposal(self) -> None:
        """Draw the proposal on screen again."""
        redraw(self.masks.proposal)
