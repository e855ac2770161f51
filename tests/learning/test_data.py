"""Data sets as folders; truth is what the test itself wrote, with Pillow and nibabel."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from napari_medseg.core.errors import GeometryError, ReadError
from napari_medseg.core.task import Rule
from napari_medseg.learning.data import read_dataset, read_datasets

LABELS = np.zeros((6, 8), np.uint8)
LABELS[1:5, 1:6], LABELS[2:4, 2:4] = 1, 2
ABOUT = {
    "classes": {"0": "background", "1": "rim", "2": "cup"},
    "regions": {"optic disc": [1, 2], "optic cup": [2]},
    "modality": "colour fundus photography",
    "anatomy": "retina",
    "objective": "disc and cup",
    "role": "unseen",
    "dim": 2,
}
ROWS = [("a.png", "p1", "train"), ("b.png", "p2", "test"), ("c.png", "p2", "test")]


def write(folder: Path, about: dict | None = None, rows: list[tuple[str, str, str]] | None = None) -> Path:
    """Write a data set of pictures."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for name, *_ in ROWS:
        Image.fromarray(np.dstack([LABELS * 40] * 3)).save(folder / "images" / name)
        Image.fromarray(LABELS).save(folder / "masks" / name)
    (folder / "dataset.json").write_text(json.dumps(ABOUT if about is None else about))
    lines = [",".join(row) for row in (ROWS if rows is None else rows)]
    (folder / "index.csv").write_text("\n".join(["file,group,split", *lines]) + "\n")
    return folder


def test_a_data_set_says_what_it_is(tmp_path: Path) -> None:
    dataset = read_dataset(write(tmp_path / "eyes"))
    assert (dataset.name, dataset.role, dataset.dim) == ("eyes", "unseen", 2)
    assert dataset.classes == {1: "rim", 2: "cup"}
    assert dataset.task.slug == "eyes" and dataset.task.structure_names == ("optic disc", "optic cup")
    assert (dataset.task.modality, dataset.task.anatomy, dataset.task.objective) == (
        "colour fundus photography",
        "retina",
        "disc and cup",
    )
    assert dataset.task.rules == (Rule("inside", "optic cup", "optic disc"),)
    assert [item.group for item in dataset.select("test")] == ["p2", "p2"]
    assert [item.image.name for item in dataset.select("train")] == ["a.png"]
    assert dataset.select("val") == () and dataset.select("all") == dataset.items


def test_images_and_masks_are_read_as_written(tmp_path: Path) -> None:
    item = read_dataset(write(tmp_path / "eyes")).items[0]
    volume = item.volume()
    assert volume.array.shape == (1, 6, 8, 3)
    assert (volume.modality, volume.anatomy) == ("colour fundus photography", "retina")
    np.testing.assert_array_equal(item.labels(volume)[0], LABELS)
    mask = item.mask(volume)
    assert mask.names == ("optic disc", "optic cup")
    np.testing.assert_array_equal(mask.of("optic disc")[0], LABELS > 0)
    np.testing.assert_array_equal(mask.of("optic cup")[0], LABELS == 2)
    np.testing.assert_array_equal(item.mask().of("optic cup"), mask.of("optic cup"))


def test_without_regions_each_class_is_one_and_nothing_is_nested(tmp_path: Path) -> None:
    dataset = read_dataset(write(tmp_path / "eyes", {"classes": ABOUT["classes"]}))
    assert dataset.regions == {"rim": (1,), "cup": (2,)}
    assert dataset.task.rules == () and (dataset.role, dataset.dim) == ("seen", 2)
    np.testing.assert_array_equal(dataset.items[0].mask().of("rim")[0], LABELS == 1)


def test_volumes_with_masks_of_another_suffix(tmp_path: Path) -> None:
    folder = tmp_path / "heads"
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    labels = np.zeros((4, 5, 6), np.uint8)  # nibabel's (x, y, z)
    labels[1, 2, 3] = 1
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    nib.Nifti1Image(labels * 100.0, affine).to_filename(folder / "images" / "head.1.nii.gz")
    nib.Nifti1Image(labels, affine).to_filename(folder / "masks" / "head.1.nii.gz")
    (folder / "dataset.json").write_text(json.dumps({"classes": {"1": "tumour"}, "dim": 3}))
    (folder / "index.csv").write_text("file\nhead.1.nii.gz\n")
    dataset = read_dataset(folder)
    item = dataset.items[0]
    assert dataset.dim == 3 and (item.group, item.split) == ("head.1.nii.gz", "")
    volume = item.volume()
    assert np.argwhere(item.mask(volume).of("tumour")).tolist() == [[3, 2, 1]]
    nib.Nifti1Image(labels, 2 * affine).to_filename(folder / "masks" / "head.1.nii.gz")
    with pytest.raises(GeometryError):
        item.mask(volume)


