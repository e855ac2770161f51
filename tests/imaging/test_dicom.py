"""Real and pydicom's own DICOM files, privacy and speed. Truth: SimpleITK, nibabel, pydicom."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest

from napari_medseg.core.errors import MedsegError
from napari_medseg.imaging.dicom import list_folder, list_series, patient_key, read_series
from tests.dicom_phantoms import AXIAL, along, write_series

DATA = Path(os.environ.get("MEDSEG_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


def real(name):
    """A real data set, or a skipped test where this machine has none."""
    if not (DATA / name).is_dir():
        pytest.skip(f"the data set {name} is not on this machine (MEDSEG_DATA)")
    return DATA / name


def agrees_with_simpleitk(volume, folder):
    import SimpleITK as sitk

    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    np.testing.assert_array_equal(volume.array, sitk.GetArrayFromImage(image))
    last = tuple(n - 1 for n in volume.geometry.shape)
    for index in [(0, 0, 0), (last[0], 0, 0), (0, last[1], 0), (0, 0, last[2]), last]:
        np.testing.assert_allclose(
            volume.geometry.index_to_world(index), image.TransformIndexToPhysicalPoint(index[::-1]), atol=1e-3
        )
    return True


def test_ct_without_uids_lies_on_the_grid_of_its_segmentation():
    import nibabel as nib

    folder = real("dicom_ct_abdomen_totalseg")
    (series,) = list_series(folder)
    volume = read_series(series)
    assert (volume.geometry.shape, volume.array.dtype, volume.modality) == ((20, 512, 512), np.int16, "CT")
    assert [window.name for window in volume.windows] == ["WINDOW1", "WINDOW2"]
    assert volume.notes == ()
    affine = nib.load(folder / "seg_totalsegmentator.nii.gz").affine  # (x, y, z) index to RAS
    for corner in [(0, 0, 0), (19, 511, 511), (0, 511, 0), (19, 0, 0)]:
        world = volume.geometry.index_to_world(corner) * (-1, -1, 1)
        index = np.linalg.inv(affine) @ [*world, 1]
        np.testing.assert_allclose(index[:3], np.round(index[:3]), atol=1e-3)
        assert all(value in (0, n - 1) for value, n in zip(np.round(index[:3]), (512, 512, 20), strict=True))


def test_mr_brain_agrees_with_simpleitk():
    folder = real("dicom_mr_brain_pgbm")
    (series,) = list_series(folder)
    volume = read_series(series)
    assert agrees_with_simpleitk(volume, folder / "Study3_FLAIRreg")
    assert (volume.name, volume.anatomy) == ("FLAIR_reg", "brain")


def test_ct_beside_segmentations_agrees_with_simpleitk():
    import SimpleITK as sitk

    folder = real("dicom_seg_liver_dcmqi")
    listing = list_folder(folder)
    assert [kind for kind, _ in listing.others] == ["SEG", "SEG"]
    volume = read_series(listing.series[0])
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder / "ct")))
    truth = sitk.GetArrayFromImage(image)
    measured = truth > -3000  # the rest is padding, -2000 before rescaling
    np.testing.assert_array_equal(volume.array[measured], truth[measured])
    np.testing.assert_array_equal(volume.array[~measured], truth[measured].min())


def test_ct_beside_contours_is_listed_alone():
    folder = real("dicom_rtstruct_rtutils")
    listing = list_folder(folder)
    assert [series.n_slices for series in listing.series] == [2]
    assert listing.notes == ("Not images, so not listed: 3 RTSTRUCT.",)
    assert listing.series[0].description != "PHANTOM_EXAMPLE"  # which is the patient's name


def test_pydicoms_own_files_open_or_are_refused_in_one_sentence():
    import pydicom

    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    opened = 0
    for series in list_series(folder):
        try:
            volume = read_series(series)
        except MedsegError as error:
            assert "\n" not in str(error)
        else:
            opened += 1
            assert np.isfinite(volume.array).all()
            assert volume.header.files == series.files
    assert opened >= 40


@pytest.mark.parametrize(
    "name",
    ["CT_small.dcm", "MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm", "MR_small_implicit.dcm",
     "MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm", "JPGExtended.dcm",
     "J2K_pixelrep_mismatch.dcm"],
)  # fmt: skip
def test_values_of_pydicoms_files_agree_with_simpleitk(name):
    import pydicom
    import SimpleITK as sitk

    path = Path(pydicom.__file__).parent / "data" / "test_files" / name
    (series,) = list_series(path)
    np.testing.assert_array_equal(
        read_series(series).array, sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    )


def test_the_patient_stays_out_of_names_notes_errors_and_logs(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    paths = write_series(
        tmp_path, along(AXIAL, [0, 3, 9]), SeriesDescription="Thorax NACHNAME V.", ProtocolName="pat-4711",
        PatientBirthDate="19500101",
    )  # fmt: skip
    (series,) = list_series(tmp_path)
    volume = read_series(series)
    assert series.description == "CT series 3"
    paths[1].unlink()
    with pytest.raises(MedsegError) as error:
        read_series(series)
    shown = " ".join(map(str, [series, volume, volume.name, *volume.notes, error.value, caplog.text])).lower()
    assert not any(word in shown for word in ("nachname", "vorname", "4711", "1950"))
    assert volume.group == ""


def test_the_patients_key_is_the_identifier_and_its_issuer(tmp_path):
    write_series(tmp_path / "a", along(AXIAL, [0]), IssuerOfPatientID="clinic")
    write_series(tmp_path / "b", along(AXIAL, [0]), PatientID="", PatientName="", SeriesInstanceUID="1.9")
    keys = {patient_key(series) for series in list_series(tmp_path)}
    assert keys == {"PAT-4711|clinic", ""}


def test_the_header_tells_where_each_slice_came_from(tmp_path):
    import pydicom

    write_series(tmp_path, along(AXIAL, [0, 3, 6]))
    (series,) = list_series(tmp_path)
    header = read_series(series).header
    assert header.files == series.files
    assert header.sop_uids == tuple(pydicom.dcmread(path).SOPInstanceUID for path in header.files)
    assert [position[2] for position in header.positions] == [11, 14, 17]
