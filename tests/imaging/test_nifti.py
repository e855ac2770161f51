"""NIfTI in and out; truth comes from nibabel and SimpleITK reading the same files."""

from itertools import product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from nibabel.testing import data_path
from scipy.spatial.transform import Rotation

from napari_medseg.core.errors import GeometryError, MedsegError
from napari_medseg.core.geometry import Geometry, from_spacing
from napari_medseg.core.mask import Mask
from napari_medseg.core.volume import Volume
from napari_medseg.imaging.files import read_mask, read_volume, write_mask, write_volume

SHAPE = (5, 6, 7)  # i, j, k
OWN_FILES = sorted(Path(str(data_path)).glob("*.nii*"))
IMAGES = [path for path in OWN_FILES if "dconn" not in path.name]


def affine_of(kind: str) -> np.ndarray:
    """RAS affines a scanner, a tool or a mistake may produce."""
    zooms = np.diag([0.75, 1.25, 4.0 if kind == "anisotropic" else 2.0])
    turn = {
        "RAS": np.eye(3),
        "LAS": np.diag([-1, 1, 1]),
        "LPS": np.diag([-1, -1, 1]),
        "PSR": np.array([[0, 0, 1], [-1, 0, 0], [0, 1, 0]]),
        "flipped": np.diag([1, -1, -1]),
        "oblique": Rotation.from_euler("xyz", [12, -23, 31], degrees=True).as_matrix(),
        "anisotropic": Rotation.from_euler("x", 17, degrees=True).as_matrix(),
        "sheared": np.array([[1, 0.25, 0], [0, 1, 0.1], [0, 0, 1]]),
    }[kind]
    affine = np.eye(4)
    affine[:3, :3] = turn @ zooms
    affine[:3, 3] = [-31.4, 27.1, 128.25]
    return affine


KINDS = ("RAS", "LAS", "LPS", "PSR", "flipped", "oblique", "anisotropic", "sheared")


def saved(path: Path, affine: np.ndarray | None, array: np.ndarray | None = None, **header: object) -> Path:
    array = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE) if array is None else array
    image = nib.Nifti1Image(array, affine)
    if affine is not None:
        image.set_sform(affine, 1)
        image.set_qform(affine, 1, strip_shears=True)
    image.header.set_xyzt_units("mm")
    for field, value in header.items():
        image.header[field] = value
    image.to_filename(path)
    return path


def corners(shape: tuple[int, ...]) -> np.ndarray:
    return np.array(list(product(*[(0, n - 1) for n in shape])))


@pytest.mark.parametrize("kind", KINDS)
def test_corners_lie_where_nibabel_says(tmp_path: Path, kind: str) -> None:
    path = saved(tmp_path / "a.nii.gz", affine_of(kind))
    volume, truth = read_volume(path), nib.load(path)
    for index in corners(volume.geometry.shape):
        ras = (truth.affine @ [*index[::-1], 1])[:3]
        assert volume.geometry.index_to_world(index) == pytest.approx(ras * [-1, -1, 1], abs=1e-12)
        assert volume.array[tuple(index)] == truth.dataobj[tuple(index[::-1])]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "sheared"])
def test_corners_lie_where_simpleitk_says(tmp_path: Path, kind: str) -> None:
    path = saved(tmp_path / "a.nii", affine_of(kind))
    volume, truth = read_volume(path), sitk.ReadImage(str(path))
    for index in corners(volume.geometry.shape):
        world = truth.TransformIndexToPhysicalPoint([int(i) for i in index[::-1]])
        assert volume.geometry.index_to_world(index) == pytest.approx(world, abs=1e-4)
    assert np.array_equal(volume.array, sitk.GetArrayFromImage(truth))


