"""Where slices lie. Truth: SimpleITK's series reader (GDCM), and closed forms for what it cannot hold."""

import numpy as np
import pytest

from napari_medseg.imaging.dicom import list_series, read_series
from tests.dicom_phantoms import (
    AXIAL,
    CORONAL,
    PIXEL,
    SAGITTAL,
    along,
    normal,
    oblique,
    plane,
    write,
    write_series,
)

FLIPPED = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def read_one(folder):
    (series,) = list_series(folder)
    return read_series(series)


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, SAGITTAL, FLIPPED, oblique()])
def test_order_and_grid_agree_with_simpleitk(tmp_path, orientation):
    import SimpleITK as sitk

    write_series(tmp_path, along(orientation, [2.5 * k for k in range(7)]), orientation, seed=3)
    volume = read_one(tmp_path)
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path))
    image = sitk.ReadImage(names)
    np.testing.assert_array_equal(volume.array, sitk.GetArrayFromImage(image))
    for index in [(0, 0, 0), (6, 0, 0), (0, 5, 0), (0, 0, 7), (6, 5, 7)]:
        point = image.TransformIndexToPhysicalPoint(index[::-1])
        np.testing.assert_allclose(volume.geometry.index_to_world(index), point, atol=1e-6)
    assert volume.geometry.regular
    assert volume.notes == ()


def test_the_order_ignores_names_and_numbers(tmp_path):
    write_series(tmp_path, along(AXIAL, [0, 3, 6, 9, 12, 15]), seed=1)
    volume = read_one(tmp_path)
    np.testing.assert_array_equal(volume.array, np.stack([plane(k) for k in range(6)]))
    np.testing.assert_allclose(volume.geometry.spacing, (3.0, *PIXEL))


def test_a_missing_slice_turns_3d_off_and_is_named(tmp_path):
    write_series(tmp_path, along(AXIAL, [0, 3, 6, 12, 15]))
    volume = read_one(tmp_path)
    assert not volume.geometry.regular
    assert not volume.geometry.supports_3d
    assert volume.geometry.spacing[0] == pytest.approx(3.0)
    assert "One slice is missing between slices 2 and 3 (6.0 mm apart)" in volume.notes[0]
    assert "3-D tools off" in volume.notes[0]


def test_several_missing_slices_are_counted(tmp_path):
    write_series(tmp_path, along(AXIAL, [0, 3, 6, 9, 21, 24, 27]))
    assert "3 slices are missing between slices 3 and 4" in read_one(tmp_path).notes[0]


def test_varying_distances_are_said(tmp_path):
    write_series(tmp_path, along(AXIAL, [0, 3, 6, 10, 13, 18]))
    volume = read_one(tmp_path)
    assert not volume.geometry.regular
    assert "varies, first between slices 2 and 3 (4.0 mm instead of 3.0 mm)" in volume.notes[0]


def test_rounded_positions_are_no_gap(tmp_path):
    write_series(tmp_path, along(AXIAL, [round(0.625 * k, 1) for k in range(30)]))
    volume = read_one(tmp_path)
    assert volume.geometry.regular
    assert volume.geometry.spacing[0] == pytest.approx(0.625, abs=0.01)


def test_slices_shifted_sideways_turn_3d_off(tmp_path):
    positions = along(AXIAL, [0, 3, 6, 9])
    positions[2] = positions[2] + [4.0, 0, 0]
    write_series(tmp_path, positions)
    volume = read_one(tmp_path)
    assert not volume.geometry.regular
    assert "shifted sideways" in volume.notes[0]


def test_gantry_tilt_keeps_its_shear(tmp_path):
    tilt = np.radians(15)
    orientation = (1.0, 0.0, 0.0, 0.0, np.cos(tilt), -np.sin(tilt))
    positions = [np.array([0.0, -50.0, 5.0 * k]) for k in range(6)]  # the table moves along z
    write_series(tmp_path, positions, orientation)
    volume = read_one(tmp_path)
    assert volume.geometry.regular
    assert volume.geometry.is_sheared
    np.testing.assert_allclose(volume.geometry.affine[:3, 0], [0, 0, 5.0], atol=1e-9)
    np.testing.assert_allclose(volume.geometry.index_to_world((5, 0, 0)), positions[5], atol=1e-6)
    assert "tilted by 15.0 degrees" in volume.notes[0]


def test_a_single_slice_is_placed_by_its_thickness(tmp_path):
    write(tmp_path, "one.dcm", plane(1), SliceThickness=4.0, ImagePositionPatient=[1.0, 2.0, 3.0])
    geometry = read_one(tmp_path).geometry
    assert geometry.is_2d
    np.testing.assert_allclose(geometry.affine[:3, 0], normal(AXIAL) * 4.0)
    np.testing.assert_allclose(geometry.affine[:3, 3], [1, 2, 3])


def test_pictures_without_position_are_not_oriented(tmp_path):
    unplaced = {"ImagePositionPatient": None, "ImageOrientationPatient": None}
    write(tmp_path, "a.dcm", plane(1), PixelSpacing=None, **unplaced)
    volume = read_one(tmp_path)
    assert not volume.geometry.oriented
    assert not volume.geometry.spacing_known
    assert "pixels" in volume.notes[0]


def test_sizes_at_the_detector_are_known_and_said(tmp_path):
    write(
        tmp_path, "a.dcm", plane(1), Modality="DX", PixelSpacing=None, ImagerPixelSpacing=[0.2, 0.1],
        ImagePositionPatient=None, ImageOrientationPatient=None,
    )  # fmt: skip
    volume = read_one(tmp_path)
    assert volume.geometry.spacing[1:] == (0.2, 0.1)
    assert volume.geometry.spacing_known
    assert "detector" in volume.notes[0]


@pytest.mark.parametrize("orientation", [[1, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0]])
def test_a_flat_orientation_places_nothing(tmp_path, orientation):
    for k in range(3):
        write(
            tmp_path, f"{k}.dcm", plane(k), ImageOrientationPatient=[float(x) for x in orientation],
            InstanceNumber=k, ImagePositionPatient=[0.0, 0.0, float(k)],
        )  # fmt: skip
    volume = read_one(tmp_path)
    assert not volume.geometry.regular
    assert not volume.geometry.oriented
    assert "no position" in volume.notes[0]


def test_a_mosaic_of_slices_is_a_picture_without_position(tmp_path):
    write(tmp_path, "a.dcm", plane(0), Modality="MR", ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"])
    volume = read_one(tmp_path)
    assert not volume.geometry.oriented
    assert volume.geometry.spacing[1:] == PIXEL
