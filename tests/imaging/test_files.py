"""What holds for every format, and the real images; truth comes from nibabel and SimpleITK."""

import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from napari_medseg.core.errors import GeometryError, MedsegError, ReadError
from napari_medseg.core.geometry import Geometry, from_spacing
from napari_medseg.core.mask import Mask
from napari_medseg.core.volume import Volume
from napari_medseg.imaging import files
from napari_medseg.imaging.files import SUFFIXES, WRITABLE, read_mask, read_volume, write_mask, write_volume

DATA = Path(os.environ.get("MEDSEG_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
VOLUMES = (
    "hippocampus_mr_msd04",
    "ms_lesion_mr",
    "spinalcord_mr_sct",
    "torso_ct_totalseg",
    "tumour_mr_pyradiomics",
)


def phantom() -> tuple[Volume, Mask]:
    geometry = Geometry((1, 5, 6), from_spacing((3.0, 0.5, 0.5), (1.0, 2.0, 3.0)))
    labels = np.zeros((1, 5, 6), np.uint8)
    labels[0, 1:3, 2:5] = 1
    volume = Volume(np.arange(30, dtype=np.uint8).reshape(1, 5, 6), geometry)
    return volume, Mask.from_labels(labels, geometry, {1: "nerve"})


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_no_image_is_one_sentence(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    with pytest.raises(ReadError, match=f"There is no file a{suffix}"):
        read_volume(path)
    path.write_bytes(b"")
    with pytest.raises(ReadError, match="is empty"):
        read_volume(path)
    for content in (b"x", b"hello, this is no image at all" * 100, bytes(5000), os.urandom(5000)):
        path.write_bytes(content)
        with pytest.raises(ReadError, match=f"a{suffix} could not be read"):
            read_volume(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ReadError, match="is a folder"):
        read_volume(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_wrong_suffix_is_no_guess(tmp_path: Path, suffix: str) -> None:
    volume, _ = phantom()
    for other in WRITABLE:
        if files._FORMATS[other] == files._FORMATS[suffix] and other.count("tif") == suffix.count("tif"):
            continue
        content = write_volume(volume, tmp_path / f"b{other}").read_bytes()
        (tmp_path / f"a{suffix}").write_bytes(content)
        with pytest.raises(ReadError, match="could not be read"):
            read_volume(tmp_path / f"a{suffix}")


def test_an_unknown_suffix_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"a.doc is of no kind .*\.nii, \.nii\.gz, \.nrrd"):
        read_volume(tmp_path / "a.doc")
    volume, mask = phantom()
    with pytest.raises(ReadError, match="a.jpg is of no kind"):
        write_mask(mask, tmp_path / "a.jpg", volume)


@pytest.mark.parametrize("suffix", WRITABLE)
def test_a_mask_comes_back(tmp_path: Path, suffix: str) -> None:
    volume, mask = phantom()
    path = write_mask(mask, tmp_path / f"m{suffix}", volume)
    assert os.listdir(tmp_path) == [path.name]
    again = read_mask(path, volume.geometry, {1: "nerve"})
    assert np.array_equal(again.of("nerve"), mask.of("nerve"))
    assert again.geometry is volume.geometry


def test_order_of_structures_on_a_flat_map(tmp_path: Path) -> None:
    volume, mask = phantom()
    from napari_medseg.core.structure import Structure

    mask = mask.add(Structure("all")).put("all", np.ones((1, 5, 6), bool))
    first = read_volume(write_mask(mask, tmp_path / "m.png", volume)).array
    assert np.unique(first).tolist() == [2]
    second = read_volume(write_mask(mask, tmp_path / "m.png", volume, ["all", "nerve"])).array
    assert np.array_equal(second == 2, mask.of("nerve"))


def test_a_mask_elsewhere_is_refused(tmp_path: Path) -> None:
    volume, mask = phantom()
    path = write_mask(mask, tmp_path / "m.nii.gz", volume)
    for geometry in (
        Geometry((1, 5, 6), from_spacing((3.0, 0.5, 0.5), (1.0, 2.5, 3.0))),
        Geometry((1, 5, 6), from_spacing((3.0, 0.5, 0.6), (1.0, 2.0, 3.0))),
        Geometry((1, 6, 5), from_spacing((3.0, 0.5, 0.5), (1.0, 2.0, 3.0))),
    ):
        with pytest.raises(GeometryError, match="m.nii.gz does not lie on the image"):
            read_mask(path, geometry)
        other = Volume(np.zeros(geometry.shape), geometry)
        with pytest.raises(GeometryError, match="so it was not written"):
            write_mask(mask, tmp_path / "n.nii.gz", other)
    with pytest.raises(GeometryError):
        read_mask(write_mask(mask, tmp_path / "m.png", volume), Geometry.of_pixels((1, 6, 5)))


def test_a_mask_with_other_axes_is_turned_exactly(tmp_path: Path) -> None:
    affine = np.diag([-0.5, 0.75, 2, 1])
    labels = np.random.default_rng(0).integers(0, 3, (4, 5, 6), dtype=np.uint8)
    nib.Nifti1Image(labels, affine).to_filename(tmp_path / "image.nii.gz")
    image = nib.load(tmp_path / "image.nii.gz")
    volume = read_volume(tmp_path / "image.nii.gz")
    turned = image.as_reoriented(nib.orientations.axcodes2ornt("SPL"))  # nibabel's own turning
    turned.to_filename(tmp_path / "mask.nii.gz")
    assert np.array_equal(read_mask(tmp_path / "mask.nii.gz", volume.geometry).flat(), labels.T)


def test_class_numbers_without_a_name_keep_their_number(tmp_path: Path) -> None:
    volume, _ = phantom()
    labels = np.zeros((1, 5, 6), np.uint8)
    labels[0, 0, :3] = [1, 7, 255]
    path = write_volume(Volume(labels, volume.geometry), tmp_path / "m.png")
    assert read_mask(path, names={1: "a", 2: "b"}).names == ("a", "b", "label 7", "label 255")


def test_what_is_no_label_map(tmp_path: Path) -> None:
    volume, _ = phantom()
    fractions = Volume(volume.array + np.float32(0.5), volume.geometry)
    with pytest.raises(ReadError, match="no mask: its values are not class numbers"):
        read_mask(write_volume(fractions, tmp_path / "a.nii.gz"))
    with pytest.raises(ReadError, match="no mask"):
        read_mask(write_volume(Volume(volume.array - np.int16(9), volume.geometry), tmp_path / "b.nrrd"))
    colours = np.random.default_rng(0).integers(0, 9, (1, 5, 6, 3), dtype=np.uint8)
    with pytest.raises(ReadError, match="colour picture"):
        read_mask(write_volume(Volume(colours, volume.geometry), tmp_path / "c.png"))
    grey = np.repeat(colours[..., :1], 3, axis=3)
    path = write_volume(Volume(grey, volume.geometry), tmp_path / "d.png")
    assert np.array_equal(read_mask(path).flat(), grey[..., 0])
    whole = Volume(colours[..., 0].astype(np.float64), volume.geometry)
    assert np.array_equal(read_mask(write_volume(whole, tmp_path / "e.nii.gz")).flat(), colours[..., 0])


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume, mask = phantom()
    path = write_mask(mask, tmp_path / "m.nii.gz", volume)
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MedsegError, match="m.nii.gz could not be written .*No space left on device"):
        write_mask(mask.put("nerve", np.ones((1, 5, 6), bool)), path, volume)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m.nii.gz"]
    with pytest.raises(MedsegError, match="could not be written"):
        write_mask(mask, tmp_path / "nowhere" / "m.png", volume)


def test_formats_are_imported_when_used() -> None:
    code = (
        "import sys, napari_medseg.imaging.files, napari_medseg.imaging.window;"
        "import napari_medseg.imaging.orientation;"
        "assert not {'nibabel', 'SimpleITK', 'PIL', 'tifffile', 'torch', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def real_files(kind: str) -> list[Path]:
    """A few files of each real set: images, or masks that have an image."""
    found = []
    for name in VOLUMES:
        paths = sorted((DATA / name / kind).glob("*.n*"))
        found += [p for p in paths if (DATA / name / "images" / p.name).exists()][:3]
    return found


@pytest.mark.skipif(not DATA.is_dir(), reason="the real images are not here; MEDSEG_DATA names their folder")
def test_real_images_lie_where_simpleitk_says(tmp_path: Path) -> None:
    paths = real_files("images")
    assert len(paths) >= len(VOLUMES)
    for path in paths:
        volume, truth = read_volume(path), sitk.ReadImage(str(path))
        assert np.allclose(volume.array, sitk.GetArrayFromImage(truth))
        for index in product(*[(0, n - 1) for n in volume.geometry.shape]):
            world = truth.TransformIndexToPhysicalPoint(index[::-1])
            off = volume.geometry.world_to_index(world) - index
            assert np.abs(off).max() < 1e-3, path.name
        mask = Mask.from_labels((volume.array > volume.array.mean()).astype(np.uint8), volume.geometry)
        out = write_mask(mask, tmp_path / path.name, volume)
        after = sitk.ReadImage(str(out))
        assert after.GetSpacing() == truth.GetSpacing()
        assert after.GetOrigin() == truth.GetOrigin()
        assert after.GetDirection() == truth.GetDirection()


@pytest.mark.skipif(not DATA.is_dir(), reason="the real images are not here; MEDSEG_DATA names their folder")
def test_real_masks_lie_on_their_images() -> None:
    paths = real_files("masks")
    assert len(paths) >= 3
    for path in paths:
        volume = read_volume(path.parents[1] / "images" / path.name)
        mask = read_mask(path, volume.geometry)
        assert np.array_equal(mask.flat() > 0, sitk.GetArrayFromImage(sitk.ReadImage(str(path))) > 0)
