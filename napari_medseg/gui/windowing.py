"""Grey values on screen: window presets on a key, width and centre by dragging with the right button."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from napari_medseg.core.volume import Window
from napari_medseg.gui.layers import KEY, OPENING, ROLE
from napari_medseg.imaging.window import CT, presets

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

_TEXT = "medseg_window"
_RIGHT = 2  # the mouse button
_DOUBLING = 150.0  # pixels of horizontal drag that double or halve the width
_CENTRING = 300.0  # pixels of vertical drag that move the centre by one width
# Modes of a Labels layer in which napari itself uses the right button: lasso fill and closing a polygon.
_TAKEN = ("paint", "polygon")


def image_of(viewer: Viewer) -> Image | None:
    """The grey image a window applies to: the active one if it is ours, else the lowest visible one."""
    ours = [layer for layer in viewer.layers if layer.metadata.get(ROLE) == "image" and not layer.rgb]
    active = viewer.layers.selection.active
    if active in ours:
        return active
    return next((layer for layer in ours if layer.visible), None)


def choices(layer: Image) -> tuple[Window, ...]:
    """Windows to go through: the file's own and those of its modality, else the one it opened with.

    Where the modality is unknown, as in every NIfTI file, those for CT are offered too.
    """
    volume = layer.metadata[KEY]
    offered = presets(volume) or (layer.metadata[OPENING], *(() if volume.modality else CT))
    return tuple({preset.limits: preset for preset in offered}.values())


def window(layer: Image) -> Window:
    """The window an image is shown with, with the name of the preset if it is one."""
    low, high = (float(limit) for limit in layer.contrast_limits)
    for preset in choices(layer):
        if preset.limits == (low, high):
            return preset
    return Window((low + high) / 2, high - low)


def set_window(layer: Image, chosen: Window) -> None:
    """Show an image with a window."""
    layer.contrast_limits = chosen.limits


def next_preset(viewer: Viewer, step: int = 1) -> Window | None:
    """Go on to the next window preset of the image; None where there is no grey image."""
    layer = image_of(viewer)
    if layer is None:
        return None
    offered, now = choices(layer), window(layer)
    position = offered.index(now) + step if now in offered else 0
    set_window(layer, offered[position % len(offered)])
    return window(layer)


def drag(viewer: Viewer, event: Any) -> Generator[None, None, None]:
    """Mouse callback: right button, to the right widens, downwards raises the centre (as in OHIF).

    The window depends on where the mouse is, not on its way there: back at the start it is exactly as before.
    """
    layer = image_of(viewer)
    active = viewer.layers.selection.active
    mode = str(getattr(active, "mode", ""))
    if event.button != _RIGHT or event.modifiers or layer is None or mode in _TAKEN:
        return
    event.handled = True
    x, y = event.pos
    start, before = window(layer), tuple(layer.contrast_limits)
    yield
    while event.type == "mouse_move":
        event.handled = True
        right, down = event.pos[0] - x, event.pos[1] - y
        if right or down:
            centre = start.centre + start.width * down / _CENTRING
            set_window(layer, Window(centre, start.width * 2.0 ** (right / _DOUBLING)))
        else:
            layer.contrast_limits = before
        yield
    event.handled = True


def attach(viewer: Viewer) -> None:
    """Put the window on keys, mouse and canvas of a viewer; again is harmless."""
    from napari.components.overlays import TextOverlay

    overlays = viewer.canvas.overlays
    if _TEXT in overlays:
        return
    overlays[_TEXT] = TextOverlay(position="top_right", font_size=9)
    viewer.mouse_drag_callbacks.append(drag)
    viewer.bind_key("w", lambda viewer: next_preset(viewer) and None, overwrite=True)
    viewer.bind_key("Shift-w", lambda viewer: next_preset(viewer, -1) and None, overwrite=True)
    viewer.layers.events.inserted.connect(lambda event: _follow(viewer, event.value))
    viewer.layers.events.removed.connect(lambda _event: label(viewer))
    for layer in viewer.layers:
        _follow(viewer, layer)


def _follow(viewer: Viewer, layer: Any) -> None:
    """Write the window anew whenever this image's contrast changes."""
    if layer.metadata.get(ROLE) == "image" and not layer.rgb:
        layer.events.contrast_limits.connect(lambda _event: label(viewer))
        label(viewer)


def label(viewer: Viewer) -> None:
    """Write the window on the canvas, such as "Lung  W 1500  C -600"."""
    layer = image_of(viewer)
    text = viewer.canvas.overlays[_TEXT]
    if layer is not None:
        now = window(layer)
        text.text = f"{now.name}  W {now.width:.4g}  C {now.centre:.4g}".strip()
    text.visible = layer is not None
