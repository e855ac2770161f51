"""The two small views, clicked with real mouse events beside a real viewer."""

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication

from napari_medseg.core.mask import Mask
from napari_medseg.core.phantoms import ct_phantom, mr_phantom
from napari_medseg.core.structure import Structure
from napari_medseg.gui import views
from napari_medseg.gui.layers import Display, add_mask, add_volume, outline, redraw
from napari_medseg.gui.other_planes import OtherPlanes, picture


@pytest.fixture
def shown(make_napari_viewer_proxy, qtbot):
    """A viewer with a CT on the axial plane, and the other two planes beside it."""
    viewer = make_napari_viewer_proxy(show=True)
    volume, _ = ct_phantom()
    add_volume(viewer, volume)
    widget = OtherPlanes(viewer)
    viewer.window.add_dock_widget(widget, area="right")
    qtbot.waitUntil(lambda: widget.panes[0].accessibleName() == "coronal", timeout=60_000)
    return viewer, Display(volume.geometry), widget


def test_a_plane_is_the_slice_the_volume_holds_windowed_and_turned():
    volume, _ = mr_phantom()
    viewer, display = ViewerModel(), Display(volume.geometry)
    layer = add_volume(viewer, volume)
    layer.contrast_limits = (0.0, 1000.0)
    rgb = picture(viewer, display, "coronal", display.to_display((9, 40, 50)))
    expected = np.clip(display.view(volume.array)[:, 50].astype(float) / 1000, 0, 1) * 255  # A -> P is dim 1
    assert rgb.shape == (*expected.shape, 3)
    np.testing.assert_allclose(rgb[..., 0], expected, atol=1)


def test_masks_are_outlined_in_their_colour():
    volume, _ = ct_phantom()
    viewer, display = ViewerModel(), Display(volume.geometry)
    add_volume(viewer, volume)
    mask = Mask.empty(volume.geometry, [Structure("block", (255, 0, 0))])
    region = np.zeros(volume.geometry.shape, bool)
    region[5:15, 20:40, 20:40] = True
    layers = add_mask(viewer, mask.put("block", region), display)
    layers[0].opacity = 1.0
    rgb = picture(viewer, display, "axial", display.to_display((10, 0, 0)))
    red = np.all(rgb == (255, 0, 0), axis=-1)
    assert red.sum() == 4 * 20 - 4 and not red[30, 30]
    layers[0].visible = False
    assert not np.all(picture(viewer, display, "axial", (10, 0, 0)) == (255, 0, 0), axis=-1).any()


def test_an_outline_lies_inside_its_label():
    labels = np.zeros((6, 7), np.uint8)
    labels[0:5, 1:5], labels[0:5, 5] = 3, 4
    expected = labels.copy()
    expected[1:4, 2:4] = 0
    np.testing.assert_array_equal(outline(labels), expected)


def test_a_click_moves_all_planes_there(shown, qtbot):
    viewer, display, widget = shown
    coronal, sagittal = widget.panes
    assert sagittal.accessibleName() == "sagittal"
    wanted = (17.0, views.crosshair(viewer, display)[1], 70.0)
    qtbot.mouseClick(
        coronal, Qt.MouseButton.LeftButton, pos=coronal.position_of(display.to_display(wanted)).toPoint()
    )
    assert views.crosshair(viewer, display) == pytest.approx(wanted)
    assert views.current_index(viewer, display) == 17


def test_the_wheel_turns_pages_and_a_double_click_swaps_planes(shown, qtbot):
    viewer, display, widget = shown
    coronal = widget.panes[0]
    before = views.crosshair(viewer, display)
    middle = QPointF(coronal.rect().center())
    event = QWheelEvent(
        middle, coronal.mapToGlobal(middle), QPoint(), QPoint(0, -120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(coronal, event)
    assert views.crosshair(viewer, display) == pytest.approx(np.add(before, (0, 1, 0)))
    qtbot.mouseDClick(coronal, Qt.MouseButton.LeftButton)
    assert views.plane(viewer, display) == "coronal"
    qtbot.waitUntil(
        lambda: [pane.accessibleName() for pane in widget.panes] == ["axial", "sagittal"], timeout=60_000
    )


def test_what_changes_on_the_canvas_is_drawn_here_too(shown, qtbot):
    viewer, display, widget = shown
    mask = Mask.empty(display.geometry, [Structure("block", (255, 0, 0))])
    layers = add_mask(viewer, mask, display)
    drawn = []
    show = widget.panes[0].show_plane
    widget.panes[0].show_plane = lambda *words: (drawn.append(words), show(*words))
    qtbot.waitUntil(lambda: bool(drawn))  # the layer is there
    drawn.clear()
    mask.put("block", np.ones(display.geometry.shape, bool))
    redraw(layers)
    qtbot.waitUntil(lambda: bool(drawn), timeout=60_000)
    assert drawn[-1][-1][0, 0, 0] > 200  # its red edge


def test_closed_it_hears_nothing_more_and_without_an_image_it_is_empty(shown, qtbot):
    viewer, display, widget = shown
    viewer.layers.clear()
    qtbot.waitUntil(lambda: widget.panes[0]._picture is None, timeout=60_000)
    widget.close()
    viewer.dims.order = display.order("coronal")
    add_volume(viewer, ct_phantom()[0])
    assert widget.panes[0]._picture is None
