"""What NIfTI files hold, whole or damaged; truth comes from nibabel and SimpleITK reading the same files."""

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from nibabel.testing import data_path

from napari_medseg.core.errors import MedsegError, ReadError
from napari_medseg.imaging.files import read_volume, write_volume

SHAPE = (5, 6, 7)  # i, j, k


def saved(path: Path, array: np.ndarray | None = None, **header: object) -> Path:
    array = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE) if array is None else array
    image = nib.Nifti1Image(array, np.diag([-1.5, 2, 3, 1]))
    for field, value in header.items():
        image.header[field] = value
    image.to_filename(path)
    return path


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", ">i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", ">f8"])
def test_every_number_type(tmp_path: Path, dtype: str) -> None:
    array = (np.arange(np.prod(SHAPE)) % 120).reshape(SHAPE).astype(dtype)
    header = nib.Nifti1Header(endianness=">" if dtype[0] == ">" else "<")
    header.set_data_dtype(dtype)
    nib.Nifti1Image(array, np.eye(4), header).to_filename(tmp_path / "a.nii")
    volume = read_volume(tmp_path / "a.nii")
    assert np.array_equal(volume.array, array.T)
    assert volume.array.dtype == np.dtype(dtype).newbyteorder("=")
    assert volume.array.flags.c_contiguous


def test_slope_and_intercept(tmp_path: Path) -> None:
    array = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    image = nib.Nifti1Image(array, np.eye(4))
    image.header.set_slope_inter(2.5, -1024)
    image.to_filename(tmp_path / "a.nii.gz")
    raw = np.asarray(nib.load(tmp_path / "a.nii.gz").dataobj)
    volume = read_volume(tmp_path / "a.nii.gz")
    assert np.allclose(volume.array, raw.T)
    assert volume.array.dtype == np.float32
    assert np.allclose(volume.array, sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.nii.gz"))))


def test_several_volumes_are_never_guessed(tmp_path: Path) -> None:
    array = np.arange(np.prod(SHAPE) * 4, dtype=np.int16).reshape(*SHAPE, 4)
    path = saved(tmp_path / "a.nii.gz", array)
    with pytest.raises(ReadError, match="holds 4 volumes, not one; choose one, frame 0 to 3"):
        read_volume(path)
    with pytest.raises(ReadError, match="no frame 4"):
        read_volume(path, 4)
    assert np.array_equal(read_volume(path, 2).array, array[..., 2].T)
    five = saved(tmp_path / "b.nii", array.reshape(*SHAPE, 2, 2))
    assert np.array_equal(read_volume(five, 2).array, array.reshape(*SHAPE, 2, 2)[..., 0, 1].T)


@pytest.mark.parametrize("names", ["RGB", "RGBA"])
def test_colour(tmp_path: Path, names: str) -> None:
    values = np.random.default_rng(0).integers(0, 255, (*SHAPE, len(names)), dtype=np.uint8)
    packed = values.view([(name, "u1") for name in names])[..., 0]
    nib.Nifti1Image(packed, np.eye(4)).to_filename(tmp_path / "a.nii.gz")
    volume = read_volume(tmp_path / "a.nii.gz")
    assert np.array_equal(volume.array, values[..., :3].transpose(2, 1, 0, 3))
    write_volume(volume, tmp_path / "b.nii.gz")
    assert np.array_equal(read_volume(tmp_path / "b.nii.gz").array, volume.array)


def test_complex_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.nii", np.ones(SHAPE, np.complex64))
    with pytest.raises(ReadError, match="complex64 values"):
        read_volume(path)


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    array = np.ones(SHAPE, np.float32)
    array[0, 0, 0], array[1, 0, 0], array[2, 0, 0], array[3, 0, 0] = np.nan, np.inf, -np.inf, -5
    volume = read_volume(saved(tmp_path / "a.nii", array))
    assert np.isfinite(volume.array).all()
    assert volume.array[0, 0, :4].tolist() == [-5, 1, -5, -5]
    assert len(volume.notes) == 1 and volume.notes[0].startswith("3 values are infinite or no numbers")
    with pytest.raises(ReadError, match="no finite value"):
        read_volume(saved(tmp_path / "b.nii", np.full(SHAPE, np.nan, np.float32)))


def test_the_window_of_the_header(tmp_path: Path) -> None:
    volume = read_volume(saved(tmp_path / "a.nii", cal_min=10, cal_max=60))
    assert volume.windows[0].limits == (10, 60)
    assert read_volume(saved(tmp_path / "b.nii", cal_min=0, cal_max=9999)).windows == ()


def test_connectivity_is_refused() -> None:
    path = next(Path(str(data_path)).glob("*.dconn.nii"))
    with pytest.raises(ReadError, match="CIFTI"):
        read_volume(path)


def test_content_counts_more_than_the_suffix(tmp_path: Path) -> None:
    zipped = saved(tmp_path / "a.nii.gz")
    for name in ("zipped.nii", "LOUD.NII.GZ"):
        (tmp_path / name).write_bytes(zipped.read_bytes())
        assert np.array_equal(read_volume(tmp_path / name).array, read_volume(zipped).array)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_one_sentence(tmp_path: Path, suffix: str, part: float) -> None:
    array = np.random.default_rng(0).integers(0, 999, (16, 16, 16), dtype=np.int16)
    path = saved(tmp_path / f"a{suffix}", array)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(ReadError, match=r"a\.nii.*(damaged|cut short)"):
        read_volume(path)


def test_a_flipped_bit_in_a_zipped_file_is_found(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 999, (16, 16, 16), dtype=np.int16)
    path = saved(tmp_path / "a.nii.gz", array)
    content = path.read_bytes()
    for at in range(12, len(content), 97):
        path.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        with pytest.raises(ReadError):
            read_volume(path)


def test_a_header_with_any_byte_broken_never_ends_in_a_traceback(tmp_path: Path) -> None:
    content = saved(tmp_path / "a.nii").read_bytes()
    n_read = 0
    for at in range(352):
        broken = bytes([0xFF if at % 2 else 0x7F])
        (tmp_path / "b.nii").write_bytes(content[:at] + broken + content[at + 1 :])
        try:
            n_read += np.isfinite(read_volume(tmp_path / "b.nii", 0).geometry.affine).all()
        except MedsegError as error:
            assert str(error).endswith(".")
    assert n_read > 100  # much of a header is text


def test_a_zip_bomb_is_refused_before_it_unfolds(tmp_path: Path) -> None:
    header = nib.Nifti1Header()
    header.set_data_shape((30000, 30000, 30000))
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(10**6)))
    with pytest.raises(ReadError, match="30000 x 30000 x 30000 values, more than the 4 GiB"):
        read_volume(tmp_path / "a.nii.gz")
