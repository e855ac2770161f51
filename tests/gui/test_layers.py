"""Display and layers; nibabel's orientations are the independent truth about left and right."""

import nibabel as nib
import numpy as np
import pytest
from napari.components import ViewerModel

from napari_medseg.core.geometry import PLANES, Geometry, from_spacing
from napari_medseg.core.mask import Mask
from napari_medseg.core.phantoms import ct_phantom, mr_phantom
from napari_medseg.core.structure import Structure
from napari_medseg.core.volume import Volume
from napari_medseg.gui.layers import (
    KEY,
    Display,
    add_mask,
    add_proposal,
    add_volume,
    outline,
    redraw,
    volume_of,
)

CODES = ("RAS", "LAS", "LPS", "PSR", "SPL", "AIR")
TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def tilt(degrees: float) -> np.ndarray:
    """Rotation about the RAS x axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1.0]])


def stored_as(codes: str, degrees: float = 0.0) -> tuple[Volume, np.ndarray]:
    """A random image stored in an orientation, and how it must be displayed, both made by nibabel."""
    canonical = np.random.default_rng(0).normal(size=(5, 7, 9))  # towards R, A, S
    image = nib.Nifti1Image(canonical, tilt(degrees) @ np.diag([1.5, 2.0, 3.0, 1.0]))
    turn = nib.orientations.ornt_transform(
        nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(codes)
    )
    turned = image.as_reoriented(turn)
    assert nib.aff2axcodes(turned.affine) == tuple(codes)
    array = np.asarray(turned.dataobj).T  # (i, j, k) -> (z, y, x)
    geometry = Geometry(array.shape, TO_LPS @ turned.affine[:, [2, 1, 0, 3]])
    return Volume(array, geometry), canonical[::-1, ::-1, ::-1].T  # (R, A, S) -> from S, from A, from R


@pytest.mark.parametrize("degrees", [0.0, 20.0])
@pytest.mark.parametrize("codes", CODES)
def test_the_display_runs_from_head_front_and_right(codes, degrees):
    volume, expected = stored_as(codes, degrees)
    display = Display(volume.geometry)
    view = display.view(volume.array)
    np.testing.assert_array_equal(view, expected)
    assert display.shape == expected.shape
    np.testing.assert_allclose(display.scale, (3.0, 2.0, 1.5))
    assert [display.dim_of(plane) for plane in PLANES] == [0, 1, 2]
    assert [display.order(plane) for plane in PLANES] == [(0, 1, 2), (1, 0, 2), (2, 0, 1)]


@pytest.mark.parametrize("codes", CODES)
def test_the_view_is_the_array_and_indices_go_both_ways(codes):
    volume, _ = stored_as(codes)
    display = Display(volume.geometry)
    view = display.view(volume.array)
    assert np.shares_memory(view, volume.array)
    np.testing.assert_array_equal(display.stored(view), volume.array)
    for at in ((0, 0, 0), (1, 2, 3), tuple(n - 1 for n in display.shape)):
        index = tuple(int(i) for i in display.to_array(at))
        assert volume.array[index] == view[at]
        assert display.to_display(index) == at
    view[1, 2, 3] = 42.0
    assert volume.array[tuple(int(i) for i in display.to_array((1, 2, 3)))] == 42.0


def test_channels_stay_last():
    geometry = Geometry((2, 3, 4), from_spacing((5.0, 1.0, 1.0)))
    array = np.random.default_rng(0).integers(0, 255, (2, 3, 4, 3), dtype=np.uint8)
    display = Display(geometry)
    np.testing.assert_array_equal(
        display.view(array), array[::-1]
    )  # stored feet first, rows and columns upright
    np.testing.assert_array_equal(display.stored(display.view(array)), array)


def test_a_picture_is_shown_as_stored_and_in_pixels():
    geometry = Geometry.of_pixels((1, 6, 8))
    array = np.arange(1 * 6 * 8 * 3, dtype=np.uint8).reshape(1, 6, 8, 3)
    viewer = ViewerModel()
    layer = add_volume(viewer, Volume(array, geometry))
    assert layer.rgb
    np.testing.assert_array_equal(layer.data, array)
    assert [str(unit) for unit in layer.units] == ["pixel"] * 3
    np.testing.assert_array_equal(layer.scale, (1, 1, 1))


def test_a_volume_is_one_of_ours_with_scale_units_and_window():
    volume, _ = ct_phantom()
    viewer = ViewerModel()
    layer = add_volume(viewer, volume)
    assert layer.metadata[KEY] is volume and volume_of(viewer) is volume
    assert np.shares_memory(layer.data, volume.array)
    np.testing.assert_allclose(layer.scale, volume.geometry.spacing)
    assert [f"{unit:~}" for unit in layer.units] == ["mm"] * 3
    assert tuple(layer.contrast_limits) == (-160.0, 240.0)  # soft tissue: 400 wide around 40
    assert viewer.dims.axis_labels == ("axial", "coronal", "sagittal")


def test_channels_that_are_no_colours_become_layers():
    array = np.random.default_rng(0).normal(size=(3, 4, 5, 2)).astype(np.float32)
    viewer = ViewerModel()
    add_volume(viewer, Volume(array, Geometry(array.shape[:3], from_spacing((1.0, 1.0, 1.0))), "perfusion"))
    assert [layer.name for layer in viewer.layers] == ["perfusion [1]", "perfusion [2]"]
    assert [layer.visible for layer in viewer.layers] == [True, False]
    assert all(np.shares_memory(layer.data, array) for layer in viewer.layers)


def test_painting_writes_into_the_mask_even_when_turned():
    volume, _ = mr_phantom()  # sagittal slices
    mask = Mask.empty(volume.geometry, [Structure("tumour")])
    display = Display(volume.geometry)
    viewer = ViewerModel()
    add_volume(viewer, volume)
    (layer,) = add_mask(viewer, mask, display)
    for plane in PLANES:
        viewer.dims.order = display.order(plane)
        viewer.dims.point = np.multiply(display.to_display((10, 40, 50)), display.scale)
        before = mask.of("tumour").sum()
        layer.brush_size = 5
        layer.paint(display.to_display((10, 40, 50)), 1)
        assert mask.of("tumour")[10, 40, 50]
        assert mask.of("tumour").sum() > before
        changed = np.argwhere(mask.of("tumour"))[:, volume.geometry.axis_of(plane)]
        assert set(changed) == {(10, 40, 50)[volume.geometry.axis_of(plane)]}  # one slice of this plane
        layer.undo()
        assert mask.of("tumour").sum() == before


def test_structures_are_outlined_in_their_colours():
    volume, mask = ct_phantom()
    viewer = ViewerModel()
    add_volume(viewer, volume)
    layers = add_mask(viewer, mask, Display(volume.geometry))
    assert len(layers) == len(mask.arrays) == 2  # the tumour overlaps the liver
    for name, (array, value) in mask.places.items():
        colour = layers[array].colormap.map(value)
        np.testing.assert_allclose(colour, (*np.array(mask.structure(name).colour) / 255, 1.0), atol=1e-6)
    assert all(layer.contour == 1 for layer in layers)
    np.testing.assert_array_equal(layers[0].colormap.map(200), np.zeros(4))


def test_showing_a_changed_mask_keeps_the_layers_there_are():
    volume, mask = ct_phantom()
    viewer = ViewerModel()
    add_volume(viewer, volume)
    display = Display(volume.geometry)
    before = add_mask(viewer, mask, display)
    data = before[0].data
    mask = mask.update("liver", Structure("liver", (1, 2, 3))).add(Structure("whole body"))
    mask = mask.put("whole body", np.ones(volume.geometry.shape, bool))
    after = add_mask(viewer, mask, display)
    assert after[:2] == before and after[0].data is data and len(after) == 3
    np.testing.assert_allclose(after[0].colormap.map(1)[:3], np.array([1, 2, 3]) / 255, atol=1e-6)
    shrunk = add_mask(viewer, Mask.empty(volume.geometry, [Structure("liver")]), display)
    assert shrunk == before[:1] and len(viewer.layers) == 2
    assert not shrunk[0].data.any()


def test_what_is_changed_outside_is_drawn_after_redraw():
    volume, mask = ct_phantom()
    viewer = ViewerModel()
    add_volume(viewer, volume)
    layers = add_mask(viewer, mask, Display(volume.geometry))
    drawn = []
    layers[0].events.set_data.connect(lambda event: drawn.append(event))
    mask.put("aorta", np.zeros(volume.geometry.shape, bool))
    redraw(layers[:1])
    assert len(drawn) == 1


def test_a_proposal_is_filled_and_lies_on_the_grid():
    volume, _ = mr_phantom()
    viewer = ViewerModel()
    add_volume(viewer, volume)
    layer = add_proposal(viewer, volume.geometry, (255, 0, 0), (0, 255, 0))
    assert layer.contour == 0 and layer.data.shape == Display(volume.geometry).shape
    np.testing.assert_allclose(layer.colormap.map(2), (0, 1, 0, 1))


def test_another_series_of_the_patient_lies_where_it_belongs_and_below_masks():
    first, mask = ct_phantom()
    viewer = ViewerModel()
    display = Display(first.geometry)
    add_volume(viewer, first)
    add_mask(viewer, mask, display)
    part = first.geometry.crop((4, 10, 20), (20, 90, 80))
    second = add_volume(viewer, Volume(first.array[4:20, 10:90, 20:80], part, "part"), display)
    assert [layer.name for layer in viewer.layers] == [first.name, "part", "mask", "mask 2"]
    at = display.to_display((5, 30, 40))
    world = np.multiply(at, display.scale)
    index = np.round(second.world_to_data(world)).astype(int)
    assert second.data[tuple(index)] == first.array[5, 30, 40]


def test_outlines_are_those_napari_would_find():
    from napari.layers.labels._labels_utils import get_contours

    labels = np.zeros((60, 70), np.uint8)
    rows, columns = np.ogrid[:60, :70]
    labels[(rows - 30) ** 2 + (columns - 30) ** 2 < 300] = 1
    labels[(rows - 30) ** 2 + (columns - 45) ** 2 < 120] = 3
    np.testing.assert_array_equal(outline(labels), get_contours(labels, 1, 0))
