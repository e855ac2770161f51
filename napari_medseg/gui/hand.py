"""The hand on the mouse: what is drawn on the canvas becomes a prompt, what is painted a stroke."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_medseg.core.prompts import Box, Lasso, Point, Prompt, Scribble, in_plane
from napari_medseg.gui import views
from napari_medseg.gui.screen import BRUSHES, Screen
from napari_medseg.gui.work import Spot, Work

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.viewer import Viewer

_SHAPES = {"box": "rectangle", "scribble": "path", "lasso": "path"}
_LEFT = 1  # the mouse button
_SMALLEST = 2.0  # pixels; a shorter drag was a slip of the hand


class Hand(QObject):
    """Follows the left button on the canvas, whichever layer is selected.

    Attributes
    ----------
    positive : bool
        Whether prompts mean inside.
    """

    prompted = Signal(object)  # a prompt
    stroked = Signal(object)  # (rows, columns) bool: the current structure on the slice on screen

    def __init__(self, screen: Screen, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._screen = screen
        self.positive = True
        self._seeded: Spot | None = None
        screen.painted.connect(self._on_paint)
        screen.viewer.mouse_drag_callbacks.append(self._drag)

    def close(self) -> None:
        """Let go of the mouse."""
        callbacks = self._screen.viewer.mouse_drag_callbacks
        if self._drag in callbacks:
            callbacks.remove(self._drag)

    def _on_paint(self, layer: Labels) -> None:
        """Take a stroke of napari's own tools as a wish, and give the layer back as it was."""
        screen, work = self._screen, self._screen.work
        assert work is not None
        plane, index = screen.place
        value = work.proposal.places[work.current][1]
        array = work.proposal.arrays[screen.masks.proposal.index(layer)]
        painted = (array[work.slab(plane, index)] == value).squeeze(work.volume.geometry.axis_of(plane))
        screen.give_back(layer)
        self._unseed()
        self.stroked.emit(painted)

    def _drag(self, viewer: Viewer, event: Any) -> Generator[None, None, None]:
        """The left button draws a prompt, or lets the brush begin from what is accepted."""
        screen, work = self._screen, self._screen.work
        if event.button != _LEFT or work is None or screen.display is None or viewer.dims.ndisplay != 2:
            return
        if screen.tool in BRUSHES:
            yield from self._seed(work, event)
        elif screen.tool and not self._other_tool():
            yield from self._draw(work, event)

    def _other_tool(self) -> bool:
        """Whether a person works with napari's own tools on a layer."""
        active = self._screen.viewer.layers.selection.active
        return active is not None and str(getattr(active, "mode", "pan_zoom")) != "pan_zoom"

    def _seed(self, work: Work, event: Any) -> Generator[None, None, None]:
        """Let the brush go on from the accepted outline; an empty stroke leaves no trace."""
        spot = (work.current, *self._screen.place)
        accepted = work.mask.on_slice(*spot)
        if spot in work.pending or not accepted.any():
            return
        work.proposal.put_slice(*spot, accepted)
        self._seeded = spot
        self._screen.redraw_proposal()
        yield
        while event.type == "mouse_move":
            yield
        QTimer.singleShot(0, self._unseed)  # after the layer has told of its stroke, if there was one

    def _unseed(self) -> None:
        """Take the brush's beginning away again."""
        work = self._screen.work
        if self._seeded is not None and work is not None:
            work.proposal.put_slice(*self._seeded, np.zeros_like(work.mask.on_slice(*self._seeded)))
            self._screen.redraw_proposal()
        self._seeded = None

    def _draw(self, work: Work, event: Any) -> Generator[None, None, None]:
        """Follow the mouse and make a prompt of its way."""
        screen = self._screen
        assert screen.display is not None and screen.prompts is not None
        event.handled = True
        positive = self.positive != ("Control" in event.modifiers)
        path = [views.at_world(screen.display, event.position)]
        n_before = len(screen.prompts.shapes.data)
        yield
        while event.type == "mouse_move":
            event.handled = True
            path.append(views.at_world(screen.display, event.position))
            if screen.tool in _SHAPES:
                self._preview(path, positive, n_before)
            yield
        screen.prompts.end_preview(n_before)
        given = self._prompt(work, np.array(path), positive)
        if given is not None:
            self.prompted.emit(given)

    def _preview(self, path: list[Any], positive: bool, n_before: int) -> None:
        """Show what is being drawn."""
        screen = self._screen
        assert screen.display is not None and screen.prompts is not None
        screen.prompts.end_preview(n_before)
        shown = np.array([screen.display.to_display(at) for at in path])
        if screen.tool == "box":
            a, b = screen.viewer.dims.order[-2:]
            corners = np.repeat(shown[:1], 4, axis=0)
            corners[1:3, b], corners[2:4, a] = shown[-1, b], shown[-1, a]
            shown = corners
        screen.prompts.preview(shown, _SHAPES[screen.tool], positive)

    def _prompt(self, work: Work, path: Any, positive: bool) -> Prompt | None:
        """Make a prompt of a path (N, 3) of array indices; None when it is too small to mean anything."""
        plane, index = self._screen.place
        axis = work.volume.geometry.axis_of(plane)
        path[:, axis] = index
        if self._screen.tool == "point":
            z, y, x = map(float, path[0])
            return Point(work.current, plane, (z, y, x), positive)
        flat = np.array([in_plane(tuple(at), axis) for at in path])
        low, high = flat.min(axis=0), flat.max(axis=0)
        if (high - low).max() < _SMALLEST:
            return None
        if self._screen.tool == "box":
            (r0, c0), (r1, c1) = np.floor(low + 0.5), np.floor(high + 1.5)
            return Box(work.current, plane, index, (float(r0), float(c0)), (float(r1), float(c1)))
        kind = Scribble if self._screen.tool == "scribble" else Lasso
        return kind(work.current, plane, index, flat, positive)
