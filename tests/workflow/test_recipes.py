"""The quick rounds' recipe on the real, tiny network, and what a version is compared with."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_medseg import workflow
from napari_medseg.core.errors import WeightsError
from napari_medseg.core.progress import finish
from napari_medseg.networks.weights import read_model
from napari_medseg.workflow import recipes, train_session
from tests.models import tiny_hsp_sam
from tests.taught import TASK, taught


@pytest.fixture
def session(tmp_path: Path, own_models: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("napari_medseg.workflow.lookup._shipped_folder", lambda: tmp_path / "shipped")
    with taught(tmp_path / "session", 9) as session:
        yield session


def test_an_adapter_that_is_worse_than_five_examples_is_refused(session, own_models: Path) -> None:
    """Of random weights nothing better can come in a second."""
    tiny_hsp_sam(own_models)
    verdict = finish(train_session(session.folder, minutes=0.02, device="cpu"))
    assert verdict.n_slices == 3 and "(from five examples)" in verdict.sentence
    assert verdict.outcome == "worse" and workflow.rounds(session)[0].version == ""


def test_an_adapter_is_used_and_the_next_round_goes_on_from_it(
    session, own_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_hsp_sam(own_models)
    found = recipes.before
    monkeypatch.setattr(recipes, "before", lambda *_: None)
    assert finish(train_session(session.folder, minutes=0.02, device="cpu")).outcome == "first"
    (record,) = workflow.rounds(session)
    model = read_model(session.versions / record.version, "session")
    assert model.structures == ("disc",) and model.card["slices"] and model.card["steps"] > 0
    workflow.use_round(session, 1)
    method = workflow.build("hsp_sam", session=session, task=TASK, device="cpu")
    assert method.model.name == record.version == "hsp-sam-round-1"
    chosen = found(recipes.RECIPES["hsp_sam"], session, TASK, "cpu")
    assert chosen is not None and (chosen.title, chosen.method.model.name) == ("", "hsp-sam-round-1")
    finish(train_session(session.folder, minutes=0.02, device="cpu"))
    assert workflow.rounds(session)[1].state == "finished"


def test_a_known_task_is_compared_with_what_is_installed(session, own_models: Path) -> None:
    tiny_hsp_sam(own_models, {"others": ["left lung"], "discs": ["disc"]})
    chosen = recipes.before(recipes.RECIPES["hsp_sam"], session, TASK, "cpu")
    assert chosen is not None and chosen.title == "as installed" and not chosen.by_examples


def test_without_the_joint_model_it_is_said(session) -> None:
    with pytest.raises(WeightsError, match="that quick rounds build on is not installed"):
        finish(train_session(session.folder, minutes=0.01, device="cpu"))
    assert workflow.rounds(session)[0].error.startswith("The model that quick rounds build on")
