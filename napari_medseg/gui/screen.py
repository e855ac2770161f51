"""The napari side of the bench: the layers of the case, and what the mouse draws on them."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakSet

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Mask
from napari_medseg.core.prompts import Box, Lasso, Point, Scribble, in_plane
from napari_medseg.gui import views
from napari_medseg.gui.layers import KEY, ROLE, Display, add_mask, add_volume, redraw
from napari_medseg.gui.prompts_layer import PromptLayers
from napari_medseg.gui.work import Spot, Work

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.viewer import Viewer

Tool = Literal["", "point", "box", "scribble", "lasso", "brush", "eraser"]
_BRUSHES = {"brush": "paint", "eraser": "erase"}
_SHAPES = {"box": "rectangle", "scribble": "path", "lasso": "path"}
_LEFT = 1
_ROLES = ("image", "mask", "proposal", "prompts")


class Screen(QObject):
    """Shows one case in a napari viewer and says what a person draws there.

    Attributes
    ----------
    tool : str
        What the left button does; "" moves the camera.
    positive : bool
        Whether prompts mean inside.
    """

    prompted = Signal(object)  # a prompt
    stroked = Signal(object)  # (rows, columns) bool: the current structure on the slice on screen
    moved = Signal()
    tool_changed = Signal(str)
    size_changed = Signal(int)  # of the brush
    image_added = Signal(object)  # an Image layer that is not ours yet

    def __init__(self, viewer: Viewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.display: Display | None = None
        self.tool: Tool = ""
        self.positive = True
        self.hidden: frozenset[str] = frozenset()
        self._work: Work | None = None
        self._masks: dict[str, list[Labels]] = {"mask": [], "proposal": []}
        self._drawn: dict[str, Any] = {}
        self._prompts: PromptLayers | None = None
        self._seeded: Spot | None = None
        self._heard: WeakSet[Labels] = WeakSet()
        self._size = 10
        self._busy = False
        viewer.mouse_drag_callbacks.append(self._drag)
        viewer.dims.events.current_step.connect(self._on_move)
        viewer.dims.events.order.connect(self._on_move)
        viewer.layers.events.inserted.connect(self._on_insert)
        viewer.layers.selection.events.active.connect(self._on_active)

    def close(self) -> None:
        """Let go of the viewer."""
        viewer = self.viewer
        if self._drag in viewer.mouse_drag_callbacks:
            viewer.mouse_drag_callbacks.remove(self._drag)
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

    def begin(self, work: Work) -> None:
        """Put a case on screen in place of the one before."""
        self._busy = True
        shown = [la for la in self.viewer.layers if la.metadata.get(KEY) is work.volume]
        for layer in [la for la in self.viewer.layers if la.metadata.get(ROLE) in _ROLES]:
            if layer not in shown or layer.metadata[ROLE] != "image":
                self.viewer.layers.remove(layer)
        self.display = Display(work.volume.geometry)
        if not any(la.metadata[ROLE] == "image" for la in shown):
            add_volume(self.viewer, work.volume)
        self._masks, self._drawn, self._work = {"mask": [], "proposal": []}, {}, None
        for role, mask in (("mask", work.mask), ("proposal", work.proposal)):
            self._show_mask(role, mask)
        self._prompts = PromptLayers(self.viewer, self.display)
        views.attach(self.viewer)
        views.set_plane(self.viewer, self.display, work.volume.geometry.native_plane)
        self._busy = False
        self.show(work)
        self.viewer.layers.selection.active = self._brush_layer()
        self.set_tool(self.tool)

    def show(self, work: Work) -> None:
        """Show the work as it stands; only what differs is touched."""
        if self.display is None or self._prompts is None:
            return
        self._busy = True
        for role, mask in (("mask", work.mask), ("proposal", work.proposal)):
            self._show_mask(role, mask)
        self._prompts.show(work, self.place[0])
        self._work = work
        self._arm()
        self._busy = False

    def _show_mask(self, role: str, mask: Mask) -> None:
        assert self.display is not None
        seen = replace(mask, places={n: p for n, p in mask.places.items() if n not in self.hidden})
        colours = tuple((s.name, s.colour) for s in mask.structures)
        key = (tuple(map(id, mask.arrays)), dict(seen.places), colours)
        if self._drawn.get(role) == key:
            redraw(self._masks[role])
            return
        self._masks[role] = add_mask(self.viewer, seen, self.display, role)
        redraw(self._masks[role])
        self._drawn[role] = key
        for layer in self._masks[role]:
            layer.editable = role == "proposal"
            if role == "proposal" and layer not in self._heard:
                self._heard.add(layer)
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
            layer.mode = _BRUSHES.get(tool, "pan_zoom")
            self._arm()
            self._busy = False
        self.tool_changed.emit(tool)

    def set_brush_size(self, size: int) -> None:
        """Make the brush and the eraser wider or narrower, in pixels."""
        self._size = size
        for layer in self._masks["proposal"]:
            if layer.brush_size != size:
                layer.brush_size = size

    def _on_size(self, event: Any) -> None:
        if event.source.brush_size != self._size:
            self.set_brush_size(int(event.source.brush_size))
            self.size_changed.emit(self._size)

    def _brush_layer(self) -> Labels | None:
        """The layer that holds the current structure's proposal."""
        work = self._work
        if work is None or not self._masks["proposal"]:
            return None
        return self._masks["proposal"][work.proposal.places[work.current][0]]

    def _arm(self) -> None:
        """Give the brush the current structure's value."""
        layer = self._brush_layer()
        if layer is None or self._work is None:
            return
        for other in self._masks["proposal"]:
            if other is not layer and other.mode != "pan_zoom":
                other.mode = "pan_zoom"
        value = self._work.proposal.places[self._work.current][1]
        if layer.selected_label != value:
            layer.selected_label = value
        if self.tool in _BRUSHES and layer.mode != _BRUSHES[self.tool]:
            layer.mode = _BRUSHES[self.tool]
            self.viewer.layers.selection.active = layer
        layer.preserve_labels = False

    def _on_move(self, _event: Any = None) -> None:
        if self.display is not None and not self._busy and self._work is not None:
            assert self._prompts is not None
            self._prompts.show(self._work, self.place[0])
            self.moved.emit()

    def _on_insert(self, event: Any) -> None:
        if not self._busy and type(event.value).__name__ == "Image":
            self.image_added.emit(event.value)

    def _on_active(self, event: Any) -> None:
        """The brush paints on the proposal only: another layer in hand puts it down."""
        if not self._busy and self.tool in _BRUSHES and event.value is not self._brush_layer():
            self.set_tool("")

    def _on_paint(self, event: Any) -> None:
        """Take a stroke of napari's own tools as what a person wants, and give the layer back as it was."""
        work, layer = self._work, event.source
        if self._busy or work is None or layer not in self._masks["proposal"]:
            return
        plane, index = self.place
        value = work.proposal.places[work.current][1]
        array = work.proposal.arrays[self._masks["proposal"].index(layer)]
        painted = np.take(array, index, axis=work.volume.geometry.axis_of(plane)) == value
        self._busy = True
        layer.undo()
        self._busy = False
        self._unseed()
        self.stroked.emit(painted)

    def _drag(self, viewer: Viewer, event: Any) -> Generator[None, None, None]:
        """The left button draws a prompt, or seeds the brush with what is accepted."""
        work = self._work
        if event.button != _LEFT or work is None or self.display is None or viewer.dims.ndisplay != 2:
            return
        if self.tool in _BRUSHES:
            yield from self._seed(work, event)
        elif self.tool and not self._other_tool():
            yield from self._draw(work, event)

    def _other_tool(self) -> bool:
        """Whether a person works with napari's own tools on a layer of theirs."""
        active = self.viewer.layers.selection.active
        return active is not None and str(getattr(active, "mode", "pan_zoom")) != "pan_zoom"

    def _seed(self, work: Work, event: Any) -> Generator[None, None, None]:
        """Let the brush go on from the accepted outline; an empty stroke leaves no trace."""
        plane, index = self.place
        spot = (work.current, plane, index)
        if spot in work.pending:
            return
        accepted = work.mask.on_slice(*spot)
        if not accepted.any():
            return
        work.proposal.put_slice(*spot, accepted)
        self._seeded = spot
        redraw(self._masks["proposal"])
        yield
        while event.type == "mouse_move":
            yield
        QTimer.singleShot(0, self._unseed)  # after the layer has told of its stroke, if there was one

    def _unseed(self) -> None:
        """Take the brush's starting outline away again."""
        if self._seeded is not None and self._work is not None:
            nothing = np.zeros_like(self._work.mask.on_slice(*self._seeded))
            self._work.proposal.put_slice(*self._seeded, nothing)
            redraw(self._masks["proposal"])
        self._seeded = None

    def _draw(self, work: Work, event: Any) -> Generator[None, None, None]:
        """Follow the mouse and make a prompt of its way."""
        assert self.display is not None and self._prompts is not None
        event.handled = True
        positive = self.positive != ("Control" in event.modifiers)
        path = [views.at_world(self.display, event.position)]
        n_before = len(self._prompts.shapes.data)
        yield
        while event.type == "mouse_move":
            event.handled = True
            path.append(views.at_world(self.display, event.position))
            if self.tool in _SHAPES:
                self._preview(path, positive, n_before)
            yield
        self._prompts.end_preview(n_before)
        given = self._prompt(work, np.array(path), positive)
        if given is not None:
            self.prompted.emit(given)

    def _preview(self, path: list[Any], positive: bool, n_before: int) -> None:
        assert self.display is not None and self._prompts is not None
        self._prompts.end_preview(n_before)
        shown = np.array([self.display.to_display(at) for at in path])
        if self.tool == "box":
            dims = [d for d in range(3) if d != self.viewer.dims.order[-3]]
            (a, b), corners = dims, np.repeat(shown[:1], 4, axis=0)
            corners[1:3, b], corners[2:4, a] = shown[-1, b], shown[-1, a]
            shown = corners
        self._prompts.preview(shown, _SHAPES[self.tool], positive)

    def _prompt(self, work: Work, path: Any, positive: bool) -> Any:
        """Make a prompt of a path (N, 3) of array indices; None when it is too small to mean anything."""
        plane, index = self.place
        axis = work.volume.geometry.axis_of(plane)
        flat = np.array([in_plane(tuple(at), axis) for at in path])
        if self.tool == "point":
            at = path[0].copy()
            at[axis] = index
            return Point(work.current, plane, tuple(map(float, at)), positive)
        low, high = flat.min(axis=0), flat.max(axis=0)
        if (high - low).max() < 2:
            return None
        if self.tool == "box":
            start, stop = np.floor(low + 0.5), np.floor(high + 1.5)
            return Box(work.current, plane, index, tuple(map(float, start)), tuple(map(float, stop)))
        kind = Scribble if self.tool == "scribble" else Lasso
        return kind(work.current, plane, index, flat, positive)