@pytest.mark.parametrize("missing", ["images/b.png", "masks/b.png"])
def test_a_missing_image_or_mask_is_named(tmp_path: Path, missing: str) -> None:
    folder = write(tmp_path / "eyes")
    (folder / missing).unlink()
    with pytest.raises(ReadError, match=r"eyes/index.csv names 'b.png', but its image or mask is missing"):
        read_dataset(folder)


@pytest.mark.parametrize("name", ["dataset.json", "index.csv"])
def test_without_its_descriptions_it_is_no_data_set(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "eyes")
    (folder / name).unlink()
    with pytest.raises(ReadError, match=f"eyes has no {name}"):
        read_dataset(folder)
    with pytest.raises(ReadError):
        read_datasets([folder])


def test_damaged_descriptions_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "eyes")
    (folder / "dataset.json").write_text('{"classes": {"1": "rim"')
    with pytest.raises(ReadError, match="it is not JSON"):
        read_dataset(folder)


@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        ({"regions": {"disc": [1, 7]}}, "it does not name: 7"),
        ({"role": "Unseen"}, "seen or unseen"),
        ({"role": None}, "seen or unseen"),
        ({"dim": "3D"}, "2 or 3"),
        ({"dim": 4}, "2 or 3"),
    ],
)
def test_descriptions_that_make_no_sense_are_refused(tmp_path: Path, about: dict, sentence: str) -> None:
    with pytest.raises(ReadError, match=rf"eyes/dataset.json .*{sentence}"):
        read_dataset(write(tmp_path / "eyes", {**ABOUT, **about}))


@pytest.mark.parametrize("climb", ["../../{name}", "../masks/../../{name}", "{here}/{name}"])
def test_file_names_never_leave_the_folder(tmp_path: Path, climb: str) -> None:
    Image.fromarray(LABELS).save(tmp_path / "secret.png")
    name = climb.format(name="secret.png", here=tmp_path)
    with pytest.raises(ReadError, match="names 'secret.png', but its image or mask is missing"):
        read_dataset(write(tmp_path / "eyes", rows=[(name, "p", "train")]))
    inside = climb.format(name="a.png", here=tmp_path)
    dataset = read_dataset(write(tmp_path / "again", rows=[(inside, "p", "train")]))
    assert dataset.items[0].image == tmp_path / "again" / "images" / "a.png"


@pytest.mark.parametrize("name", ["..", ".", "/", "images"])
def test_names_of_folders_are_no_images(tmp_path: Path, name: str) -> None:
    with pytest.raises(ReadError, match="is missing"):
        read_dataset(write(tmp_path / "eyes", rows=[(name, "p", "train")]))


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([("a.png", "p1", "train"), ("b.png", "p1", "test")], "group p1"),
        ([("a.png", "p1", "train"), ("a.png", "p2", "test")], "file a.png"),
    ],
)
def test_what_is_trained_on_is_not_tested_on(tmp_path: Path, rows: list, what: str) -> None:
    with pytest.raises(ReadError, match=f"has {what} in two splits"):
        read_dataset(write(tmp_path / "eyes", rows=rows))


def test_class_numbers_nobody_named_are_refused_when_the_mask_is_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "eyes")
    Image.fromarray(np.where(LABELS == 2, 255, LABELS).astype(np.uint8)).save(folder / "masks" / "a.png")
    item = read_dataset(folder).items[0]
    for read in (item.labels, item.mask):
        with pytest.raises(ReadError, match=r"a.png holds label 255, which dataset.json does not name"):
            read()


def test_a_folder_of_data_sets_is_read_and_others_in_it_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "b eyes")
    write(tmp_path / "a eyes")
    (tmp_path / "dicom").mkdir()
    (tmp_path / "dicom" / "dataset.json").write_text("{}")
    assert [one.name for one in read_datasets([tmp_path])] == ["a eyes", "b eyes"]
    assert [one.name for one in read_datasets([tmp_path / "b eyes"])] == ["b eyes"]
    for nothing in (tmp_path / "dicom", tmp_path / "not there"):
        with pytest.raises(ReadError, match="There is no data set in"):
            read_datasets([nothing])


def test_the_real_data_sets_read_and_nest(medseg_data: Path) -> None:
    datasets = {one.name: one for one in read_datasets([medseg_data])}
    assert len(datasets) >= 29
    for dataset in datasets.values():
        item = dataset.items[0]
        volume = item.volume()
        assert (volume.geometry.shape[0] > 1) == (dataset.dim == 3), dataset.name
        mask = item.mask(volume)
        assert mask.names == dataset.task.structure_names
        assert any(mask.of(name).any() for name in mask.names), dataset.name
        for inner, outer in dataset.task.nested:
            assert not (mask.of(inner) & ~mask.of(outer)).any()
            assert mask.of(inner).sum() < mask.of(outer).sum()
    assert ("optic cup", "optic disc") in datasets["fundus_disc_cup_drishti"].task.nested
    assert ("nucleus", "white blood cell") in datasets["wbc_tecom"].task.nested
