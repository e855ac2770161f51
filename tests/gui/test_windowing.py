"""Windows on key and mouse, with real mouse events on the canvas of a real viewer."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_medseg.core.geometry import Geometry
from napari_medseg.core.mask import Mask
from napari_medseg.core.phantoms import ct_phantom, mr_phantom
from napari_medseg.core.structure import Structure
from napari_medseg.core.volume import Volume, Window
from napari_medseg.gui import windowing
from napari_medseg.gui.layers import Display, add_mask, add_volume
from napari_medseg.imaging.window import presets


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    """A viewer on screen with a CT."""
    viewer = make_napari_viewer_proxy(show=True)
    windowing.attach(viewer)
    add_volume(viewer, ct_phantom()[0])
    return viewer


def canvas_of(viewer):
    """The widget that napari draws on."""
    found = [
        widget
        for window in QApplication.topLevelWidgets()
        for widget in window.findChildren(object)
        if type(widget).__name__ == "CanvasBackendDesktop" and widget.isVisible()
    ]
    assert len(found) == 1
    return found[0]


def send(canvas, kind, x, y, button):
    """Send one mouse event to the canvas, as the window system would."""
    at = QPointF(x, y)
    moved = kind == QEvent.Type.MouseMove
    held = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseButtonRelease else button
    event = QMouseEvent(
        kind, at, canvas.mapToGlobal(at), Qt.MouseButton.NoButton if moved else button, held,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    QApplication.sendEvent(canvas, event)


def drag(qtbot, layer, canvas, path, button=Qt.MouseButton.RightButton):
    """Drag along a path; returns the contrast limits after each step."""
    send(canvas, QEvent.Type.MouseButtonPress, *path[0], button)
    seen = []
    for x, y in path[1:]:
        before = tuple(layer.contrast_limits)

        def arrived(x=x, y=y, before=before):  # moves are throttled, and one may be dropped: say it again
            send(canvas, QEvent.Type.MouseMove, x, y, button)
            return tuple(layer.contrast_limits) != before

        qtbot.waitUntil(arrived, timeout=60_000)
        seen.append(tuple(layer.contrast_limits))
    send(canvas, QEvent.Type.MouseButtonRelease, *path[-1], button)
    return seen


def test_right_drag_changes_width_and_centre_and_returns_exactly(viewer, qtbot):
    layer = viewer.layers[0]
    before, zoom = tuple(layer.contrast_limits), viewer.scene.camera.zoom
    path = [(200, 200), (350, 200), (350, 275), (200, 275), (200, 200)]
    wider, both, centred, back = drag(qtbot, layer, canvas_of(viewer), path)
    assert wider == pytest.approx((-360.0, 440.0))  # 150 pixels to the right double the width of 400
    assert both == pytest.approx((-260.0, 540.0))  # 75 pixels down: a quarter of the width
    assert centred == pytest.approx((-60.0, 340.0))
    assert back == before
    assert viewer.scene.camera.zoom == zoom


def drag_until(qtbot, canvas, button, changed):
    """Drag downwards until something has changed; the test fails when it never does."""
    steps = itertools.cycle(range(200, 400, 4))

    def move():
        send(canvas, QEvent.Type.MouseMove, 200, next(steps), button)
        return changed()

    send(canvas, QEvent.Type.MouseButtonPress, 200, 200, button)
    qtbot.waitUntil(move, timeout=60_000)
    send(canvas, QEvent.Type.MouseButtonRelease, 200, 400, button)


def test_the_left_button_is_still_naparis(viewer, qtbot):
    layer, canvas = viewer.layers[0], canvas_of(viewer)
    limits, centre = tuple(layer.contrast_limits), viewer.scene.camera.center
    drag_until(qtbot, canvas, Qt.MouseButton.LeftButton, lambda: viewer.scene.camera.center != centre)
    assert tuple(layer.contrast_limits) == limits


def test_right_drag_zooms_a_colour_picture_as_ever(viewer, qtbot):
    viewer.layers.clear()
    picture = np.zeros((1, 40, 40, 3), np.uint8)
    add_volume(viewer, Volume(picture, Geometry.of_pixels(picture.shape[:3])))
    canvas, zoom = canvas_of(viewer), viewer.scene.camera.zoom
    drag_until(qtbot, canvas, Qt.MouseButton.RightButton, lambda: viewer.scene.camera.zoom != zoom)


def test_the_brush_keeps_its_right_button(viewer, qtbot):
    volume = viewer.layers[0].metadata["medseg"]
    (mask,) = add_mask(viewer, Mask.empty(volume.geometry, [Structure()]), Display(volume.geometry))
    viewer.layers.selection.active = mask
    mask.mode = "paint"
    limits = tuple(viewer.layers[0].contrast_limits)
    moved = []
    viewer.cursor.events.position.connect(lambda event: moved.append(event))
    drag_until(qtbot, canvas_of(viewer), Qt.MouseButton.RightButton, lambda: len(moved) > 5)
    assert tuple(viewer.layers[0].contrast_limits) == limits


def test_the_key_goes_through_the_windows_of_the_file_and_of_ct():
    volume, _ = ct_phantom()
    viewer = ViewerModel()
    windowing.attach(viewer)
    windowing.attach(viewer)  # again is harmless
    layer = add_volume(viewer, volume)
    seen = [windowing.next_preset(viewer).name for _ in range(5)]
    assert seen == ["lung", "bone", "brain", "liver", "soft tissue"]  # the file's own is CT's, offered once
    windowing.next_preset(viewer, -1)
    assert windowing.window(layer) == presets(volume)[-1]
    text = viewer.canvas.overlays["medseg_window"]
    assert text.visible and text.text == "liver  W 160  C 60"


def test_an_mr_goes_back_to_how_it_opened():
    volume, _ = mr_phantom()
    viewer = ViewerModel()
    windowing.attach(viewer)
    layer = add_volume(viewer, volume)
    opening = tuple(layer.contrast_limits)
    windowing.set_window(layer, Window(300, 10))
    assert viewer.canvas.overlays["medseg_window"].text == "W 10  C 300"
    windowing.next_preset(viewer)
    assert tuple(layer.contrast_limits) == opening


def test_where_the_modality_is_unknown_ct_is_offered_too():
    volume, _ = mr_phantom()
    viewer = ViewerModel()
    layer = add_volume(viewer, replace(volume, modality=""))
    names = [windowing.next_preset(viewer).name for _ in range(6)]
    assert names == ["soft tissue", "lung", "bone", "brain", "liver", windowing.window(layer).name]
    assert names[-1] == "auto"


def test_nothing_happens_without_a_grey_image():
    viewer = ViewerModel()
    windowing.attach(viewer)
    assert windowing.next_preset(viewer) is None
    assert not viewer.canvas.overlays["medseg_window"].visible
