"""What there is: tasks that models' cards name, and models that stand on models."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from napari_medseg import workflow
from napari_medseg.core.errors import WeightsError
from napari_medseg.core.task import Rule
from napari_medseg.networks.weights import amend_card, read_model
from napari_medseg.workflow.lookup import cache_folder, with_backbone
from tests.models import TASKS, tiny_hsp_sam
from tests.networks.test_hsp_sam_models import adapter_on


@pytest.fixture(autouse=True)
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "models"))
    yield tmp_path / "models"


def test_a_joint_model_names_its_tasks_with_their_words_and_rules() -> None:
    joint = tiny_hsp_sam(cache_folder())
    about = {"modality": "X-ray", "anatomy": "thorax", "rules": [["excludes", "right lung", "left lung"]]}
    amend_card(joint, {"about": {"lungs": about}})
    lungs = workflow.task("lungs")
    assert lungs.structure_names == tuple(TASKS["lungs"])
    assert (lungs.modality, lungs.anatomy) == ("X-ray", "thorax")
    assert lungs.rules == (Rule("excludes", "right lung", "left lung"),)
    assert workflow.task("ct_phantom").structure_names == tuple(TASKS["ct_phantom"])


def test_a_task_that_is_done_badly_is_not_offered() -> None:
    amend_card(tiny_hsp_sam(cache_folder()), {"offered": ["lungs"]})
    slugs = {task.slug for task in workflow.tasks()}
    assert "lungs" in slugs and "ct_phantom" not in slugs


@pytest.mark.parametrize(
    "damage",
    [
        {"tasks": 3},
        {"tasks": {"a": 3}},
        {"tasks": {"a": ["x", "x"]}},
        {"about": [1]},
        {"offered": 3},
        {"about": {"lungs": {"rules": [["inside"]]}}},
    ],
)
def test_a_damaged_card_is_passed_over(damage: dict[str, object]) -> None:
    before = {task.slug for task in workflow.tasks()}
    amend_card(tiny_hsp_sam(cache_folder()), damage)
    assert {task.slug for task in workflow.tasks()} >= before


def test_an_adapter_finds_the_model_it_stands_on_and_that_one_its_own() -> None:
    joint = tiny_hsp_sam(cache_folder())
    adapter_on(joint, cache_folder() / "nodes-1")
    found = workflow.model_for("hsp_sam", "nodes-1")
    assert found is not None
    whole = with_backbone(found)
    assert whole.backbone is not None and whole.backbone.name == "tiny-hsp"
    assert whole.backbone.backbone is not None and whole.backbone.backbone.name == "tiny-sam"
    assert workflow.task("nodes").structure_names == ("node",)
    assert workflow.build("hsp_sam", model="nodes-1", device="cpu")


def test_a_chain_that_is_broken_is_said() -> None:
    joint = tiny_hsp_sam(cache_folder())
    adapter_on(joint, cache_folder() / "nodes-1")
    amend_card(read_model(joint.folder, "cache"), {})
    (joint.folder / "model.json").unlink()
    with pytest.raises(WeightsError, match="not installed"):
        workflow.build("hsp_sam", model="nodes-1", device="cpu")
