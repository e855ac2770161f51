"""Annotated files as examples: what they teach, under which names, and what is said of bad ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_medseg.core.errors import GeometryError, MedsegError, ReadError, TaskError
from napari_medseg.core.geometry import Geometry
from napari_medseg.core.mask import Mask
from napari_medseg.core.phantoms import CT_TASK, ct_phantom, slice_phantom
from napari_medseg.core.progress import finish
from napari_medseg.core.task import Task, task_of
from napari_medseg.core.volume import Volume
from napari_medseg.workflow import Examples, examples, read_examples, read_pair
from tests.lookalike import write_picture, write_volume


def pictures(folder: Path, n: int = 3, value: int = 1) -> Path:
    """Pictures of a square of this value at rows 10 to 19, columns 20 + their number on."""
    for number in range(n):
        labels = np.zeros((40, 50), np.uint8)
        labels[10:20, 20 + number : 30] = value
        write_picture(folder, f"p{number}", 100 + labels, labels)
    return folder


def read(source: Path, *names: str) -> Examples:
    return finish(read_examples(source, task_of("t", names) if names else None))


def test_pictures_teach_whole_and_a_binary_mask_teaches_what_is_asked_for(tmp_path: Path) -> None:
    found = read(pictures(tmp_path, value=255), "liver")
    assert [e.mask.names for e in found.examples] == [("liver",)] * 3
    assert [e.volume.name for e in found.examples] == ["p0", "p1", "p2"]
    assert all(e.mask.reviewed == {"axial": frozenset({0})} for e in found.examples)
    region = found.examples[1].mask.on_slice("liver", "axial", 0)
    assert region.sum() == 10 * 9 and region[10:20, 21:30].all()
    assert found.notes == ()
    assert read(tmp_path).names == ("structure 1",)
    assert read(tmp_path, "untitled").names == ("untitled",)


def test_only_labelled_slices_of_a_volume_teach(tmp_path: Path) -> None:
    volume, mask = ct_phantom((8, 32, 32))
    labelled = mask.flat().any(axis=(1, 2))
    for index in (0, 5):
        for name in mask.names:
            mask = mask.put_slice(name, "axial", index, np.zeros((32, 32), bool))
    write_volume(tmp_path, "case", volume, mask)
    (one,) = finish(read_examples(tmp_path, CT_TASK)).examples
    assert one.mask.reviewed["axial"] == frozenset(np.flatnonzero(labelled).tolist()) - {0, 5}
    np.testing.assert_array_equal(one.volume.array, volume.array)
    np.testing.assert_array_equal(one.mask.of("spleen"), mask.of("spleen"))


def test_values_are_the_task_s_structures_in_order(tmp_path: Path) -> None:
    volume, mask = slice_phantom(64)
    write_picture(tmp_path, "a", volume.array[0], mask.flat()[0])
    (one,) = read(tmp_path, "gland", "lesion").examples
    np.testing.assert_array_equal(one.mask.of("lesion"), mask.of("lesion"))
    np.testing.assert_array_equal(one.mask.of("gland"), mask.of("gland") & ~mask.of("lesion"))
    assert read(tmp_path).names == ("structure 1", "structure 2")
    assert read(tmp_path, "untitled").names == ("structure 1", "structure 2")
    with pytest.raises(TaskError, match="hold the values 1, 2, but there is a structure for 1 to 1 only: g"):
        read(tmp_path, "gland")


def describe(folder: Path, **words: object) -> None:
    (folder / "dataset.json").write_text(json.dumps(words), encoding="utf-8")


def test_a_data_set_names_its_structures_which_may_lie_in_each_other(tmp_path: Path) -> None:
    volume, mask = slice_phantom(64)
    write_picture(tmp_path, "a", volume.array[0], mask.flat()[0])
    describe(tmp_path, classes={"1": "rim", "2": "cup"}, regions={"Disc": [1, 2], "Cup": [2]}, modality="US")
    both = read(tmp_path)
    assert both.names == ("Disc", "Cup")
    np.testing.assert_array_equal(both.examples[0].mask.of("Disc"), mask.of("gland"))
    assert both.examples[0].volume.modality == "US"
    assert read(tmp_path, "untitled").names == ("Disc", "Cup")
    cup = read(tmp_path, "cup")
    assert cup.names == ("cup",)
    np.testing.assert_array_equal(cup.examples[0].mask.of("cup"), mask.of("lesion"))
    with pytest.raises(TaskError, match="show Disc, Cup, but liver is asked for"):
        read(tmp_path, "liver")
    pair = finish(read_pair(tmp_path / "images" / "a.png", tmp_path / "masks" / "a.png"))
    assert pair.names == ("Disc", "Cup")


def test_a_set_of_one_structure_teaches_the_one_asked_for(tmp_path: Path) -> None:
    describe(pictures(tmp_path), classes={"0": "background", "1": "polyp"})
    assert read(tmp_path, "lesion").names == ("lesion",)


def test_a_folder_of_data_sets_is_read_as_one(tmp_path: Path) -> None:
    pictures(tmp_path / "one", 1), pictures(tmp_path / "two", 2, value=7)
    found = read(tmp_path, "liver")
    assert len(found.examples) == 3 and found.names == ("liver",)


def test_images_without_a_mask_and_empty_masks_are_told(tmp_path: Path) -> None:
    write_picture(pictures(tmp_path), "p3", np.ones((40, 50)))
    write_picture(tmp_path, "p4", np.ones((40, 50)), np.zeros((40, 50)))
    (tmp_path / "images" / ".p5.png").write_bytes(b"left behind by a copy")
    (tmp_path / "images" / "notes.txt").write_text("no image")
    found = read(tmp_path, "liver")
    assert len(found.examples) == 3
    without, empty = found.notes
    assert without == f"1 of 5 images in {tmp_path.name} have no mask and teach nothing."
    assert empty == "1 of 4 masks show nothing and were left out, such as p4.png."


def test_many_pairs_are_bounded_and_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path, 5)
    monkeypatch.setattr(examples, "MOST_PAIRS", 4)
    assert read(tmp_path, "liver").notes == ("Only the first 4 of 5 pairs were read.",)
    monkeypatch.setattr(examples, "MOST_BYTES", 2 * 40 * 50)
    found = read(tmp_path, "liver")
    assert len(found.examples) == 2
    assert found.notes[1] == "Only the first 2 of 4 pairs were read; more would fill the memory."


def missing_masks(folder: Path) -> None:
    write_picture(folder, "a", np.ones((40, 50)))


def empty_mask(folder: Path) -> None:
    write_picture(folder, "a", np.ones((40, 50)), np.zeros((40, 50)))


def off_grid(folder: Path) -> None:
    write_picture(folder, "a", np.ones((40, 50)), np.ones((40, 40)))


def shifted(folder: Path) -> None:
    volume, mask = ct_phantom((4, 16, 16))
    affine = volume.geometry.affine.copy()
    affine[0, 3] += 20
    moved = Geometry((4, 16, 16), affine)
    write_volume(folder, "a", volume, None)
    write_volume(folder / "moved", "a", Volume(volume.array, moved), Mask.from_labels(mask.flat(), moved))
    (folder / "moved" / "masks" / "a.nii.gz").rename(folder / "masks" / "a.nii.gz")


def no_masks_folder(folder: Path) -> None:
    (folder / "images").mkdir(parents=True)


def no_images_folder(folder: Path) -> None:
    (folder / "masks").mkdir(parents=True)


def nothing(folder: Path) -> None:
    folder.mkdir(exist_ok=True)


def no_images(folder: Path) -> None:
    no_masks_folder(folder), no_images_folder(folder)


def a_file(folder: Path) -> None:
    folder.rmdir()
    folder.write_text("no folder")


def many_objects(folder: Path) -> None:
    write_picture(folder, "a", np.ones((40, 50)), np.arange(2000).reshape(40, 50) // 40)


def colours(folder: Path) -> None:
    mask = np.zeros((40, 50, 3))
    mask[..., 0] = 255
    write_picture(folder, "a", np.ones((40, 50)), mask)


def no_picture(folder: Path) -> None:
    write_picture(folder, "a", np.ones((40, 50)), np.ones((40, 50)))
    (folder / "images" / "a.png").write_bytes(b"not a picture")


@pytest.mark.parametrize(
    ("make", "kind", "said"),
    [
        (missing_masks, ReadError, r"'a\.png' needs 'masks/a\.png'"),
        (empty_mask, ReadError, r"The mask a\.png is empty"),
        (off_grid, GeometryError, r"a\.png does not lie on the image: .* 40 x 40 .* 40 x 50"),
        (shifted, GeometryError, r"a\.nii\.gz does not lie on the image"),
        (no_masks_folder, ReadError, "has no folder masks/"),
        (no_images_folder, ReadError, "has no folder images/"),
        (nothing, ReadError, "has no folder images/"),
        (no_images, ReadError, "holds no image"),
        (a_file, ReadError, "is a file; examples are a folder"),
        (many_objects, TaskError, "hold 49 values, so they number single objects"),
        (colours, ReadError, "is a colour picture"),
        (no_picture, ReadError, r"a\.png could not be read"),
    ],
)
def test_each_bad_thing_is_one_plain_sentence(tmp_path: Path, make, kind, said) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path)
    task = None if make is many_objects else Task("t", structures=task_of("t", ("liver",)).structures)
    with pytest.raises(kind, match=said) as caught:
        finish(read_examples(tmp_path, task))
    sentence = str(caught.value)
    assert isinstance(caught.value, MedsegError)
    assert sentence.endswith(".") and "\n" not in sentence


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="is not there"):
        read(tmp_path / "nowhere")


def test_one_pair_is_read_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path, 1)
    (tmp_path / "masks" / "p0.png").rename(tmp_path / "drawn by hand.png")
    (tmp_path / "images" / "p0.png").rename(tmp_path / "p0.png")
    monkeypatch.chdir(tmp_path)
    found = finish(read_pair(Path("p0.png"), Path("drawn by hand.png"), task_of("t", ("liver",))))
    assert found.names == ("liver",) and found.examples[0].mask.of("liver").sum() == 100
