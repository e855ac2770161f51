"""The recipe on phantoms: it learns, resumes, keeps away from other splits, and says how well it does."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from napari_medseg.core.errors import MedsegError, TaskError
from napari_medseg.core.model import Model
from napari_medseg.core.progress import Progress, finish
from napari_medseg.learning import segmote_loss as loss
from napari_medseg.learning.segmote import Settings, numbers_for, train_segmote
from napari_medseg.networks.checkpoints import official_sam
from napari_medseg.networks.sam import load_sam
from napari_medseg.networks.segmote_models import load_segmote
from napari_medseg.networks.weights import read_model
from tests.models import tiny_sam
from tests.phantom_sets import patients, write_phantoms
from tests.published import small, weights

QUICK = Settings(canvas=64, n_views=8, n_questions=4, warm_up=3, rate=5e-3, most_steps=6, average=0.8)


@pytest.fixture
def backbone(tmp_path: Path) -> Model:
    return tiny_sam(tmp_path)


def phantoms(folder: Path, role: str = "seen") -> Path:
    return write_phantoms(folder, [*patients(3, "train"), *patients(2, "val")], role=role)


def test_it_learns_and_writes_a_model_and_goes_on(tmp_path: Path, backbone: Model) -> None:
    data, steps = phantoms(tmp_path / "breasts"), list[Progress]()
    settings = replace(QUICK, most_steps=30)
    job = train_segmote([data], tmp_path / "out" / "s", backbone=backbone, minutes=5, settings=settings)
    folder = finish(job, steps.append)
    losses = [step.numbers["mask"] for step in steps if "mask" in step.numbers]
    assert losses[-1] < 0.95 * losses[0]  # a running mean
    model = read_model(folder, "session")
    assert (model.network, model.structures, model.backbone_sha256) == ("segmote", (), backbone.sha256)
    assert model.card["tasks"] == {"breasts": ["gland", "lesion"]}
    assert model.card["sets"] == {"breasts": 3}
    job = train_segmote([data], folder, backbone=backbone, minutes=5, resume=True, settings=QUICK)
    again = read_model(finish(job), "session")
    assert again.card["seen"]["steps"] == 36
    assert again.sha256 != model.sha256


def test_it_says_how_well_it_does(tmp_path: Path, backbone: Model) -> None:
    data, settings = phantoms(tmp_path / "breasts"), replace(QUICK, check=5)
    folder = finish(train_segmote([data], tmp_path / "s", backbone=backbone, minutes=5, settings=settings))
    said = read_model(folder, "session").card["validation"]
    assert set(said["sets"]["breasts"]) == {"name", "box", "box by SAM"}
    assert said["n"]["breasts"]["name"] == 4  # two images, two structures
    assert all(0 <= value <= 1 for value in said["mean"].values())
    assert sum(said["router"]["US"]["tokens"]) == 4
    assert sum(said["router"]["US"]["experts"]) == pytest.approx(1, abs=0.01)
    assert said["missed"]["of"] + said["absent"]["of"] == 4
    assert f"{said['mean']['box by SAM']:.3f}" in (folder / "card.md").read_text()


def test_without_learning_the_experts_add_nothing(tmp_path: Path, backbone: Model) -> None:
    data = phantoms(tmp_path / "breasts")
    settings = replace(QUICK, rate=1e-7, most_steps=1)
    folder = finish(train_segmote([data], tmp_path / "s", backbone=backbone, minutes=5, settings=settings))
    network = load_segmote(read_model(folder, "session"))
    assert max(head.layers[-1].weight.detach().abs().max().item() for head in network.heads) < 1e-5


def test_unseen_sets_train_nothing(tmp_path: Path, backbone: Model) -> None:
    data = phantoms(tmp_path / "secret", role="unseen")
    with pytest.raises(TaskError, match="nothing to train on"):
        finish(train_segmote([data], tmp_path / "s", backbone=backbone, minutes=1, settings=QUICK))


def test_a_loss_that_is_not_finite_ends_the_run(
    tmp_path: Path, backbone: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = phantoms(tmp_path / "breasts")
    monkeypatch.setattr(loss, "mask_loss", lambda logits, *_: (logits * torch.nan).sum())
    with pytest.raises(MedsegError, match="not finite"):
        finish(train_segmote([data], tmp_path / "s", backbone=backbone, minutes=5, settings=QUICK))


@pytest.mark.parametrize("change", [{"plain": True}, {"experts": 1}, {"free": False}, {"paper": True}])
def test_every_arm_of_the_ablation_trains(tmp_path: Path, backbone: Model, change: dict) -> None:
    data = phantoms(tmp_path / "breasts")
    settings = replace(QUICK, most_steps=2, **change)
    folder = finish(train_segmote([data], tmp_path / "s", backbone=backbone, minutes=5, settings=settings))
    network = load_segmote(read_model(folder, "session"))
    assert len(network.tokens) == (1 if "plain" in change or "experts" in change else 4)


def test_the_numbers_fit_the_sam_below(backbone: Model) -> None:
    compact = numbers_for(load_sam(backbone), Settings())
    assert (compact["width"], compact["fine"], compact["stem"]) == (32, 8, (8, 16))
    published = numbers_for(official_sam(weights(small("sam")))[0], Settings())
    assert (published["width"], published["fine"], published["early"]) == (32, 4, 32)
    with pytest.raises(TaskError, match="own image encoder"):
        numbers_for(official_sam(weights(small("mobile_sam")))[0], Settings())
