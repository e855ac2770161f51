"""Planes, letters and notes, also in real screenshots; where a marker must be comes from its LPS position."""

import nibabel as nib
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.shortcuts import default_shortcuts

from napari_medseg.core.geometry import PLANES, Geometry, from_spacing
from napari_medseg.core.mask import Mask
from napari_medseg.core.phantoms import ct_phantom, mr_phantom
from napari_medseg.core.structure import Structure
from napari_medseg.core.volume import Volume, Window
from napari_medseg.gui import views
from napari_medseg.gui.layers import Display, add_mask, add_volume

TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
# Where a marker at the patient's left, back and head is seen: (lower half, right half) of each plane.
LEFT_BACK_HEAD = {"axial": (True, True), "coronal": (False, True), "sagittal": (False, True)}
RIGHT_FRONT_FEET = {"axial": (False, False), "coronal": (True, False), "sagittal": (True, False)}


def marked(codes, degrees, corner):
    """A dark block with a bright one in a corner given as signs along R, A, S; stored by nibabel."""
    data = np.full((24, 28, 20), 100, np.int16)
    data[tuple(slice(-6, None) if sign > 0 else slice(0, 6) for sign in corner)] = 1000
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rotation = np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    image = nib.Nifti1Image(data, rotation @ np.diag([2.0, 2.0, 3.0, 1.0]))
    wanted = nib.orientations.axcodes2ornt(codes)
    turned = image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(image.affine), wanted))
    array = np.asarray(turned.dataobj).T  # (i, j, k) -> (z, y, x)
    geometry = Geometry(array.shape, TO_LPS @ turned.affine[:, [2, 1, 0, 3]])
    return Volume(array, geometry, windows=(Window(500, 1000),))


