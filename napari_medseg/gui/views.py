"""The plane on screen: switching it at one point, its orientation letters and what must be said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from napari_medseg.core.geometry import PLANES, Geometry, Plane
from napari_medseg.gui import windowing
from napari_medseg.gui.layers import Display, volume_of

if TYPE_CHECKING:
    from napari.viewer import Viewer

_EDGES = ("top_center", "bottom_center", "middle_left", "middle_right")
_NOTE = "medseg_note"
_ZOOMED = 1.2  # times the fitting zoom from which on a person's zoom is kept when the plane changes
PLANE_KEYS: dict[str, Plane] = {"8": "axial", "9": "coronal", "0": "sagittal"}


def plane(viewer: Viewer, display: Display) -> Plane:
    """The plane on screen."""
    dim = viewer.dims.order[-3]
    return next(name for name in PLANES if display.dim_of(name) == dim)


def current_index(viewer: Viewer, display: Display) -> int:
    """Array index of the slice on screen, counted along the plane's array axis."""
    return round(crosshair(viewer, display)[display.geometry.axis_of(plane(viewer, display))])


def crosshair(viewer: Viewer, display: Display) -> tuple[float, float, float]:
    """Array index (z, y, x) of the point all three planes pass through."""
    return at_world(display, viewer.dims.point[-3:])


def at_world(display: Display, position: ArrayLike) -> tuple[float, float, float]:
    """Array index (z, y, x), held inside the image, of a position in napari's world such as a click."""
    at = np.asarray(position, dtype=np.float64)[-3:] / display.scale
    return display.to_array(np.clip(at, 0, np.subtract(display.shape, 1)))


def go_to(viewer: Viewer, display: Display, at: ArrayLike) -> None:
    """Move all three planes to an array index (z, y, x)."""
    viewer.dims.point = tuple(np.multiply(display.to_display(at), display.scale))


def set_index(viewer: Viewer, display: Display, index: int) -> None:
    """Show another slice of the plane on screen, by its array index."""
    at = list(crosshair(viewer, display))
    at[display.geometry.axis_of(plane(viewer, display))] = index
    go_to(viewer, display, at)


def set_plane(viewer: Viewer, display: Display, name: Plane, at: ArrayLike | None = None) -> None:
    """Show another plane through the same point, or through the array index `at`.

    A person who has zoomed in stays zoomed in on that point; otherwise the slice fills the canvas.
    """
    if at is not None:
        go_to(viewer, display, at)
    camera = viewer.scene.camera
    zoom = camera.zoom
    viewer.fit_to_view()
    zoomed = zoom > _ZOOMED * camera.zoom
    viewer.dims.order = display.order(name)
    viewer.fit_to_view()
    if zoomed:
        camera.zoom = zoom
        camera.center = tuple(viewer.dims.point[dim] for dim in viewer.dims.order[-2:])


def letters(display: Display, name: Plane) -> tuple[str, str, str, str]:
    """Body letters at the top, bottom, left and right edge of a plane, "" where unknown."""
    if not display.geometry.oriented:
        return "", "", "", ""
    _, down, right = display.order(name)
    ends = ("S", "I"), ("A", "P"), ("R", "L")
    return *ends[down], *ends[right]


def note(geometry: Geometry) -> str:
    """What the person must know about how the image is shown, "" when there is nothing to say."""
    said = []
    if geometry.oriented and geometry.obliqueness_degrees > 1:
        said.append(f"Oblique by {geometry.obliqueness_degrees:.0f}°: shown on its own slices.")
    if geometry.is_sheared:
        said.append("Sheared grid: shown at right angles, angles are not true.")
    if not geometry.regular:
        said.append("Slices are not evenly spaced: shown slice by slice.")
    if not geometry.spacing_known:
        said.append("No size in mm: lengths are in pixels.")
    return "\n".join(said)


def attach(viewer: Viewer) -> None:
    """Put letters, notes, windows and a scale bar on a canvas, and planes on keys; again is harmless."""
    from napari.components.overlays import TextOverlay

    overlays = viewer.canvas.overlays
    if _NOTE not in overlays:
        for edge in _EDGES:
            overlays[f"medseg_{edge}"] = TextOverlay(position=edge, font_size=14)
        overlays[_NOTE] = TextOverlay(position="top_left", font_size=9)
        overlays.scale_bar.visible = True
        viewer.canvas.background_color_override = "black"  # in the light theme too: images are read on black
        for event in (viewer.dims.events.order, viewer.dims.events.ndisplay):
            event.connect(lambda _event: label(viewer))
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            event.connect(lambda _event: label(viewer))
        for key in PLANE_KEYS:
            viewer.bind_key(key, _switch(PLANE_KEYS[key]), overwrite=True)
    windowing.attach(viewer)
    label(viewer)


def label(viewer: Viewer) -> None:
    """Write letters and notes for the plane on screen."""
    volume = volume_of(viewer)
    texts: tuple[str, ...] = ("",) * 5
    if volume is not None:
        display = Display(volume.geometry)
        flat = viewer.dims.ndisplay == 2
        texts = (*(letters(display, plane(viewer, display)) if flat else texts[:4]), note(volume.geometry))
    for key, text in zip((*(f"medseg_{edge}" for edge in _EDGES), _NOTE), texts, strict=True):
        overlay: Any = viewer.canvas.overlays[key]
        overlay.text = text
        overlay.visible = bool(text)


def _switch(name: Plane) -> Any:
    """Make the key's action: show a plane through the point under the mouse."""

    def show(viewer: Viewer) -> None:
        volume = volume_of(viewer)
        if volume is not None and not volume.geometry.is_2d:
            display = Display(volume.geometry)
            set_plane(viewer, display, name, _under_mouse(viewer, display))

    return show


def _under_mouse(viewer: Viewer, display: Display) -> tuple[float, float, float] | None:
    """Array index under the mouse when it is over the image in 2-D."""
    position = np.asarray(viewer.cursor.position, dtype=np.float64)
    if viewer.dims.ndisplay != 2 or len(position) < 3:
        return None
    at = position[-3:] / display.scale
    inside = bool(np.all((at > -0.5) & (at < np.subtract(display.shape, 0.5))))
    return at_world(display, position) if inside else None
