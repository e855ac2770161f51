"""The two small files of a data set; truth is worked by hand."""

import json
from pathlib import Path

import pytest

from napari_medseg.core.errors import ReadError
from napari_medseg.learning import description
from napari_medseg.learning.description import classes_and_regions, read_json, read_rows


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "it is not JSON"),
        (b'{"classes": ', "it is not JSON"),
        (b"\xff\xfe\x00", "it is not text"),
        (b"[1, 2]", "not a JSON object"),
        (b"[" * 100_000, "it is not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "it is not JSON"),
    ],
)
def test_damaged_json_is_refused_in_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "dataset.json").write_bytes(content)
    with pytest.raises(ReadError, match=sentence):
        read_json(tmp_path / "dataset.json")


def test_files_that_are_missing_too_large_or_folders_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ReadError, match=r"has no dataset.json, so it is not a data set"):
        read_json(tmp_path / "dataset.json")
    (tmp_path / "index.csv").mkdir()
    with pytest.raises(ReadError, match="could not be opened"):
        read_rows(tmp_path / "index.csv")
    monkeypatch.setattr(description, "_LARGEST", 3)
    (tmp_path / "dataset.json").write_text("{   }")
    with pytest.raises(ReadError, match="too large"):
        read_json(tmp_path / "dataset.json")


def test_a_mark_before_the_first_letter_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text('{"dim": 2}', encoding="utf-8-sig")
    (tmp_path / "index.csv").write_text("file,group,split\na.png,7,test\n", encoding="utf-8-sig")
    assert read_json(tmp_path / "dataset.json") == {"dim": 2}
    assert read_rows(tmp_path / "index.csv") == [{"file": "a.png", "group": "7", "split": "test"}]


def test_other_columns_are_passed_over_and_missing_ones_are_empty(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text('note,file\n"two\nlines",a.png\n')
    assert read_rows(tmp_path / "index.csv") == [{"file": "a.png", "group": "", "split": ""}]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", 'a column "file"'),
        (b"file,group,split\n", 'a column "file"'),
        (b"name,split\na.png,test\n", 'a column "file"'),
        (b"file,split\na.png,train\n,test\n", 'a column "file"'),
        (b"file,split\na.png,trian\n", "a split 'trian'"),
        (b"file,split\n" + b"a" * 200_000 + b",test\n", "not a table"),
        (b"file\n\xe9.png\n", "it is not text"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "index.csv").write_bytes(content)
    with pytest.raises(ReadError, match=sentence):
        read_rows(tmp_path / "index.csv")


def test_classes_are_regions_unless_regions_say_otherwise() -> None:
    about = {"classes": {"0": "background", "2": "cup", "1": "rim "}}
    assert classes_and_regions(about, "x") == ({1: "rim", 2: "cup"}, {"rim": (1,), "cup": (2,)})
    about["regions"] = {"disc": [1, 2], "cup": [2]}
    assert classes_and_regions(about, "x")[1] == {"disc": (1, 2), "cup": (2,)}


@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        ({}, "names no classes"),
        ({"classes": {}}, "names no classes"),
        ({"classes": {"0": "background"}}, "names no classes"),
        ({"classes": ["liver"]}, "is damaged"),
        ({"classes": "liver"}, "is damaged"),
        ({"classes": {"one": "liver"}}, "is damaged"),
        ({"classes": {"1e9": "liver"}}, "is damaged"),
        ({"classes": {"256": "liver"}}, "outside 0 to 255"),
        ({"classes": {"-1": "liver"}}, "outside 0 to 255"),
        ({"classes": {"1": "liver", "2": "liver"}}, "of one name"),
        ({"classes": {"1": " "}}, "without a name"),
        ({"classes": {"1": "a"}, "regions": {"": [1]}}, "without a name"),
        ({"classes": {"1": "a"}, "regions": {"b": [1, 3]}}, "it does not name: 3"),
        ({"classes": {"1": "a"}, "regions": {"b": [0]}}, "it does not name: 0"),
        ({"classes": {"1": "a"}, "regions": {"b": []}}, "none at all"),
        ({"classes": {"1": "a"}, "regions": {"b": "1"}}, "is damaged"),
        ({"classes": {"1": "a"}, "regions": {"b": 1}}, "is damaged"),
        ({"classes": {"1": "a"}, "regions": {"b": [None]}}, "is damaged"),
        ({"classes": {"1": "a"}, "regions": [1]}, "is damaged"),
    ],
)
def test_classes_that_make_no_sense_are_refused(about: dict, sentence: str) -> None:
    with pytest.raises(ReadError, match=rf"eyes/dataset.json .*{sentence}"):
        classes_and_regions(json.loads(json.dumps(about)), "eyes")
