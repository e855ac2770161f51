"""The automatic preset on phantoms, end to end with tiny networks and seconds of training."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_medseg import cli
from napari_medseg.benchmarks import automatic, automatic_training
from napari_medseg.benchmarks.automatic_answers import AUTOMATIC, FOREIGN
from napari_medseg.benchmarks.automatic_arms import ADAPTERS, ARMS, NETWORKS
from napari_medseg.benchmarks.baselines import material, training, unet
from napari_medseg.benchmarks.harness import Row
from napari_medseg.core.errors import TaskError
from napari_medseg.core.model import Preparation
from napari_medseg.core.progress import finish
from napari_medseg.learning import hsp_sam
from napari_medseg.learning.data import read_datasets
from tests.models import tiny_hsp_sam
from tests.phantom_sets import patients, write_phantoms

ASKED = ("sam_box", *NETWORKS, "ft_sam", ADAPTERS, "hsp_sam")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures of a breast and volumes of an abdomen, and tiny models that know both."""
    folder = tmp_path / "data"
    write_phantoms(folder / "pictures", patients(3, "train") + patients(2, "val") + patients(2, "test"))
    rows = patients(1, "train") + patients(1, "val") + patients(1, "test")
    write_phantoms(folder / "volumes", rows, dim=3)
    write_phantoms(folder / "elsewhere", patients(2, "test"), role="unseen")
    for name, anatomy in (("pictures", "breast"), ("volumes", "brain")):
        file = folder / name / "dataset.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"anatomy": anatomy}))
    tasks = {
        one.name: list(one.task.structure_names) for one in read_datasets([folder]) if one.role == "seen"
    }
    tiny_hsp_sam(tmp_path / "models", tasks)
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(material, "PREPARATION", Preparation(long_side=64))
    monkeypatch.setattr(training, "_LOOK", 1)
    monkeypatch.setattr(training, "_PATIENCE", 1)
    for name in ("USUAL", "WIDE"):
        monkeypatch.setattr(unet, name, (4, 4, 4, 4, 4, 4))
    for name in ("BUDGET", "ADAPTER_MINUTES"):
        monkeypatch.setattr(automatic_training, name, 0.003)
    monkeypatch.setattr(hsp_sam.Settings, "canvas", 64)
    return folder


def test_every_arm_trains_and_answers_the_same_images(data: Path, tmp_path: Path) -> None:
    words = {"split": "val", "device": "cpu", "out": tmp_path / "run", "arms": ASKED}
    table = finish(automatic.run(data, minutes=40.0, **words))
    own = [row for row in table.table.rows if row.part == AUTOMATIC]
    assert tuple(dict.fromkeys(row.arm for row in own)) == ASKED
    images = {arm: {(row.set, row.image, row.structure) for row in own if row.arm == arm} for arm in ASKED}
    assert {row.set for row in own} == {"pictures", "volumes"}
    assert len({frozenset(found) for found in images.values()}) == 1
    weights = tmp_path / "run" / "weights"
    assert (weights / "unet_converged" / "pictures.safetensors").is_file()
    assert (weights / "unet_joint" / "all.safetensors").is_file()
    (tuned,) = weights.glob("ft_sam-on-*/all/model.json")
    assert json.loads(tuned.read_text())["numbers"]["prompted"] is False
    assert len(list(weights.glob("hsp_sam_task-on-*/*/model.json"))) == 2
    assert any("2 of 2 trained" in note for note in table.notes)
    foreign = [row for row in table.absence if row.part == FOREIGN]
    assert {row.arm for row in foreign} == set(ASKED) - {"sam_box"}
    assert {(row.set, row.structure) for row in foreign if row.set == "volumes"} == {
        ("volumes", "gland"), ("volumes", "lesion"),
    }  # fmt: skip
    assert all((row.dice == 1.0) == (row.false_area == 0.0) for row in foreign)
    assert all(row.false_area is None for row in own if row.arm == "sam_box")
    text = (tmp_path / "run" / "val" / "table.md").read_text()
    assert "hsp_sam minus unet_converged" in text and "cannot hold the structure" in text
    written = (weights / "unet_converged" / "pictures.safetensors").stat().st_mtime_ns
    assert not any("answered" in note for note in table.notes)
    again = finish(automatic.run(data, minutes=1.0, resume=True, **words))
    assert len(again.table.rows) == len(own)
    assert (weights / "unet_converged" / "pictures.safetensors").stat().st_mtime_ns == written


def test_an_arm_without_weights_is_said(data: Path, tmp_path: Path) -> None:
    words = {"split": "val", "device": "cpu", "out": tmp_path / "run"}
    arms = ("unet_budget", "unet_joint", "segmote", "segmote_one_expert", "ablation", "hsp_sam")
    table = finish(automatic.run(data, minutes=0.0, arms=arms, **words))
    assert {row.arm for row in table.table.rows} == {"hsp_sam"}
    said = " ".join(table.notes)
    assert "unet_budget is not trained yet for pictures, volumes." in said
    assert "unet_joint is not trained yet for all." in said
    assert "segmote is left out: there is no such method, or no model of it" in said
    assert "ablation_full needs brain_tumour_cheng" in said
    assert all(note in (tmp_path / "run" / "val" / "table.md").read_text() for note in table.notes)


def test_rows_of_older_weights_do_not_count(data: Path, tmp_path: Path) -> None:
    words = {"split": "val", "device": "cpu", "out": tmp_path / "run", "arms": ("hsp_sam",)}
    first = finish(automatic.run(data, minutes=5.0, **words)).table.rows
    store = tmp_path / "run" / "val" / "rows.jsonl"
    store.write_text(store.read_text().replace("@ tiny-hsp", "@ older"))
    again = finish(automatic.run(data, minutes=5.0, resume=True, **words)).table.rows
    assert len(again) == len(first)
    assert store.read_text().count('"done"') == 2 * len({row.image for row in first}) * 2


def test_an_arm_that_is_behind_is_said() -> None:
    rows = [Row("a", f"{n}.png", "p", "x", "t", AUTOMATIC, "hsp_sam", 1.0, 1.0, 0.0, 0.1) for n in range(3)]
    later = replace(rows[0], arm="sam_box")
    (said,) = automatic._behind([*rows, later])
    assert said.startswith("sam_box answered 1 of 3 images")
    assert automatic._behind(rows) == []


def test_unknown_names_are_said(data: Path, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no arm 'guess'"):
        finish(automatic.run(data, out=tmp_path / "run", arms=("guess",)))
    with pytest.raises(TaskError, match="no model 'nobody'"):
        finish(automatic.run(data, out=tmp_path / "run", model="nobody"))
    with pytest.raises(TaskError, match="split 'test'"):
        write_phantoms(tmp_path / "one" / "set", patients(1, "train"))
        finish(automatic.run(tmp_path / "one", out=tmp_path / "run"))


def test_the_command_line_asks_for_some_arms(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--preset", "automatic", "--split", "val", "--minutes", "1", "--arms", "hsp_sam", "--json"]
    out = ["-o", str(tmp_path / "run"), "--device", "cpu"]
    with pytest.raises(SystemExit) as end:
        cli.main(["benchmark", "quality", "--data", str(data), *words, *out])
    assert end.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert found["about"]["preset"] == "automatic val"
    assert {cell["arm"] for cell in found["cells"]} == {"hsp_sam"}
    assert set(ARMS) > {"hsp_sam"}
    assert np.isfinite([one["specificity"] for one in found["absence"]]).all()