@pytest.mark.parametrize("kind", KINDS)
def test_a_mask_keeps_the_header_to_the_last_bit(tmp_path: Path, kind: str) -> None:
    path = saved(tmp_path / "a.nii.gz", affine_of(kind), descrip=b"as it was", toffset=2.5)
    image = nib.load(path)
    image.header["sform_code"], image.header["qform_code"] = 3, 2
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"keep me" * 5))
    image.to_filename(path)
    volume = read_volume(path)
    labels = np.zeros(volume.geometry.shape, np.uint8)
    labels[1:3, 2:4, :2] = 2
    mask = Mask.from_labels(labels, volume.geometry, {1: "liver", 2: "tumour"})
    out = nib.load(write_mask(mask, tmp_path / "m.nii.gz", volume))
    before = nib.load(path).header
    fields = "srow_x srow_y srow_z quatern_b quatern_c quatern_d qoffset_x qoffset_y qoffset_z pixdim"
    for field in f"{fields} sform_code qform_code xyzt_units toffset descrip".split():
        assert out.header[field].tobytes() == before[field].tobytes(), field
    assert out.affine.tobytes() == nib.load(path).affine.tobytes()
    assert [e.get_content() for e in out.header.extensions] == [e.get_content() for e in before.extensions]
    assert out.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(out.dataobj), labels.T)


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.name)
def test_nibabels_own_files(tmp_path: Path, path: Path) -> None:
    truth = nib.load(path)
    frame = 1 if len(truth.shape) == 4 else None
    volume = read_volume(path, frame)
    values = truth.get_fdata()[..., frame] if frame is not None else truth.get_fdata()
    assert volume.array.dtype.isnative
    finite = np.isfinite(values.T)
    assert np.allclose(volume.array[finite], values.T[finite], rtol=1e-6)
    image = sitk.ReadImage(str(path)) if not isinstance(truth, nib.Nifti2Image) else None  # ITK knows none
    for index in corners(volume.geometry.shape):
        if image is not None:
            at = [int(i) for i in index[::-1]] + ([0] if image.GetDimension() == 4 else [])
            world = image.TransformIndexToPhysicalPoint(at)[:3]
            assert volume.geometry.index_to_world(index) == pytest.approx(world, abs=2e-3)
        ras = (truth.affine @ [*index[::-1], 1])[:3]
        assert volume.geometry.index_to_world(index) == pytest.approx(ras * [-1, -1, 1], abs=1e-9)
    mask = Mask.from_labels((volume.array > volume.array.mean()).astype(np.uint8), volume.geometry)
    out = nib.load(write_mask(mask, tmp_path / path.name, volume))
    assert type(out) is type(truth)
    assert out.affine.tobytes() == truth.affine.tobytes()
    assert out.header["sform_code"] == truth.header["sform_code"]
    assert out.header["qform_code"] == truth.header["qform_code"]
    assert read_mask(tmp_path / path.name, volume.geometry).geometry.same_grid(volume.geometry)


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1000), ("micron", 0.001), ("mm", 1), ("unknown", 1)])
def test_units(tmp_path: Path, unit: str, factor: float) -> None:
    path = saved(tmp_path / "a.nii", affine_of("oblique"))
    image = nib.load(path)
    image.header.set_xyzt_units(unit)
    image.to_filename(path)
    volume, truth = read_volume(path), sitk.ReadImage(str(path))  # ITK converts too
    assert volume.geometry.spacing[::-1] == pytest.approx(truth.GetSpacing(), rel=1e-6)
    assert volume.geometry.spacing[::-1] == pytest.approx(np.array([0.75, 1.25, 2]) * factor, rel=1e-6)
    assert len(volume.notes) == (factor != 1)


def test_without_orientation_voxel_sizes_place_as_in_itk(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros(SHAPE, np.int16), None)
    image.header.set_zooms((2, 3, 4))
    image.to_filename(tmp_path / "a.nii")
    volume, truth = read_volume(tmp_path / "a.nii"), sitk.ReadImage(str(tmp_path / "a.nii"))
    for index in corners(volume.geometry.shape):
        world = truth.TransformIndexToPhysicalPoint([int(i) for i in index[::-1]])
        assert volume.geometry.index_to_world(index) == pytest.approx(world)
    assert "does not say how the patient lies" in volume.notes[0]
    assert not volume.geometry.oriented
    assert volume.geometry.spacing_known


