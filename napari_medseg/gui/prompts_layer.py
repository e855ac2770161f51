"""Prompts as ordinary napari layers: clicks as points, boxes, scribbles and lassos as shapes."""

from __future__ import annotations

from collections.abc import Iterable
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
_ON_SCREEN = 15  # pixels of a point at any zoom


class PromptLayers:
    """The two layers that show prompts, and the one being drawn.

    The layer of drawn prompts is hidden while none is on the slice on screen: napari builds the programs of
    its shapes anew for every frame, which costs as much as drawing the image. One that a person hid by its
    eye stays hidden.
    """

    def __init__(self, viewer: Viewer, display: Display) -> None:
        words: dict[str, Any] = {"ndim": 3, "metadata": {ROLE: "prompts"}, **display.placement}
        self._display, self._viewer = display, viewer
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
        self._wanted = self._hidden = False  # by what is drawn; by a person
        self._soon = QTimer()
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._turn)
        self.shapes.events.visible.connect(self._on_visible)

    def show(self, work: Work, plane: Plane, index: int) -> None:
        """Show the current structure's prompts on a plane; napari shows each on its slice."""
        prompts = tuple(p for p in work.prompts if (p.plane, p.structure) == (plane, work.current))
        drawn = [p for p in prompts if isinstance(p, Box | Scribble | Lasso)]
        if prompts != self._shown:
            self._show_points([p for p in prompts if isinstance(p, Point)])
            self._show_shapes([(*self._outline(p, work), _positive(p)) for p in drawn])
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
            self.shapes.selected_data = set()
            self.shapes.add([path], shape_type=[kind], edge_color=_colour(positive))

    def end_preview(self, n_before: int) -> None:
        """Take away what was shown while drawing."""
        extra = set(range(n_before, len(self.shapes.data)))
        if extra:
            self.shapes.selected_data = extra
            self.shapes.remove_selected()

    def _show_points(self, points: list[Point]) -> None:
        layer = self.points
        old = [p for p in self._shown if isinstance(p, Point)]
        if points == old:
            return
        if points[: len(old)] != old:
            layer.selected_data, old = set(), []
            layer.data = np.empty((0, 3))
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

    def _outline(self, prompt: Box | Scribble | Lasso, work: Work) -> tuple[NDArray[np.float64], str]:
        """Displayed corners of a drawn prompt and the kind of shape they make."""
        axis = work.volume.geometry.axis_of(prompt.plane)
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
