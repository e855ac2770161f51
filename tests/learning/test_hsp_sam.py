"""The recipe for all tasks on small made-up data: it learns, resumes, and keeps away from test images."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from napari_medseg.core.errors import MedsegError, TaskError
from napari_medseg.core.progress import Progress, finish
from napari_medseg.learning import hsp_sam as recipe
from napari_medseg.learning.hsp_sam import Settings, train_hsp_sam
from napari_medseg.networks.hsp_sam_models import load_hsp_sam, tasks_of
from napari_medseg.networks.weights import load_state, read_model
from tests.models import tiny_sam
from tests.phantom_sets import patients, write_phantoms

QUICK = Settings(canvas=64, n_images=2, n_tasks=1, warm_up=5, rate=5e-3, most_steps=8, average=0.8, rank=4)


def datasets(folder: Path) -> list[Path]:
    rows = patients(4, "train") + patients(2, "test")
    write_phantoms(folder / "two", rows, size=48)
    write_phantoms(folder / "secret", rows, size=48, role="unseen")
    return [write_phantoms(folder / "one", rows, size=64), folder / "two", folder / "secret"]


def test_it_learns_and_writes_one_model_for_all_seen_tasks(tmp_path: Path) -> None:
    backbone, steps = tiny_sam(tmp_path), list[Progress]()
    out = tmp_path / "out" / "joint"
    job = train_hsp_sam(datasets(tmp_path), out, backbone=backbone, minutes=5,
                        settings=replace(QUICK, most_steps=60))  # fmt: skip
    finish(job, steps.append)
    losses = [step.numbers["loss"] for step in steps if "loss" in step.numbers]
    assert losses[-1] < 0.9 * losses[0]  # a running mean of slow steps
    model = replace(read_model(out, "cache"), backbone=backbone)
    assert tasks_of(model) == {"one": ("gland", "lesion"), "two": ("gland", "lesion")}
    assert (model.structures, model.backbone_sha256) == ((), backbone.sha256)
    assert model.card["seen"] == model.card["seen"] | {"steps": 60, "samples": 120}
    assert model.card["sets"] == {"one": 4, "two": 4}
    network, sam = load_hsp_sam(model)
    assert network(sam, torch.zeros(1, 3, 64, 64), torch.arange(3)).masks.shape == (1, 2, 64, 64)


def test_it_goes_on_from_its_state_and_from_released_weights(tmp_path: Path) -> None:
    sources, backbone, out = datasets(tmp_path), tiny_sam(tmp_path), tmp_path / "out" / "joint"
    words = {"backbone": backbone, "minutes": 5, "settings": QUICK}
    finish(train_hsp_sam(sources, out, **words))
    before = {name: value.clone() for name, value in load_state(read_model(out, "cache")).items()}
    for steps in (16, 24):
        finish(train_hsp_sam(sources, out, resume=True, **words))
        assert read_model(out, "cache").card["seen"]["steps"] == steps
        (out.parent / ".joint.state").unlink()
    after = load_state(read_model(out, "cache"))
    assert any((after[name] != value).any() for name, value in before.items())


def test_unseen_sets_train_nothing(tmp_path: Path) -> None:
    secret = datasets(tmp_path)[2]
    with pytest.raises(TaskError, match="marked unseen"):
        finish(train_hsp_sam([secret], tmp_path / "x", backbone=tiny_sam(tmp_path), minutes=1))


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "outline_loss", lambda answer, *_: (answer.masks * torch.nan).sum())
    job = train_hsp_sam(datasets(tmp_path), tmp_path / "x", backbone=tiny_sam(tmp_path), minutes=1,
                        settings=QUICK)  # fmt: skip
    with pytest.raises(MedsegError, match="not finite"):
        finish(job)
