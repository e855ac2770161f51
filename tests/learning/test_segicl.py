"""The recipe on a small made-up data set: it learns, resumes, and keeps away from test images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_medseg.core.errors import MedsegError, TaskError
from napari_medseg.core.model import Model
from napari_medseg.core.progress import Progress, finish
from napari_medseg.learning import segicl as recipe
from napari_medseg.learning.episodes import Study
from napari_medseg.learning.segicl import Settings, mask_loss, train_segicl, who_explains_whom
from napari_medseg.networks.segicl import SegICL
from napari_medseg.networks.weights import load_state, read_model
from tests.learning.test_pretrain import write_dataset
from tests.models import tiny_sam

QUICK = Settings(n_studies=1, n_images=4, warm_up=5, rate=5e-3, most_steps=12, average=0.8)


@pytest.fixture
def backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setattr(recipe, "SegICL", lambda seen: SegICL.tiny())
    return tiny_sam(tmp_path)


def test_it_learns_and_writes_a_model(tmp_path: Path, backbone: Model) -> None:
    data = write_dataset(tmp_path / "discs", n=8)
    steps: list[Progress] = []
    job = train_segicl([data], tmp_path / "out" / "icl", backbone=backbone, minutes=5,
                       settings=replace(QUICK, most_steps=40))  # fmt: skip
    folder = finish(job, steps.append)
    first = [step.numbers["first"] for step in steps if "first" in step.numbers]
    assert first[-1] < 0.9 * first[0]  # a running mean of slow steps
    model = read_model(folder, "session")
    assert (model.network, model.backbone_sha256) == ("segicl", backbone.sha256)
    assert model.card["seen"] == model.card["seen"] | {"steps": 40, "samples": 160}
    assert model.card["sets"] == {"discs": 4}
    before = {name: value.clone() for name, value in load_state(model).items()}
    finish(train_segicl([data], folder, backbone=backbone, minutes=5, resume=True, settings=QUICK))
    again = read_model(folder, "session")
    assert again.card["seen"]["steps"] == 52
    assert any((load_state(again)[name] != value).any() for name, value in before.items())


def test_unseen_sets_train_nothing(tmp_path: Path, backbone: Model) -> None:
    data = write_dataset(tmp_path / "secret", role="unseen")
    with pytest.raises(TaskError, match="nothing to train on"):
        finish(train_segicl([data], tmp_path / "icl", backbone=backbone, minutes=1, settings=QUICK))


def test_a_loss_that_is_not_finite_ends_the_run(
    tmp_path: Path, backbone: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_dataset(tmp_path / "discs", n=8)
    monkeypatch.setattr(recipe, "mask_loss", lambda logits, masks: (logits * torch.nan).sum())
    with pytest.raises(MedsegError, match="not finite"):
        finish(train_segicl([data], tmp_path / "icl", backbone=backbone, minutes=1, settings=QUICK))
    assert not (tmp_path / "icl").exists()


def studies(text: str) -> list[Study]:
    images, masks = torch.rand(4, 3, 8, 8), torch.zeros(4, 1, 8, 8)
    masks[:2] = 1
    return [Study(images, masks, torch.ones(4, 1, 8, 8), text) for _ in range(2)]


def test_nobody_explains_itself_or_another_study() -> None:
    random, some = np.random.default_rng(0), studies("disc")
    masks = torch.cat([study.masks for study in some])
    for n in (1, 2, 5):
        members, text = who_explains_whom(some, masks, n, random)
        assert members.shape == (8, n)
        assert text.shape[0] == 8
        for i, places in enumerate(members.tolist()):
            known = [place for place in places if place >= 0]
            assert i not in known
            assert len(known) == len(set(known)) == min(n, 3)
            assert {place // 4 for place in known} <= {i // 4}


def test_without_examples_there_are_words() -> None:
    random = np.random.default_rng(0)
    for word, n_known in (("disc", 0), ("", 8)):
        some = studies(word)
        members, text = who_explains_whom(some, torch.cat([s.masks for s in some]), 0, random)
        assert (members >= 0).sum() == n_known
        assert bool((text.sum(1) > 0).all()) == bool(word)


def test_the_loss_of_a_sure_right_answer_is_nothing() -> None:
    truth = torch.zeros(2, 1, 8, 8)
    truth[0, :, :4] = 1
    assert mask_loss(truth * 60 - 30, truth) < 1e-3 < 1 < mask_loss(30 - truth * 60, truth)
