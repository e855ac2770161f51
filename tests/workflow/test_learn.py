"""Recipes by name: what they stand on, and what cannot be."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from napari_medseg import workflow
from napari_medseg.core.errors import TaskError, WeightsError
from napari_medseg.core.progress import finish
from napari_medseg.networks.weights import read_model
from napari_medseg.workflow.lookup import cache_folder
from tests.models import tiny_hsp_sam, tiny_sam
from tests.networks.test_hsp_sam_models import adapter_on
from tests.phantom_sets import patients, write_phantoms

QUICK = {"canvas": 64, "picture": 64, "n_images": 1, "n_tasks": 1, "most_steps": 1, "rank": 2}


@pytest.fixture(autouse=True)
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "models"))
    yield


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_phantoms(tmp_path / "glands", patients(2, "train"))


def test_a_recipe_stands_on_the_sam_that_is_named(tmp_path: Path, data: Path) -> None:
    below = tiny_sam(cache_folder())
    settings = {**QUICK, "backbone": "tiny-sam"}
    out = finish(
        workflow.train([data], "hsp_sam", tmp_path / "mine", minutes=1, device="cpu", settings=settings)
    )
    made = read_model(out, "cache")
    assert made.backbone_sha256 == below.sha256
    assert made.preparation == replace(below.preparation, long_side=64)


def test_a_sam_that_is_not_there_is_said(tmp_path: Path, data: Path) -> None:
    with pytest.raises(WeightsError, match="no model 'sam-vit-h'"):
        finish(workflow.train([data], "hsp_sam", tmp_path / "mine", settings={"backbone": "sam-vit-h"}))


def test_only_some_models_are_calibrated(data: Path) -> None:
    model = adapter_on(tiny_hsp_sam(cache_folder()), cache_folder() / "nodes-1")
    with pytest.raises(TaskError, match="an adapter is judged by its round"):
        finish(workflow.train([data], "calibrate", model.folder))
    with pytest.raises(TaskError, match="no settings"):
        finish(workflow.train([data], "calibrate", model.folder, settings={"rate": 1}))
