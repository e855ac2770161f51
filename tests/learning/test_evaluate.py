"""Evaluation of files; truth is the metrics' own (checked against MONAI) or counted by hand."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from napari_medseg.core.errors import GeometryError, ReadError, TaskError
from napari_medseg.core.metrics import score as score_regions
from napari_medseg.core.phantoms import ct_phantom, slice_phantom
from napari_medseg.core.progress import finish
from napari_medseg.imaging.files import write_mask
from napari_medseg.learning.evaluate import evaluate_files


def write_set(
    folder: Path, labels: dict[str, np.ndarray], regions: dict[str, list[int]] | None = None
) -> Path:
    """A data set of 2-D masks with two classes, each image its own patient."""
    from PIL import Image

    (folder / "masks").mkdir(parents=True)
    (folder / "images").mkdir()
    about = {"classes": {"0": "background", "1": "rim", "2": "cup"}, "dim": 2}
    if regions:
        about["regions"] = regions
    (folder / "dataset.json").write_text(json.dumps(about))
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["file", "group", "split"])
        writer.writeheader()
        for name, array in labels.items():
            writer.writerow({"file": f"{name}.png", "group": f"patient {name}", "split": "test"})
            for room in ("masks", "images"):
                Image.fromarray(array.astype(np.uint8)).save(folder / room / f"{name}.png")
    return folder


def rings() -> np.ndarray:
    """A disc of two classes: a rim of class 1 around a cup of class 2."""
    rows, columns = np.mgrid[:40, :40] - 20
    distance = np.hypot(rows, columns)
    return np.where(distance < 6, 2, np.where(distance < 14, 1, 0))


def test_two_volumes_score_as_their_arrays_do(tmp_path: Path) -> None:
    volume, truth = ct_phantom((8, 48, 48))
    names = ["liver", "spleen"]
    pred = truth.copy().put("liver", np.roll(truth.of("liver"), 1, axis=2))
    write_mask(truth, tmp_path / "truth.nii.gz", volume, names)
    write_mask(pred, tmp_path / "pred.nii.gz", volume, names)
    table = finish(evaluate_files(tmp_path / "pred.nii.gz", tmp_path / "truth.nii.gz"))
    lines = {line.structure: line for line in table.scored}
    expected = score_regions(np.roll(truth.of("liver"), 1, axis=2) & ~truth.of("spleen"), truth.of("liver"),
                             truth.geometry.spacing)  # fmt: skip
    assert lines["label 1"].scores.hd95 == pytest.approx(expected.hd95)
    assert lines["label 1"].scores.dice == pytest.approx(expected.dice)
    assert lines["label 2"].scores.dice == 1.0
    assert lines["label 1"].unit == "mm"


def test_nested_classes_are_scored_as_the_data_set_says(tmp_path: Path) -> None:
    truth = rings()
    folder = write_set(tmp_path / "set", {"a": truth}, {"disc": [1, 2], "cup": [2]})
    answers = write_set(tmp_path / "answers", {"a": np.where(truth > 0, 1, 0)}) / "masks"
    table = finish(evaluate_files(answers, folder))
    dice = {line.structure: line.scores.dice for line in table.scored}
    assert dice == {"disc": 1.0, "cup": 0.0}
    assert table.scored[0].group == "patient a"
    assert table.scored[0].unit == "px"
    assert table.mean().mean == pytest.approx(0.5)
    again = finish(evaluate_files(answers, folder / "masks"))
    assert {line.structure: line.scores.dice for line in again.scored} == dice


def test_absent_structures_count_and_false_outlines_are_measured(tmp_path: Path) -> None:
    truth, nothing = rings(), np.zeros((40, 40))
    folder = write_set(tmp_path / "set", {"a": truth, "b": nothing, "c": nothing})
    extra = nothing.copy()
    extra[:4, :4] = 1
    answers = write_set(tmp_path / "answers", {"a": truth, "b": nothing, "c": extra}) / "masks"
    table = finish(evaluate_files(answers, folder))
    # rim: 1, 1 (both empty), 0 (one empty); cup: 1, 1, 1
    assert table.mean(structure="rim").mean == pytest.approx(2 / 3)
    assert table.mean().mean == pytest.approx((1 + 1 + 0.5) / 3)
    false_positive = table.mean("false_positive", "rim")
    assert (false_positive.n, false_positive.mean) == (2, pytest.approx(16 / 1600 / 2))
    assert "rim: 0.5 % of the image outlined where it is absent (2 images)" in table.lines()


def test_record_is_json_and_lines_name_every_structure(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", {"a": rings()})
    table = finish(evaluate_files(folder / "masks", folder))
    record = json.loads(json.dumps(table.record(), allow_nan=False))
    assert record["mean"]["dice"]["mean"] == 1.0
    assert record["images"][0]["false_positive"] is None
    text = "\n".join(table.lines())
    assert "rim" in text
    assert "cup" in text


def test_what_does_not_match_is_said_in_one_sentence(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", {"a": rings(), "b": rings()})
    other = write_set(tmp_path / "other", {"z": rings()}) / "masks"
    with pytest.raises(TaskError, match="no truth for z.png"):
        finish(evaluate_files(other, folder))
    with pytest.raises(ReadError, match="no nowhere"):
        finish(evaluate_files(tmp_path / "nowhere", folder))
    foreign = write_set(tmp_path / "foreign", {"a": rings() + 5}) / "masks"
    with pytest.raises(TaskError, match="label 7"):
        finish(evaluate_files(foreign, folder))
    small = write_set(tmp_path / "small", {"a": rings()[:30]}) / "masks"
    with pytest.raises(GeometryError):
        finish(evaluate_files(small, folder))
    one = write_set(tmp_path / "one", {"a": rings()}) / "masks"
    assert "1 masks" in finish(evaluate_files(one, folder)).notes[0]


def test_an_empty_pair_has_nothing_to_score(tmp_path: Path) -> None:
    volume, truth = slice_phantom(32)
    for name in ("one.png", "two.png"):
        write_mask(truth, tmp_path / name, volume, [])
    with pytest.raises(TaskError, match="nothing to score"):
        finish(evaluate_files(tmp_path / "one.png", tmp_path / "two.png"))
