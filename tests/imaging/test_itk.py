"""NRRD, MHA and MHD in and out; truth comes from SimpleITK reading the same files."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from napari_medseg.core.errors import GeometryError, MedsegError, ReadError
from napari_medseg.core.geometry import Geometry
from napari_medseg.core.mask import Mask
from napari_medseg.core.volume import Volume
from napari_medseg.imaging.files import read_mask, read_volume, write_mask, write_volume

DIRECTIONS = {
    "LPS": np.eye(3),
    "RAS": np.diag([-1, -1, 1]),
    "LAS": np.diag([1, -1, 1]),
    "PSR": np.array([[0, 0, -1], [1, 0, 0], [0, 1, 0]]),
    "oblique": Rotation.from_euler("xyz", [12, -23, 31], degrees=True).as_matrix(),
    "sheared": np.array([[1, 0.3, 0], [0, np.sqrt(1 - 0.09), 0], [0, 0, 1]]),
}
SPACING, ORIGIN = (0.7, 0.9, 3.3), (-12.3, 45.6, 1 / 3)


def image_of(kind: str, array: np.ndarray | None = None, is_vector: bool = False) -> sitk.Image:
    array = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6) if array is None else array
    image = sitk.GetImageFromArray(array, isVector=is_vector)
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN)
    image.SetDirection(DIRECTIONS[kind].ravel().tolist())
    return image


def saved(path: Path, image: sitk.Image, compressed: bool = False) -> Path:
    sitk.WriteImage(image, str(path), compressed)
    return path


def assert_same_place(geometry: Geometry, image: sitk.Image) -> None:
    for index in product(*[(0, n - 1) for n in geometry.shape]):
        world = image.TransformIndexToPhysicalPoint(index[::-1])
        assert geometry.index_to_world(index) == pytest.approx(world, abs=1e-12)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".mhd"])
@pytest.mark.parametrize("kind", DIRECTIONS)
def test_corners_lie_where_simpleitk_says(tmp_path: Path, kind: str, suffix: str) -> None:
    path = saved(tmp_path / f"a{suffix}", image_of(kind))
    volume, truth = read_volume(path), sitk.ReadImage(str(path))
    assert_same_place(volume.geometry, truth)
    assert np.array_equal(volume.array, sitk.GetArrayFromImage(truth))
    assert volume.notes == ()


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("kind", DIRECTIONS)
def test_a_mask_keeps_the_placing_to_the_last_bit(tmp_path: Path, kind: str, suffix: str) -> None:
    path = saved(tmp_path / f"a{suffix}", image_of(kind))
    volume, before = read_volume(path), sitk.ReadImage(str(path))
    labels = (volume.array % 3).astype(np.uint8)
    mask = Mask.from_labels(labels, volume.geometry, {1: "a", 2: "b"})
    out = write_mask(mask, tmp_path / f"m{suffix}", volume)
    after = sitk.ReadImage(str(out))
    assert after.GetSpacing() == before.GetSpacing()
    assert after.GetOrigin() == before.GetOrigin()
    assert after.GetDirection() == before.GetDirection()
    assert np.array_equal(sitk.GetArrayFromImage(after), labels)
    assert read_mask(out, volume.geometry).geometry.affine.tobytes() == volume.geometry.affine.tobytes()


def test_an_nrrd_keeps_its_own_words(tmp_path: Path) -> None:
    content = (
        b"NRRD0005\n# written by hand\ntype: uint8\ndimension: 3\nspace: right-anterior-superior\n"
        b"sizes: 2 2 2\nspace directions: (0.1,0,0) (0,0.30000000000000004,0) (0,0,3)\n"
        b"kinds: domain domain domain\nencoding: raw\nspace origin: (1e-3,-2,7.25)\n"
        b'space units: "mm" "mm" "mm"\n\n' + bytes(range(8))
    )
    (tmp_path / "a.nrrd").write_bytes(content)
    volume = read_volume(tmp_path / "a.nrrd")
    assert volume.geometry.ends(2) == ("L", "R")
    mask = Mask.from_labels(volume.array % 2, volume.geometry)
    written = write_mask(mask, tmp_path / "m.nrrd", volume).read_bytes().partition(b"\n\n")[0].split(b"\n")
    for line in content.partition(b"\n\n")[0].split(b"\n"):
        if line.startswith(b"space"):
            assert line in written
    assert_same_place(volume.geometry, sitk.ReadImage(str(tmp_path / "m.nrrd")))


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("kind", DIRECTIONS)
def test_a_mask_for_another_format_lies_on_the_same_grid(tmp_path: Path, kind: str, suffix: str) -> None:
    source = read_volume(saved(tmp_path / "a.nrrd", image_of(kind)))
    volume = Volume(source.array, source.geometry)  # as from DICOM: no header of this room
    mask = Mask.from_labels((volume.array % 3).astype(np.uint8), volume.geometry)
    out = write_mask(mask, tmp_path / f"m{suffix}", volume)
    assert_same_place(volume.geometry, sitk.ReadImage(str(out)))


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_flat_images(tmp_path: Path, suffix: str) -> None:
    image = sitk.GetImageFromArray(np.arange(30, dtype=np.uint8).reshape(5, 6))
    image.SetSpacing((0.5, 0.25))
    image.SetOrigin((3, 4))
    volume = read_volume(saved(tmp_path / f"a{suffix}", image))
    assert volume.array.shape == (1, 5, 6)
    assert volume.geometry.spacing == (1, 0.25, 0.5)
    assert not volume.geometry.oriented
    mask = Mask.from_labels(volume.array % 2, volume.geometry)
    after = sitk.ReadImage(str(write_mask(mask, tmp_path / f"m{suffix}", volume)))
    assert (after.GetSize(), after.GetSpacing(), after.GetOrigin()) == ((6, 5), (0.5, 0.25), (3, 4))


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_colours_are_channels_and_other_vectors_are_volumes(tmp_path: Path, suffix: str) -> None:
    values = np.random.default_rng(0).integers(0, 255, (4, 5, 6, 3), dtype=np.uint8)
    colour = read_volume(saved(tmp_path / f"c{suffix}", image_of("LPS", values, True)))
    assert np.array_equal(colour.array, values)
    write_volume(colour, tmp_path / f"d{suffix}")
    assert np.array_equal(read_volume(tmp_path / f"d{suffix}").array, values)
    vectors = values.astype(np.float32)
    path = saved(tmp_path / f"v{suffix}", image_of("LPS", vectors, True))
    with pytest.raises(ReadError, match="holds 3 volumes"):
        read_volume(path)
    second = read_volume(path, 1)
    assert np.array_equal(second.array, vectors[..., 1])
    mask = Mask.from_labels((second.array > 99).astype(np.uint8), second.geometry)
    assert_same_place(second.geometry, sitk.ReadImage(str(write_mask(mask, tmp_path / f"m{suffix}", second))))


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_four_dimensions(tmp_path: Path, suffix: str) -> None:
    values = np.random.default_rng(0).normal(size=(3, 4, 5, 6)).astype(np.float32)
    image = sitk.GetImageFromArray(values, isVector=False)
    image.SetSpacing((1, 2, 3, 4))
    path = saved(tmp_path / f"a{suffix}", image)
    with pytest.raises(ReadError, match="holds 3 volumes"):
        read_volume(path)
    volume = read_volume(path, 2)
    assert np.array_equal(volume.array, values[2])
    assert volume.geometry.spacing == (3, 2, 1)
    mask = Mask.from_labels((volume.array > 0).astype(np.uint8), volume.geometry)
    after = sitk.ReadImage(str(write_mask(mask, tmp_path / f"m{suffix}", volume)))
    assert_same_place(volume.geometry, after)


def test_without_voxel_size_lengths_are_pixels(tmp_path: Path) -> None:
    (tmp_path / "a.nrrd").write_bytes(
        b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 2 2\nencoding: raw\n\n01234567"
    )
    volume = read_volume(tmp_path / "a.nrrd")
    assert not volume.geometry.spacing_known
    assert volume.notes == ("The file gives no voxel size: lengths are shown in pixels.",)
    (tmp_path / "b.nrrd").write_bytes(
        b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 2 2\nspacings: 1 2 3\nencoding: raw\n\n01234567"
    )
    volume = read_volume(tmp_path / "b.nrrd")
    assert volume.geometry.spacing == (3, 2, 1)
    assert "does not say how the patient lies" in volume.notes[0]
    assert not volume.geometry.oriented


def test_a_grid_that_is_flat_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.nrrd").write_bytes(
        b"NRRD0004\ntype: uint8\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 2 2\n"
        b"space directions: (1,0,0) (1,0,0) (0,0,1)\nencoding: raw\nspace origin: (0,0,0)\n\n01234567"
    )
    with pytest.raises(ReadError, match="damaged"):
        read_volume(tmp_path / "a.nrrd")


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha", "a.mhd"])
@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_files_are_one_sentence(tmp_path: Path, name: str, compressed: bool) -> None:
    array = np.random.default_rng(0).integers(0, 99, (9, 20, 30), dtype=np.int16)
    path = saved(tmp_path / name, image_of("oblique", array), compressed)
    voxels = next((p for p in tmp_path.iterdir() if p.suffix in (".raw", ".zraw")), path)
    content = voxels.read_bytes()
    assert np.array_equal(read_volume(path).array, array)
    for part in (0.1, 0.6, 0.99):
        voxels.write_bytes(content[: int(len(content) * part)])
        with pytest.raises(ReadError, match="damaged or incomplete"):
            read_volume(path)
    if compressed:
        at = len(content) * 2 // 3
        voxels.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
        with pytest.raises(ReadError, match="damaged or incomplete"):
            read_volume(path)
    voxels.unlink()
    with pytest.raises(ReadError):
        read_volume(path)


def test_a_claim_of_size_is_checked_before_reading(tmp_path: Path) -> None:
    (tmp_path / "a.nrrd").write_bytes(
        b"NRRD0004\ntype: short\ndimension: 3\nsizes: 90000 90000 900\nencoding: gzip\nendian: little\n\nabc"
    )
    with pytest.raises(ReadError, match="more than the 4 GiB"):
        read_volume(tmp_path / "a.nrrd")


def test_what_the_format_cannot_hold(tmp_path: Path) -> None:
    source = read_volume(saved(tmp_path / "a.nrrd", image_of("LPS")))
    uneven = Geometry(source.geometry.shape, source.geometry.affine, regular=False)
    with pytest.raises(GeometryError, match="unevenly spaced"):
        write_volume(Volume(source.array, uneven), tmp_path / "b.nrrd")
    with pytest.raises(MedsegError, match="could not be written"):
        write_volume(source, tmp_path / "nowhere" / "b.nrrd")


def test_pixels_stay_pixels_in_an_nrrd(tmp_path: Path) -> None:
    volume = Volume(np.zeros((1, 5, 6), np.uint8), Geometry.of_pixels((1, 5, 6)))
    assert not read_volume(write_volume(volume, tmp_path / "a.nrrd")).geometry.spacing_known


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_a_header_with_any_byte_broken_never_ends_in_a_traceback(tmp_path: Path, suffix: str) -> None:
    content = saved(tmp_path / f"a{suffix}", image_of("oblique", np.zeros((2, 2, 2), np.int16))).read_bytes()
    n_read = 0
    for at in range(0, len(content) - 16, 3):
        broken = bytes([content[at] ^ (1 if at % 2 else 16)])
        (tmp_path / f"b{suffix}").write_bytes(content[:at] + broken + content[at + 1 :])
        try:
            n_read += read_volume(tmp_path / f"b{suffix}").array.size > 0
        except ReadError as error:
            assert str(error).endswith(".")
    assert n_read > 30