def test_sform_outranks_qform_as_in_nibabel_and_it_is_said(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.nii", affine_of("RAS"))
    image = nib.load(path)
    image.set_qform(affine_of("LPS"), 1)
    image.to_filename(path)
    volume = read_volume(path)
    assert volume.geometry.ends(2) == ("L", "R")
    assert "place the image differently" in volume.notes[0]


def test_a_broken_sform_gives_way_to_the_qform(tmp_path: Path) -> None:
    header = nib.load(saved(tmp_path / "a.nii", affine_of("LPS"))).header
    header["srow_x"] = 0
    nib.Nifti1Image(np.zeros(SHAPE, np.uint8), None, header).to_filename(tmp_path / "b.nii")
    volume = read_volume(tmp_path / "b.nii")
    assert volume.geometry.ends(2) == ("R", "L")
    assert volume.notes == ("The file's sform places nothing and was not used.",)


def test_a_slice_without_thickness(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.nii", np.eye(4), np.zeros((5, 6), np.uint8))
    volume = read_volume(path)
    assert volume.array.shape == (1, 6, 5)
    header = nib.load(path).header
    header["sform_code"] = 0
    header["pixdim"][3] = 0
    nib.Nifti1Image(np.zeros((5, 6), np.uint8), None, header).to_filename(path)
    assert read_volume(path).geometry.spacing == (1, 1, 1)


def volume_elsewhere(kind: str) -> Volume:
    """A volume that was no NIfTI file, as from DICOM."""
    affine = np.diag([-1, -1, 1, 1]) @ affine_of(kind)
    geometry = Geometry(SHAPE[::-1], affine[:, [2, 1, 0, 3]])
    return Volume(np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE[::-1]), geometry)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mask_for_another_format_lies_on_the_same_grid(tmp_path: Path, kind: str) -> None:
    volume = volume_elsewhere(kind)
    mask = Mask.from_labels((volume.array % 3).astype(np.uint8), volume.geometry, {1: "a", 2: "b"})
    path = write_mask(mask, tmp_path / "m.nii.gz", volume)
    truth = nib.load(path)
    for index in corners(volume.geometry.shape):
        ras = (truth.affine @ [*index[::-1], 1])[:3]
        assert volume.geometry.index_to_world(index) == pytest.approx(ras * [-1, -1, 1], abs=1e-4)
    assert np.array_equal(read_mask(path, volume.geometry).flat(), volume.array % 3)
    assert int(truth.header["qform_code"]) == (0 if kind == "sheared" else 1)
    if kind != "sheared":
        assert sitk.ReadImage(str(path)).GetSpacing() == pytest.approx(volume.geometry.spacing[::-1])


def test_what_has_no_orientation_gets_none(tmp_path: Path) -> None:
    geometry = Geometry((1, 5, 6), from_spacing((1.0, 0.25, 0.5)), oriented=False)
    path = write_volume(Volume(np.zeros((1, 5, 6), np.uint8), geometry), tmp_path / "a.nii.gz")
    assert sitk.ReadImage(str(path)).GetSpacing() == (0.5, 0.25, 1.0)
    again = read_volume(path).geometry
    assert again.same_grid(geometry)
    assert not again.oriented


def test_what_nifti_cannot_hold(tmp_path: Path) -> None:
    volume = volume_elsewhere("RAS")
    uneven = Geometry(volume.geometry.shape, volume.geometry.affine, regular=False)
    with pytest.raises(GeometryError, match="unevenly spaced"):
        write_volume(Volume(volume.array, uneven), tmp_path / "a.nii.gz")
    colour = np.zeros((*volume.geometry.shape, 3), np.uint16)
    with pytest.raises(MedsegError, match="8-bit red, green, blue"):
        write_volume(Volume(colour, volume.geometry), tmp_path / "a.nii.gz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_written_as_it_was_read(tmp_path: Path, kind: str) -> None:
    volume = read_volume(saved(tmp_path / "a.nii.gz", affine_of(kind)))
    write_volume(volume, tmp_path / "b.nii.gz")
    again, truth = nib.load(tmp_path / "b.nii.gz"), nib.load(tmp_path / "a.nii.gz")
    assert again.affine.tobytes() == truth.affine.tobytes()
    assert np.array_equal(np.asarray(again.dataobj), np.asarray(truth.dataobj))
