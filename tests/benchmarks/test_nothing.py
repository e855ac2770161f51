"""Prompts at what is not there: places, answers and areas counted by hand on made-up pictures."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_medseg import workflow
from napari_medseg.benchmarks import quality
from napari_medseg.benchmarks.harness import Row, SetInfo, Unit, units_of
from napari_medseg.benchmarks.nothing import (
    BOX,
    MASK,
    Donors,
    lines_of_nothing,
    nothings_of,
    rows_of_nothing,
)
from napari_medseg.core.mask import Region
from napari_medseg.core.progress import finish
from napari_medseg.core.prompts import Box, MaskPrompt, Prompt
from napari_medseg.core.volume import Volume
from napari_medseg.learning.data import read_datasets
from napari_medseg.learning.prompting import Target
from tests.models import tiny_sam

CYST, STONE = 1, 2


def write_pictures(folder: Path, labels: Sequence[np.ndarray]) -> Path:
    """A set of grey pictures with a cyst or a stone on some of them, all in the test split."""
    for room in ("images", "masks"):
        (folder / room).mkdir(parents=True)
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "group", "split"])
        for number, truth in enumerate(labels):
            name = f"p{number}.png"
            Image.fromarray(np.uint8(60 + 90 * (truth > 0))).save(folder / "images" / name)
            Image.fromarray(np.uint8(truth)).save(folder / "masks" / name)
            writer.writerow([name, f"patient {number}", "test"])
    (folder / "dataset.json").write_text(json.dumps({"classes": {"1": "cyst", "2": "stone"}}))
    return folder


def square(value: int, top: int, left: int, size: int = 20, shape: tuple[int, int] = (64, 80)) -> np.ndarray:
    labels = np.zeros(shape, np.uint8)
    labels[top : top + size, left : left + size] = value
    return labels


@pytest.fixture
def units(tmp_path: Path) -> dict[str, Unit]:
    """A cyst; a stone elsewhere; a stone in the cyst's place; nothing, on a picture twice as large."""
    empty = np.zeros((128, 160), np.uint8)
    labels = [square(CYST, 10, 10), square(STONE, 40, 50), square(STONE, 15, 15), empty]
    folder = write_pictures(tmp_path / "data" / "stones", labels)
    return {unit.item.image.name: unit for unit in units_of(read_datasets([folder]), "test", 0)}


class Half:
    """Outlines the upper half of what it is pointed at, and expects much of it."""

    name = "half"
    word: dict[str, float] = {"expected": 0.75}  # noqa: RUF012

    def outline(self, volume: Volume, target: Target, prompts: Sequence[Prompt], before: Region) -> Region:
        answer = target.region.copy()
        answer[np.flatnonzero(answer.any(1))[10:]] = False
        return answer


class Silent(Half):
    """Sees that nothing is there."""

    name = "silent"

    def outline(self, volume: Volume, target: Target, prompts: Sequence[Prompt], before: Region) -> Region:
        assert not before.any() and isinstance(prompts[0], (Box, MaskPrompt))
        return np.zeros_like(target.region)


def test_only_what_is_missing_is_asked_for_and_only_where_nothing_is_outlined(units) -> None:
    donors = Donors(list(units.values()))

    def places(name: str) -> set[tuple[str, int, int]]:
        found = nothings_of(units[name].item.mask(), units[name], donors)
        return {(t.structure, *map(int, np.argwhere(t.region)[0])) for t in found}

    assert places("p0.png") == {("stone", 40, 50)}  # the stone at 15, 15 would touch the cyst
    assert places("p1.png") == {("cyst", 10, 10)}
    assert places("p2.png") == set()
    assert places("p3.png") == {("cyst", 20, 20), ("stone", 80, 100), ("stone", 30, 30)}


def test_an_empty_answer_counts_one_and_any_other_nought_with_its_area(units) -> None:
    unit = units["p1.png"]
    targets = nothings_of(unit.item.mask(), unit, Donors(list(units.values())))

    def row_of(target: Target) -> partial[Row]:
        return partial(Row, "stones", "p1.png", "patient 1", target.structure, target.key)

    rows = rows_of_nothing(unit.item.volume(), targets, [Half(), Silent()], [Silent()], row_of)
    assert [(row.part, row.arm, row.dice, row.false_area) for row in rows] == [
        (BOX, "half", 0.0, 0.5),
        (BOX, "silent", 1.0, 0.0),
        (MASK, "silent", 1.0, 0.0),
    ]
    text = "\n".join(lines_of_nothing(rows, [SetInfo("stones", "unseen", 4, 4, "px")]))
    assert "| stones | unseen | box at nothing | half | 1 | 0.00 | 0.50 | 0.75 |" in text
    assert "| **all prompts** |  | rough mask at nothing | silent | 1 | 1.00 | 0.00 | 0.75 |" in text
    assert lines_of_nothing([], []) == []


def test_a_run_tells_of_nothing_and_draws_one_picture_a_set(
    units, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a small untrained network: what it outlines is chance, what is stored and drawn is not."""
    model = replace(tiny_sam(tmp_path / "models"), origin="cache")
    monkeypatch.setattr(workflow, "model_for", lambda *_: model)
    monkeypatch.setattr("napari_medseg.workflow.lookup.model_for", lambda *_: model)
    monkeypatch.setattr(quality, "MOST_CLICKS", 1)
    out = tmp_path / "run"
    found = finish(quality.run(tmp_path / "data", minutes=5.0, device="cpu", out=out))
    assert {row.part for row in found.table.rows} == {"box", "1 click", "5 clicks"}
    assert {(row.part, row.arm) for row in found.at_nothing} == {
        (MASK, "sam"), *((BOX, arm) for arm in (*quality.BOX_FLOORS, "sam"))
    }  # fmt: skip
    assert "Prompts that point at nothing" in (out / "table.md").read_text()
    assert len(json.loads((out / "table.json").read_text())["at_nothing"]) == len(found.at_nothing)
    with Image.open(out / "clicks-seen.png") as sheet:
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(2**24)}
    assert {(86, 180, 233), (0, 158, 115)} < colours  # the click and the true outline
    assert not (out / "clicks-unseen.png").exists()
    again = finish(quality.run(tmp_path / "data", minutes=5.0, device="cpu", out=out, resume=True))
    assert again.at_nothing == found.at_nothing
