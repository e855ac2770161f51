"""What is found in a folder, and hostile files. Truth: what the test put there."""

import os

import numpy as np
import pytest

from napari_medseg.core.errors import ReadError
from napari_medseg.imaging.checks import is_dicom
from napari_medseg.imaging.dicom import list_folder, list_series, read_series
from tests.dicom_phantoms import AXIAL, along, dataset, plane, write, write_series

DISTANCES = [0, 3, 6, 9]


def test_a_nested_mixed_folder_is_listed(tmp_path):
    write_series(tmp_path / "a" / "b", along(AXIAL, DISTANCES), SeriesInstanceUID="1.2.1", SeriesNumber=2)
    write_series(tmp_path / "c", along(AXIAL, DISTANCES), SeriesInstanceUID="1.2.2", SeriesNumber=1)
    write(tmp_path, "seg.dcm", plane(0), Modality="SEG", SeriesInstanceUID="1.2.3")
    write(tmp_path / "c", "DICOMDIR", plane(0))
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "a" / "notes.dcm").write_text("no DICOM, whatever its name says" * 10)
    (tmp_path / "empty.dcm").touch()
    listing = list_folder(tmp_path)
    assert [series.uid for series in listing.series] == ["1.2.2", "1.2.1"]
    assert [series.n_slices for series in listing.series] == [4, 4]
    assert [(kind, path.name) for kind, path in listing.others] == [("SEG", "seg.dcm")]
    assert listing.notes == ("Not images, so not listed: 1 SEG.",)


def test_a_listed_series_says_what_it_is(tmp_path):
    write_series(tmp_path, along(AXIAL, DISTANCES))
    (series,) = list_series(tmp_path)
    assert (series.description, series.modality, series.anatomy, series.date) == (
        "Phantom", "CT", "abdomen", "2021-02-03",
    )  # fmt: skip
    assert (series.n_slices, series.size, series.spacing) == (4, (6, 8), pytest.approx((3.0, 0.7, 0.8)))
    assert (series.stack, series.note) == ("", "")


def test_a_single_file_is_listed_too(tmp_path):
    path = write(tmp_path, "a.dcm", plane(0))
    (series,) = list_series(path)
    assert series.files == (path,)


@pytest.mark.parametrize("make", ["nothing", "empty", "text"])
def test_where_there_is_nothing_one_sentence_says_so(tmp_path, make):
    folder = tmp_path / "folder"
    if make != "nothing":
        folder.mkdir()
    if make == "text":
        (folder / "a.dcm").write_text("text " * 100)
    with pytest.raises(ReadError) as error:
        list_series(folder)
    assert str(error.value).count(".") <= 2


def test_only_other_objects_are_named_in_the_refusal(tmp_path):
    write(tmp_path, "a.dcm", plane(0), Modality="SR")
    with pytest.raises(ReadError, match="1 SR"):
        list_series(tmp_path)


@pytest.mark.parametrize(("explicit", "little"), [(True, True), (False, True), (True, False)])
def test_files_without_preamble_are_read(tmp_path, explicit, little):
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    slice_ = dataset(plane(3).astype("<i2" if little else ">i2"))
    syntax = ExplicitVRLittleEndian if explicit else ImplicitVRLittleEndian
    slice_.file_meta.TransferSyntaxUID = syntax if little else ExplicitVRBigEndian
    slice_["PixelData"].VR = "OW"
    slice_.save_as(tmp_path / "full.dcm", enforce_file_format=True)
    data = (tmp_path / "full.dcm").read_bytes()
    (tmp_path / "full.dcm").unlink()
    start = data.index(b"\x08\x00\x16\x00" if little else b"\x00\x08\x00\x16")  # SOP Class UID
    (tmp_path / "bare").write_bytes(data[start:])
    assert is_dicom(tmp_path / "bare")
    (series,) = list_series(tmp_path)
    np.testing.assert_array_equal(read_series(series).array[0], plane(3))


def test_empty_uids_are_grouped_by_folder_and_kept(tmp_path):
    empty = {"SeriesInstanceUID": "", "StudyInstanceUID": "", "SOPInstanceUID": "", "SOPClassUID": ""}
    write_series(tmp_path / "a", along(AXIAL, DISTANCES), **empty)
    write_series(tmp_path / "b", along(AXIAL, DISTANCES), value=10, **empty)
    first, second = list_series(tmp_path)
    assert first.uid != second.uid
    assert [first.n_slices, second.n_slices] == [4, 4]
    assert list_series(tmp_path)[0].uid == first.uid


def test_a_truncated_slice_is_left_out_and_said(tmp_path):
    paths = write_series(tmp_path, along(AXIAL, [0, 3, 6, 9, 12]))
    paths[2].write_bytes(paths[2].read_bytes()[:-20])
    (series,) = list_series(tmp_path)
    assert series.n_slices == 4
    assert "1 file of this series left out: damaged or cut short." in series.note
    volume = read_series(series)
    assert not volume.geometry.regular
    assert "One slice is missing between slices 1 and 2" in volume.notes[0]


@pytest.mark.parametrize("cut", [140, 200, 300, 400, 600])
def test_a_truncated_header_is_one_sentence(tmp_path, cut):
    path = write(tmp_path, "a.dcm", plane(0))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ReadError) as error:
        list_series(tmp_path)
    assert "Nachname" not in str(error.value)


@pytest.mark.parametrize(
    "tags", [{"Rows": 65535, "Columns": 65535}, {"NumberOfFrames": 2**31 - 1}, {"NumberOfFrames": -4}]
)
def test_absurd_sizes_are_left_out_without_taking_memory(tmp_path, tags):
    write(tmp_path, "a.dcm", plane(0), **tags)
    with pytest.raises(ReadError, match="damaged or cut short"):
        list_series(tmp_path)


@pytest.mark.parametrize("seed", range(5))
def test_random_damage_never_ends_in_a_traceback(tmp_path, seed):
    rng = np.random.default_rng(seed)
    data = bytearray(write(tmp_path, "a.dcm", plane(0)).read_bytes())
    for k in range(20):
        worse = data.copy()
        for at in rng.integers(132, len(data), 12):
            worse[at] = int(rng.integers(256))
        (tmp_path / f"{k}.dcm").write_bytes(worse)
    for series in list_folder(tmp_path).series:
        try:
            assert read_series(series).array.size > 0
        except ReadError as error:
            assert str(error)


def test_circular_links_end(tmp_path):
    write_series(tmp_path / "a", along(AXIAL, DISTANCES))
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a" / "self")
    (series,) = list_series(tmp_path)
    assert series.n_slices == 4


def test_pipes_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.dcm")
    assert not is_dicom(tmp_path / "pipe.dcm")


def test_a_file_that_vanishes_after_listing(tmp_path):
    paths = write_series(tmp_path, along(AXIAL, DISTANCES))
    (series,) = list_series(tmp_path)
    paths[1].unlink()
    with pytest.raises(ReadError, match="Slice 1 of 'Phantom'"):
        read_series(series)
