"""A made-up CT written as DICOM is read back, by SimpleITK, with the same values in the same place."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from napari_medseg.core.errors import GeometryError
from napari_medseg.core.phantoms import ct_phantom, slice_phantom
from napari_medseg.imaging.dicom import list_series, read_series
from napari_medseg.imaging.dicom_write import write_ct


def test_a_series_comes_back_as_it_was(tmp_path: Path) -> None:
    volume, _ = ct_phantom((5, 16, 24))
    folder = write_ct(volume, tmp_path / "ct")
    (series,) = list_series(folder)
    back = read_series(series)
    assert back.array.dtype == np.int16
    assert np.array_equal(back.array, volume.array)
    assert np.allclose(back.geometry.affine, volume.geometry.affine, atol=1e-4)
    assert back.modality == "CT"
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    assert np.array_equal(sitk.GetArrayFromImage(image), volume.array)
    assert np.allclose(image.GetOrigin(), volume.geometry.affine[:3, 3], atol=1e-4)
    assert np.allclose(image.GetSpacing(), volume.geometry.spacing[::-1], atol=1e-4)


def test_colours_are_no_ct(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match="int16"):
        write_ct(slice_phantom(16, 0)[0], tmp_path)
