"""Arrays under their checksum; how they read elsewhere is asked of nibabel and SimpleITK."""

import hashlib

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from napari_medseg.core.errors import SessionError
from napari_medseg.core.geometry import Geometry
from napari_medseg.core.phantoms import mr_phantom
from napari_medseg.session import blobs


def test_other_programs_see_the_mask_where_it_is(tmp_path):
    volume, mask = mr_phantom((5, 12, 14))
    name = blobs.put(tmp_path, blobs.encode(mask.arrays[0], volume.geometry))
    path = tmp_path / f"{name}.nii.gz"
    corner = np.array(mask.geometry.shape) - 1
    lps = volume.geometry.index_to_world(corner)
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), mask.arrays[0])
    np.testing.assert_allclose(
        image.TransformIndexToPhysicalPoint([int(n) for n in corner[::-1]]), lps, atol=1e-3
    )
    ras = nibabel.load(path).affine @ [*corner[::-1], 1]
    np.testing.assert_allclose(ras[:3] * [-1, -1, 1], lps, atol=1e-4)


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int16", "uint16", "int32", "float32", "float64", "float16", ">i2"]
)
@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 6, 7, 3), (1, 1, 1), (2, 3, 4, 1)])
def test_an_array_comes_back_as_it_was(dtype, shape):
    array = (np.random.default_rng(0).random(shape) * 100).astype(dtype)
    again = blobs.decode(blobs.encode(array, Geometry(shape[:3], np.diag([3.0, 2.0, 1.0, 1.0]))))
    assert again.shape == shape
    np.testing.assert_array_equal(again, array)
    assert again.flags.writeable and again.flags.c_contiguous


def test_a_side_too_long_for_the_first_nifti_is_kept_too():
    array = np.zeros((1, 2, 40000), np.uint8)
    array[0, 1, 39999] = 7
    np.testing.assert_array_equal(blobs.decode(blobs.encode(array, Geometry.of_pixels((1, 2, 40000)))), array)


def test_the_same_array_is_one_file_named_by_its_checksum(tmp_path):
    grid = Geometry.of_pixels((1, 8, 8))
    first = blobs.put(tmp_path, blobs.encode(np.ones((1, 8, 8), np.uint8), grid))
    second = blobs.put(tmp_path, blobs.encode(np.ones((1, 8, 8), np.uint8), grid))
    (file,) = tmp_path.iterdir()
    assert first == second == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_file_that_went_bad_is_written_anew_when_its_mask_is_accepted_again(tmp_path):
    data = blobs.encode(np.ones((1, 8, 8), np.uint8), Geometry.of_pixels((1, 8, 8)))
    name = blobs.put(tmp_path, data)
    (tmp_path / f"{name}.nii.gz").write_bytes(data[:-1])
    assert blobs.put(tmp_path, data) == name
    assert (tmp_path / f"{name}.nii.gz").read_bytes() == data


@pytest.mark.parametrize("harm", ["gone", "cut", "flipped"])
def test_a_missing_or_damaged_file_is_named(tmp_path, harm):
    data = blobs.encode(np.ones((1, 8, 8), np.uint8), Geometry.of_pixels((1, 8, 8)))
    name = blobs.put(tmp_path, data)
    path = tmp_path / f"{name}.nii.gz"
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(data[:-9] if harm == "cut" else data[:30] + bytes([data[30] ^ 1]) + data[31:])
    word = "missing" if harm == "gone" else "damaged"
    with pytest.raises(SessionError, match=rf"{name}.nii.gz of case 3 is {word}: put it back from a backup"):
        blobs.get(tmp_path, name, "case 3")


def test_runs_are_half_open_stretches():
    assert blobs.runs({5, 3, 4, 9, 0}) == [(0, 1), (3, 6), (9, 10)]
    assert blobs.runs([]) == []