def bright_half(picture):
    """Whether what is bright lies in the lower and in the right half of the block."""
    grey = picture[..., :3].astype(float).mean(axis=-1)
    rows, columns = np.nonzero(grey == grey[grey.shape[0] // 2, grey.shape[1] // 2])  # the block's own grey
    bright = np.argwhere(grey > 200)
    centre = (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2
    middle = np.median(bright, axis=0)
    return bool(middle[0] > centre[0]), bool(middle[1] > centre[1])


@pytest.mark.parametrize(
    ("codes", "degrees"), [("RAS", 0), ("LAS", 0), ("LPS", 0), ("PSR", 0), ("RAS", 25), ("PSR", 25)]
)
def test_a_corner_of_the_body_is_where_a_reader_expects_it(make_napari_viewer_proxy, codes, degrees):
    viewer = make_napari_viewer_proxy(show=True)
    for corner, expected in (((-1, -1, 1), LEFT_BACK_HEAD), ((1, 1, -1), RIGHT_FRONT_FEET)):
        viewer.layers.clear()
        volume = marked(codes, degrees, corner)
        display = Display(volume.geometry)
        add_volume(viewer, volume)
        at = [i[0] for i in np.nonzero(volume.array == 1000)]
        for plane in PLANES:
            views.set_plane(viewer, display, plane, at)
            assert views.plane(viewer, display) == plane
            picture = viewer.screenshot(canvas_only=True, flash=False)
            assert bright_half(picture) == expected[plane], (corner, plane)


def test_letters_stand_on_the_four_edges(make_napari_viewer_proxy):
    viewer = make_napari_viewer_proxy()
    views.attach(viewer)
    volume, _ = mr_phantom()
    display = Display(volume.geometry)
    add_volume(viewer, volume)
    overlays = viewer.canvas.overlays
    expected = {"axial": "APRL", "coronal": "SIRL", "sagittal": "SIAP"}  # top, bottom, left, right
    for plane in PLANES:
        views.set_plane(viewer, display, plane)
        shown = [
            overlays[f"medseg_{edge}"]
            for edge in ("top_center", "bottom_center", "middle_left", "middle_right")
        ]
        assert "".join(overlay.text for overlay in shown) == expected[plane]
        assert all(overlay.visible for overlay in shown)
        assert [str(overlay.position) for overlay in shown] == [
            "top_center", "bottom_center", "middle_left", "middle_right"
        ]  # fmt: skip
    assert overlays["medseg_note"].text == "Oblique by 8°: shown on its own slices."
    viewer.layers.clear()
    assert not any(overlay.visible for overlay in shown)


def test_letters_are_seen_on_the_canvas(make_napari_viewer_proxy):
    viewer = make_napari_viewer_proxy(show=True)
    add_volume(viewer, ct_phantom()[0])
    bare = viewer.screenshot(canvas_only=True, flash=False).astype(int)
    views.attach(viewer)
    viewer.canvas.overlays.scale_bar.visible = False
    lettered = viewer.screenshot(canvas_only=True, flash=False).astype(int)
    rows, columns = np.nonzero(np.abs(lettered - bare)[..., :3].max(axis=-1) > 100)
    n_rows, n_columns = bare.shape[:2]
    assert rows.min() < 40 and rows.max() > n_rows - 40
    assert columns.min() < 40 and columns.max() > n_columns - 40


def test_a_picture_bears_no_letters_and_says_pixels():
    viewer = ViewerModel()
    views.attach(viewer)
    geometry = Geometry.of_pixels((1, 20, 30))
    add_volume(viewer, Volume(np.zeros((1, 20, 30, 3), np.uint8), geometry))
    assert views.letters(Display(geometry), "axial") == ("", "", "", "")
    assert viewer.canvas.overlays["medseg_note"].text == "No size in mm: lengths are in pixels."
    assert [str(unit) for unit in viewer.layers[0].units] == ["pixel"] * 3


def test_what_is_not_true_on_screen_is_said():
    sheared = from_spacing((1.0, 1.0, 1.0))
    sheared[0, 0] = 0.2
    assert "Sheared" in views.note(Geometry((2, 3, 4), sheared))
    uneven = Geometry((2, 3, 4), from_spacing((1.0, 1.0, 1.0)), regular=False)
    assert views.note(uneven) == "Slices are not evenly spaced: shown slice by slice."
    assert views.note(Geometry((2, 3, 4), from_spacing((1.0, 1.0, 1.0)))) == ""


def test_the_slice_on_screen_is_named_by_its_array_index():
    volume, _ = mr_phantom()
    viewer, display = ViewerModel(), Display(volume.geometry)
    add_volume(viewer, volume)
    views.go_to(viewer, display, (7, 30, 60))
    for plane, index in (("sagittal", 7), ("axial", 30), ("coronal", 60)):
        views.set_plane(viewer, display, plane)
        assert views.current_index(viewer, display) == index
    views.set_index(viewer, display, 3)
    assert views.current_index(viewer, display) == 3
    assert views.crosshair(viewer, display) == pytest.approx((7, 30, 3))


def test_keys_show_the_planes_through_the_point_under_the_mouse():
    volume, _ = ct_phantom()
    viewer, display = ViewerModel(), Display(volume.geometry)
    views.attach(viewer)
    add_volume(viewer, volume)
    viewer.cursor.position = tuple(np.multiply(display.to_display((10, 33, 44)), display.scale))
    for key, plane in (("9", "coronal"), ("0", "sagittal"), ("8", "axial")):
        press(viewer, key)
        assert views.plane(viewer, display) == plane
        assert views.crosshair(viewer, display) == pytest.approx((10, 33, 44))


def test_a_zoomed_reader_stays_zoomed_on_the_point(make_napari_viewer_proxy):
    viewer = make_napari_viewer_proxy()
    volume, _ = ct_phantom()
    display = Display(volume.geometry)
    add_volume(viewer, volume)
    fitting = viewer.scene.camera.zoom
    viewer.scene.camera.zoom = 5 * fitting
    views.set_plane(viewer, display, "coronal", (10, 33, 44))
    assert viewer.scene.camera.zoom == pytest.approx(5 * fitting)
    expected = np.multiply(display.to_display((10, 33, 44)), display.scale)[[0, 2]]
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], expected)


def test_no_key_of_napari_is_taken():
    taken = {str(key) for keys in default_shortcuts.values() for key in keys}
    assert {"B", "P", "1", "Space"} < taken
    assert not taken & {*views.PLANE_KEYS, "W", "Shift+W"}


def test_in_3d_letters_go_and_nothing_complains_about_outlines():
    volume, _ = ct_phantom()
    viewer, display = ViewerModel(), Display(volume.geometry)
    views.attach(viewer)
    views.attach(viewer)  # again is harmless
    add_volume(viewer, volume)
    (layer,) = add_mask(viewer, Mask.empty(volume.geometry, [Structure("liver")]), display)
    viewer.dims.ndisplay = 3
    assert not viewer.canvas.overlays["medseg_top_center"].visible
    viewer.dims.ndisplay = 2
    assert layer.contour == 1 and viewer.canvas.overlays["medseg_top_center"].text == "A"


def press(viewer, key):
    """Run what a viewer's key map does for a key, as its key handler would."""
    from napari.utils.key_bindings import coerce_keybinding

    viewer.keymap[coerce_keybinding(key)](viewer)
