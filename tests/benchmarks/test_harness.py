"""The harness: which images are done in which order, what is on disk, and what a later run takes up."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from napari_medseg.benchmarks.environment import environment
from napari_medseg.benchmarks.harness import Row, Unit, infos_of, measure, units_of
from napari_medseg.core.errors import TaskError
from napari_medseg.core.progress import finish
from napari_medseg.learning.data import Dataset, read_datasets


def write_sets(folder: Path, sizes: dict[str, int]) -> tuple[Dataset, ...]:
    """Data sets of empty pictures, two images a patient."""
    from PIL import Image

    for name, size in sizes.items():
        for room in ("images", "masks"):
            (folder / name / room).mkdir(parents=True)
        (folder / name / "dataset.json").write_text(json.dumps({"classes": {"1": "x"}, "dim": 2}))
        with (folder / name / "index.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "group", "split"])
            for number in range(size):
                group, split = (f"patient {number // 2}", "test") if number else ("in training", "train")
                writer.writerow([f"{number}.png", group, split])
                for room in ("images", "masks"):
                    Image.fromarray(np.zeros((4, 4), np.uint8)).save(folder / name / room / f"{number}.png")
    return read_datasets([folder])


def one_row(unit: Unit) -> list[Row]:
    """A row that says which image it is about."""
    item = unit.item
    return [Row(unit.dataset.name, item.image.name, item.group, "x", unit.key, "box", "arm", 1, 1, 0, 0.1)]


def test_sets_take_turns_and_a_shorter_run_is_the_beginning_of_a_longer_one(tmp_path: Path) -> None:
    sets = write_sets(tmp_path, {"a": 7, "b": 4})
    units = units_of(sets, "test", seed=0)
    assert [unit.dataset.name for unit in units] == ["a", "b"] * 3 + ["a"] * 3
    assert len({unit.key for unit in units}) == 9
    assert [u.key for u in units_of(sets, "test", seed=0)] == [u.key for u in units]
    assert [u.key for u in units_of(sets, "test", seed=1)] != [u.key for u in units]
    alone = [u.key for u in units_of(sets[:1], "test", seed=0)]
    assert alone == [u.key for u in units if u.dataset.name == "a"]
    assert len(units_of(sets, "all", seed=0)) == 11


def test_sets_know_their_groups(tmp_path: Path) -> None:
    small, large = infos_of(write_sets(tmp_path, {"a": 7, "b": 12}), "test")
    assert (small.n_groups, small.n_images, small.unit, small.averaged) == (4, 6, "px", False)
    assert (large.n_groups, large.averaged) == (6, True)
    apart = infos_of(write_sets(tmp_path / "more", {"cxr_opacity": 12}), "test")[0]
    assert not apart.averaged


def test_time_over_ends_a_run_and_resume_takes_it_up(tmp_path: Path) -> None:
    units = units_of(write_sets(tmp_path / "data", {"a": 5}), "test", seed=0)
    out, about, seen = tmp_path / "run", {"seed": 0}, []

    def work(unit: Unit) -> list[Row]:
        seen.append(unit.key)
        return one_row(unit)

    first = finish(measure(units, work, out, about, minutes=0.0, resume=False))
    assert len(first) == 1
    rows = finish(measure(units, work, out, about, minutes=5.0, resume=True))
    assert seen == [unit.key for unit in units]
    assert [row.target for row in rows] == seen
    anew = finish(measure(units, work, out, about, minutes=0.0, resume=False))
    assert len(anew) == 1


def test_an_image_torn_by_a_crash_is_done_again_and_counted_once(tmp_path: Path) -> None:
    units = units_of(write_sets(tmp_path / "data", {"a": 4}), "test", seed=0)
    out, about = tmp_path / "run", {"seed": 0}
    finish(measure(units, one_row, out, about, minutes=5.0, resume=False))
    store = out / "rows.jsonl"
    whole = store.read_text()
    for cut in (5, 25, 90, 160):
        store.write_text(whole[:-cut])
        rows = finish(measure(units, one_row, out, about, minutes=5.0, resume=True))
        assert sorted(row.target for row in rows) == sorted(unit.key for unit in units), cut


def test_other_settings_cannot_be_resumed(tmp_path: Path) -> None:
    units = units_of(write_sets(tmp_path / "data", {"a": 3}), "test", seed=0)
    finish(measure(units, one_row, tmp_path / "run", {"seed": 0}, minutes=5.0, resume=False))
    with pytest.raises(TaskError, match="other seed"):
        finish(measure(units, one_row, tmp_path / "run", {"seed": 1}, minutes=5.0, resume=True))


def test_environment_names_machine_and_commit() -> None:
    known = environment("cpu")
    assert known["device"] == "cpu"
    assert "cores" in known["machine"]
    assert set(known) == {"device", "machine", "threads", "commit", "version", "python", "date"}
