"""Stored pixels become values. Truth: the rescale formula of DICOM PS3.3 C.11.1, and pydicom's own tools."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

from napari_medseg.core.volume import Window
from napari_medseg.imaging.dicom import list_series, read_series
from napari_medseg.imaging.dicom_pixels import ValueStack, values_of
from tests.dicom_phantoms import AXIAL, along, plane, write, write_series


def read_one(folder):
    (series,) = list_series(folder)
    return read_series(series)


def test_whole_slopes_give_int16_hounsfield_units(tmp_path):
    write_series(tmp_path, along(AXIAL, [0, 3, 6]), RescaleSlope=2, RescaleIntercept=-1024)
    volume = read_one(tmp_path)
    assert volume.array.dtype == np.int16
    np.testing.assert_array_equal(volume.array, np.stack([plane(k) * 2 - 1024 for k in range(3)]))


def test_each_slice_has_its_own_slope(tmp_path):
    slopes = [0.5, 1.25, 3.7]
    write_series(tmp_path, along(AXIAL, [0, 3, 6]), Modality="PT", RescaleSlope=slopes, RescaleIntercept=0)
    volume = read_one(tmp_path)
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(
        volume.array, np.stack([plane(k) * s for k, s in enumerate(slopes)]), rtol=1e-6
    )


def test_values_agree_with_simpleitk(tmp_path):
    import SimpleITK as sitk

    rng = np.random.default_rng(0)
    pixels = rng.integers(-2000, 2000, (6, 8)).astype(np.int16)
    path = write(tmp_path, "a.dcm", pixels, RescaleSlope=1.5, RescaleIntercept=-10.25)
    truth = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    np.testing.assert_allclose(read_one(tmp_path).array, truth, rtol=1e-6)


def test_a_later_slice_may_need_a_wider_type(tmp_path):
    write(tmp_path, "a.dcm", np.full((4, 4), 100, np.uint16), ImagePositionPatient=[0.0, 0.0, 0.0])
    write(tmp_path, "b.dcm", np.full((4, 4), 60000, np.uint16), ImagePositionPatient=[0.0, 0.0, 3.0])
    volume = read_one(tmp_path)
    assert volume.array.dtype == np.uint16
    assert volume.array[:, 0, 0].tolist() == [100, 60000]


def test_eight_bits_stay_eight_bits(tmp_path):
    write(tmp_path, "a.dcm", np.arange(16, dtype=np.uint8).reshape(4, 4))
    assert read_one(tmp_path).array.dtype == np.uint8


def test_twelve_signed_bits_keep_their_sign(tmp_path):
    pixels = np.array([[-2048, -1], [0, 2047]], np.int16)
    write(tmp_path, "a.dcm", pixels, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read_one(tmp_path).array[0], pixels)


def test_monochrome1_is_flipped_within_its_range_with_its_window(tmp_path):
    pixels = np.array([[0, 100], [200, 4095]], np.uint16)
    write(
        tmp_path, "a.dcm", pixels, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11,
        WindowCenter=1000, WindowWidth=500,
    )  # fmt: skip
    volume = read_one(tmp_path)
    np.testing.assert_array_equal(volume.array[0], 4095 - pixels.astype(int))
    assert volume.windows == (Window(3095, 500),)
    assert any("MONOCHROME1" in note for note in volume.notes)


def test_monochrome1_is_flipped_after_rescaling(tmp_path):
    pixels = np.array([[0, 1], [2, 3]], np.uint8)
    write(
        tmp_path, "a.dcm", pixels, PhotometricInterpretation="MONOCHROME1",
        RescaleSlope=0.5, RescaleIntercept=10,
    )  # fmt: skip
    ends = 10 + (10 + 255 * 0.5)
    np.testing.assert_allclose(read_one(tmp_path).array[0], ends - (pixels * 0.5 + 10))


def test_padding_becomes_the_lowest_measured_value_of_all_slices(tmp_path):
    for k in range(2):
        pixels = np.array([[-2000, 50 + k], [60, 70]], np.int16)
        write(
            tmp_path, f"{k}.dcm", pixels, ImagePositionPatient=[0.0, 0.0, float(k)], RescaleSlope=1,
            RescaleIntercept=-1024, PixelPaddingValue=-2000,
        )  # fmt: skip
    array = read_one(tmp_path).array
    assert array[:, 0, 0].tolist() == [-974, -974]
    assert array[:, 0, 1].tolist() == [-974, -973]


@pytest.mark.parametrize(("value", "limit", "marked"), [(63536, None, 1), (-2000, None, 1), (-2000, 60, 3)])
def test_padding_is_found_whichever_sign_it_was_written_with(value, limit, marked):
    tags = Dataset()
    tags.PixelPaddingValue = value
    if limit is not None:
        tags.PixelPaddingRangeLimit = limit
    _, padding = values_of(np.array([[-2000, 50], [60, 70]], np.int16), tags)
    assert padding is not None
    assert padding.sum() == marked


def test_values_that_are_no_numbers_become_background():
    stack = ValueStack(1)
    values = np.array([[1.5, np.nan], [np.inf, 3.0]], np.float32)
    stack.put(0, values, ~np.isfinite(values))
    np.testing.assert_array_equal(stack.finish()[0], [[1.5, 1.5], [1.5, 3.0]])


def test_a_modality_table_is_applied(tmp_path):
    table = Dataset()
    table.LUTDescriptor = [256, 0, 16]
    table.LUTData = (3 * np.arange(256, dtype="<u2")).tobytes()
    table.ModalityLUTType = "US"
    pixels = np.array([[0, 5], [100, 255]], np.uint8)
    write(tmp_path, "a.dcm", pixels, ModalityLUTSequence=[table])
    np.testing.assert_array_equal(read_one(tmp_path).array[0], 3 * pixels.astype(int))


def test_all_windows_are_read_with_their_names(tmp_path):
    write(
        tmp_path, "a.dcm", plane(0), WindowCenter=[40, -600], WindowWidth=[400, 1500],
        WindowCenterWidthExplanation=["SOFT", "LUNG"],
    )  # fmt: skip
    assert read_one(tmp_path).windows == (Window(40, 400, "SOFT"), Window(-600, 1500, "LUNG"))


@pytest.mark.parametrize("width", [0, -5])
def test_a_window_without_width_is_none(tmp_path, width):
    write(tmp_path, "a.dcm", plane(0), WindowCenter=40, WindowWidth=width)
    assert read_one(tmp_path).windows == ()


def test_a_voi_table_is_said_to_be_ignored(tmp_path):
    table = Dataset()
    table.LUTDescriptor = [4, 0, 16]
    table.LUTData = np.arange(4, dtype="<u2").tobytes()
    write(tmp_path, "a.dcm", plane(0), VOILUTSequence=[table])
    assert any("VOI LUT" in note for note in read_one(tmp_path).notes)


def test_colour_keeps_three_channels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    write(tmp_path, "a.dcm", pixels, Modality="US", ImagePositionPatient=None, ImageOrientationPatient=None)
    volume = read_one(tmp_path)
    assert volume.n_channels == 3
    np.testing.assert_array_equal(volume.array[0], pixels)


def test_ybr_becomes_rgb(tmp_path):
    grey = np.zeros((4, 4, 3), np.uint8)
    grey[..., 0], grey[..., 1:] = 77, 128  # neutral chroma, PS3.3 C.7.6.3.1.2
    write(tmp_path, "a.dcm", grey, PhotometricInterpretation="YBR_FULL", Modality="US")
    assert (read_one(tmp_path).array == 77).all()
