"""HSP-SAM from disk: the joint model, adapters on it, and what does not fit."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from napari_medseg.core.errors import WeightsError
from napari_medseg.core.model import Model
from napari_medseg.networks.hsp_sam_models import fresh_rows, load_hsp_sam, rows_of, tasks_of
from napari_medseg.networks.weights import save_model
from tests.models import TASKS, tiny_hsp_sam


def adapter_on(joint: Model, folder: Path, names: tuple[str, ...] = ("node",)) -> Model:
    network = fresh_rows(load_hsp_sam(joint)[0], joint, 1 + len(names))
    model = save_model(
        folder, network.own_state(), kind="hsp_sam", numbers={}, preparation=joint.preparation,
        structures=names, card={"task": "nodes"}, card_text="# adapter\n", backbone=joint,
    )  # fmt: skip
    return replace(model, backbone=joint)


def test_rows_go_by_tasks_in_alphabetical_order() -> None:
    rows = rows_of({"b": ["x"], "a": ["u", "v"]})
    assert {slug: row.tolist() for slug, row in rows.items()} == {"a": [0, 1, 2], "b": [3, 4]}


def test_a_joint_model_says_its_tasks_and_an_adapter_its_one(tmp_path: Path) -> None:
    joint = tiny_hsp_sam(tmp_path)
    assert tasks_of(joint) == {slug: tuple(names) for slug, names in TASKS.items()}
    assert tasks_of(adapter_on(joint, tmp_path / "nodes-1")) == {"nodes": ("node",)}


def test_an_adapter_replaces_rows_and_adaptation_and_nothing_else(tmp_path: Path) -> None:
    joint = tiny_hsp_sam(tmp_path)
    adapter = adapter_on(joint, tmp_path / "nodes-1")
    ours, theirs = load_hsp_sam(adapter)[0].state_dict(), load_hsp_sam(joint)[0].state_dict()
    assert ours["task.masks"].shape == (2, 32)
    same = [name for name in ours if not name.startswith("task.")]
    assert same and all(torch.equal(ours[name], theirs[name]) for name in same if "lora" not in name)
    assert (adapter.folder / "weights.safetensors").stat().st_size < 100_000


def test_an_adapter_of_another_model_or_alone_is_refused(tmp_path: Path) -> None:
    joint = tiny_hsp_sam(tmp_path)
    adapter = adapter_on(joint, tmp_path / "nodes-1")
    with pytest.raises(WeightsError, match="not installed"):
        load_hsp_sam(replace(adapter, backbone=None))
    with pytest.raises(WeightsError, match="not installed"):
        load_hsp_sam(replace(joint, backbone=None))
    with pytest.raises(WeightsError, match="is no HSP-SAM"):
        load_hsp_sam(replace(adapter, backbone=replace(joint, network="segicl")))
    with pytest.raises(WeightsError, match="do not fit 'tiny-hsp'"):
        load_hsp_sam(replace(adapter, structures=("node", "vessel")))


def test_a_damaged_adapter_is_refused(tmp_path: Path) -> None:
    adapter = adapter_on(tiny_hsp_sam(tmp_path), tmp_path / "nodes-1")
    file = adapter.folder / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match="not those it was released with"):
        load_hsp_sam(adapter)
