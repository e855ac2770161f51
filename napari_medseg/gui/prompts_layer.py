"""Prompts as ordinary napari layers: clicks as points, boxes, scribbles and lassos as shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from napari_medseg.core.geometry import Plane
from napari_medseg.core.prompts import Box, Lasso, Point, Prompt, Scribble, on_grid
from napari_medseg.gui.display import Display
from napari_medseg.gui.layers import ROLE
from napari_medseg.gui.work import Work

if TYPE_CHECKING:
    from napari.viewer import Viewer

# Blue and vermilion, told apart by most colour-blind readers; the symbols say it too.
INSIDE, OUTSIDE = "#56b4e9", "#d55e00"
_SYMBOLS = {True: "cross", False: "hbar"}
Drawn = Box | Scribble | Lasso
_ON_SCREEN = 15  # pixels of a point at any zoom


class PromptLayers:
    """The two layers that show prompts, and the one being drawn.

    The layer of drawn prompts is hidden while none is on the slice on screen: napari builds the programs of
    its shapes anew for every frame, which costs as much as drawing the image. One that a person hid by its
    eye stays hidden.

    Parameters
    ----------
    edited : callable
        Told of the prompts (but for masks) of the plane and structure shown, after a person changed them with
        napari's own tools.
    """

    def __init__(
        self, viewer: Viewer, display: Display, edited: Callable[[tuple[Prompt, ...]], None]
    ) -> None:
        words: dict[str, Any] = {"ndim": 3, "metadata": {ROLE: "prompts"}, **display.placement}
        self._display, self._viewer, self._edited = display, viewer, edited
        self.shapes = viewer.add_shapes(
            name="prompts: drawn",
            edge_width=_thin(display),
            face_color="transparent",
            visible=False,
            **words,
        )
        self.points = viewer.add_points(
            name="prompts: points",
            size=_ON_SCREEN,
            canvas_size_limits=(_ON_SCREEN, _ON_SCREEN),
            **words,
        )
        self._shown: tuple[Any, ...] = ()
        self._place: tuple[str, Plane, int] = "", "axial", 0  # structure, plane and its array axis
        self._wanted = self._hidden = False  # by what is drawn; by a person
        self._soon, self._done = QTimer(), QTimer()
        for timer, act in ((self._soon, self._turn), (self._done, self._read)):
            timer.setSingleShot(True)
            timer.timeout.connect(act)
        self.shapes.events.visible.connect(self._on_visible)
        for layer in (self.points, self.shapes):
            layer.events.data.connect(self._on_data)

    def show(self, work: Work, plane: Plane, index: int) -> None:
        """Show the current structure's prompts on a plane; napari shows each on its slice."""
        prompts = tuple(p for p in work.prompts if (p.plane, p.structure) == (plane, work.current))
        drawn = [p for p in prompts if isinstance(p, Box | Scribble | Lasso)]
        axis = work.volume.geometry.axis_of(plane)
        self._place = work.current, plane, axis
        if prompts != self._shown:
            with self._ours():
                self._show_points([p for p in prompts if isinstance(p, Point)])
                self._show_shapes([(*self._outline(p, axis), _positive(p)) for p in drawn])
            self._shown = prompts
        self._wanted = any(p.index == index for p in drawn)
        if self._wanted != self.shapes.visible:
            self._soon.start(0)  # in a turn of its own

    def _turn(self) -> None:
        """Show the drawn prompts when there is something to see, or when a person works on their layer."""
        active = self._viewer.layers.selection.active is self.shapes
        visible = (self._wanted or active) and not self._hidden
        if self.shapes in self._viewer.layers and self.shapes.visible != visible:
            with self.shapes.events.visible.blocker(self._on_visible):
                self.shapes.visible = visible

    def _on_visible(self, _event: Any = None) -> None:
        self._hidden = not self.shapes.visible

    def preview(self, path: NDArray[np.float64], kind: str, positive: bool) -> None:
        """Show what is being drawn; `path` is (N, 3) displayed indices."""
        if len(path) > 1:
            self._wanted = True
            self._turn()
            with self._ours():
                self.shapes.selected_data = set()
                self.shapes.add([path], shape_type=[kind], edge_color=_colour(positive))

    def end_preview(self, n_before: int) -> None:
        """Take away what was shown while drawing."""
        extra = set(range(n_before, len(self.shapes.data)))
        if extra:
            with self._ours():
                self.shapes.selected_data = extra
                self.shapes.remove_selected()

    @contextmanager
    def _ours(self) -> Iterator[None]:
        """What changes now is no person's doing."""
        points, shapes = self.points.events.data, self.shapes.events.data
        with points.blocker(self._on_data), shapes.blocker(self._on_data):
            yield

    def _on_data(self, event: Any) -> None:
        """Hear that a person did something there."""
        if event.action.value in ("added", "removed", "changed"):
            self._done.start(0)  # after napari has done its part

    def _read(self) -> None:
        """Read the prompts from the layers."""
        layer, shapes = self.points, self.shapes
        points = list(map(self._point, layer.data, (symbol.value for symbol in layer.symbol)))
        drawn = list(map(self._drawn, shapes.data, shapes.shape_type, shapes.edge_color))
        with self._ours():  # all is drawn anew, in our colours
            layer.selected_data, layer.data = set(), np.empty((0, 3))
            self._show_shapes([])
        self._shown = ()
        self._edited((*points, *(prompt for prompt in drawn if prompt is not None)))

    def _show_points(self, points: list[Point]) -> None:
        layer = self.points
        old = [p for p in self._shown if isinstance(p, Point)]
        if points == old:
            return
        if points[: len(old)] != old:
            layer.selected_data, old = set(), []
            layer.data = np.empty((0, 3))
        if points == old:
            return
        for positive, run in groupby(points[len(old) :], key=lambda p: p.positive):
            layer.current_face_color = layer.current_border_color = _colour(positive)
            layer.current_symbol, layer.current_size = _SYMBOLS[positive], _ON_SCREEN
            layer.add(np.array([self._display.to_display(p.at) for p in run]))
        layer.selected_data = set()

    def _show_shapes(self, shapes: list[tuple[NDArray[np.float64], str, bool]]) -> None:
        layer = self.shapes
        if not shapes and not len(layer.data):
            return
        layer.selected_data = set(range(len(layer.data)))
        layer.remove_selected()
        if shapes:
            layer.add(
                [path for path, _, _ in shapes],
                shape_type=[kind for _, kind, _ in shapes],
                edge_color=[_colour(positive) for _, _, positive in shapes],
            )
        layer.selected_data = set()

    def _point(self, at: NDArray[np.float64], symbol: str) -> Point:
        """The click that a point on screen stands for."""
        structure, plane, axis = self._place
        index = list(self._display.to_array(at))
        index[axis] = round(index[axis])
        return Point(structure, plane, (index[0], index[1], index[2]), symbol != _SYMBOLS[False])

    def _drawn(self, path: NDArray[np.float64], kind: str, colour: NDArray[np.float32]) -> Drawn | None:
        """The prompt that a shape on screen stands for; None for an ellipse or a single straight line."""
        structure, plane, axis = self._place
        at = np.array([self._display.to_array(corner) for corner in path])
        index, flat = round(float(at[:, axis].mean())), np.delete(at, axis, axis=1)
        positive = bool(colour[0] < colour[2])  # blue, not vermilion
        if kind == "rectangle":
            (r0, c0), (r1, c1) = flat.min(axis=0), flat.max(axis=0) + 1
            return Box(structure, plane, index, (float(r0), float(c0)), (float(r1), float(c1)))
        if kind == "path":
            return Scribble(structure, plane, index, flat, positive)
        return Lasso(structure, plane, index, flat, positive) if kind == "polygon" else None

    def _outline(self, prompt: Drawn, axis: int) -> tuple[NDArray[np.float64], str]:
        """Displayed corners of a drawn prompt and the kind of shape they make."""
        if isinstance(prompt, Box):
            (r0, c0), (r1, c1) = prompt.start, prompt.stop
            corners: Iterable[Any] = [(r0, c0), (r0, c1 - 1), (r1 - 1, c1 - 1), (r1 - 1, c0)]
            kind = "rectangle"
        else:
            corners, kind = prompt.path, "path" if isinstance(prompt, Scribble) else "polygon"
        at = [self._display.to_display(on_grid(r, c, prompt.index, axis)) for r, c in corners]
        return np.array(at), kind


def _positive(prompt: Prompt) -> bool:
    return getattr(prompt, "positive", True)


def _colour(positive: bool) -> str:
    return INSIDE if positive else OUTSIDE


def _thin(display: Display) -> float:
    """Line width in displayed pixels, fine on small images."""
    return max(max(display.shape) / 400, 0.5)
