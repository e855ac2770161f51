"""Multi-frame and compressed files. Truth: what the phantom was made of, and SimpleITK's decoder."""

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1

from napari_medseg.core.errors import ReadError
from napari_medseg.imaging.dicom import list_series, read_series
from napari_medseg.imaging.dicom_codec import register
from tests.dicom_phantoms import AXIAL, PIXEL, SAGITTAL, along, dataset, enhanced, oblique, plane


@pytest.mark.parametrize("orientation", [AXIAL, SAGITTAL, oblique()])
def test_an_enhanced_file_is_ordered_by_its_frames_positions(tmp_path, orientation):
    positions = along(orientation, [0, 2, 4, 6, 8])
    order = [3, 0, 4, 1, 2]
    frames = [{"position": positions[k], "value": k, "slope": 2} for k in order]
    enhanced(frames, orientation).save_as(tmp_path / "a.dcm")
    (series,) = list_series(tmp_path)
    assert series.indices == (1, 3, 4, 0, 2)
    volume = read_series(series)
    np.testing.assert_array_equal(volume.array, np.stack([plane(k) * 2 for k in range(5)]))
    np.testing.assert_allclose(volume.geometry.spacing, (2.0, *PIXEL))
    np.testing.assert_allclose(volume.geometry.index_to_world((4, 0, 0)), positions[4], atol=1e-6)


def test_an_enhanced_file_is_split_by_b_value(tmp_path):
    positions = along(AXIAL, [0, 3, 6])
    frames = [
        {"position": position, "value": 10 * i + k, "b": b, "slope": 1 + i * 0.5}
        for k, position in enumerate(positions)
        for i, b in enumerate((0, 600))
    ]
    enhanced(frames).save_as(tmp_path / "a.dcm")
    found = {series.stack: series for series in list_series(tmp_path)}
    assert list(found) == ["b=0", "b=600"]
    volume = read_series(found["b=600"])
    np.testing.assert_allclose(volume.array, np.stack([plane(10 + k) * 1.5 for k in range(3)]))
    assert read_series(found["b=0"]).array.dtype == np.int16


def test_a_colour_cine_with_ultrasound_regions(tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (5, 6, 8, 3), dtype=np.uint8)
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType = 1, 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.02, 0.03  # cm
    cine = dataset(
        frames[0], Modality="US", NumberOfFrames=5, PixelSpacing=None, SequenceOfUltrasoundRegions=[region]
    )
    cine.PixelData = frames.tobytes()
    cine.save_as(tmp_path / "cine.dcm")
    (series,) = list_series(tmp_path)
    volume = read_series(series)
    np.testing.assert_array_equal(volume.array, frames)
    np.testing.assert_allclose(volume.geometry.spacing[1:], (0.3, 0.2))
    assert not volume.geometry.oriented
    assert not volume.geometry.supports_3d
    assert "5 pictures carry no position" in volume.notes[0]


def test_regions_that_disagree_leave_the_size_unknown(tmp_path):
    regions = []
    for delta in (0.02, 0.05):
        region = Dataset()
        region.RegionSpatialFormat = 1
        region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
        region.PhysicalDeltaX = region.PhysicalDeltaY = delta
        regions.append(region)
    picture = dataset(plane(0), Modality="US", PixelSpacing=None, SequenceOfUltrasoundRegions=regions)
    picture.save_as(tmp_path / "a.dcm")
    assert not read_series(list_series(tmp_path)[0]).geometry.spacing_known


@pytest.mark.parametrize(
    ("compressor", "syntax"), [("JPEG", JPEGLosslessSV1), ("JPEG2000", JPEG2000Lossless)]
)
def test_lossless_jpeg_written_by_gdcm(tmp_path, compressor, syntax):
    import pydicom
    import SimpleITK as sitk

    pixels = np.random.default_rng(0).integers(-1000, 3000, (64, 80)).astype(np.int16)
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.UseCompressionOn()
    writer.SetCompressor(compressor)
    writer.SetFileName(str(tmp_path / "a.dcm"))
    writer.Execute(sitk.GetImageFromArray(pixels))
    assert pydicom.dcmread(tmp_path / "a.dcm").file_meta.TransferSyntaxUID == syntax
    np.testing.assert_array_equal(read_series(list_series(tmp_path)[0]).array[0], pixels)


def test_a_missing_decoder_is_named(tmp_path):
    slice_ = dataset(plane(0))
    slice_.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.201"  # high-throughput JPEG 2000
    slice_.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\x04\0\0\0abcd\xfe\xff\xdd\xe0\0\0\0\0"
    slice_["PixelData"].is_undefined_length = True
    slice_["PixelData"].VR = "OB"
    slice_.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(ReadError, match="pylibjpeg-openjpeg"):
        read_series(list_series(tmp_path)[0])


def test_video_is_refused_in_one_sentence(tmp_path):
    slice_ = dataset(plane(0))
    slice_.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"  # MPEG-4
    slice_.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\x04\0\0\0abcd\xfe\xff\xdd\xe0\0\0\0\0"
    slice_["PixelData"].is_undefined_length = True
    slice_["PixelData"].VR = "OB"
    slice_.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(ReadError, match="MPEG-4"):
        read_series(list_series(tmp_path)[0])


def test_registering_the_decoder_twice_is_harmless():
    from pydicom.pixels import get_decoder

    register()
    register()
    assert get_decoder(JPEGLosslessSV1).available_plugins.count("simpleitk") == 1
