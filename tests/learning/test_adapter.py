"""Adapters for one task: what they learn, what they leave alone, and where they begin."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_medseg.core.errors import MedsegError, TaskError
from napari_medseg.core.progress import Progress, finish
from napari_medseg.core.task import task_of
from napari_medseg.learning import adapter as recipe
from napari_medseg.learning import descent
from napari_medseg.learning.adapter import AdapterSettings, train_adapter
from napari_medseg.learning.labelled import Labelled
from napari_medseg.networks.hsp_sam_models import load_hsp_sam, rows_of, tasks_of
from tests.models import tiny_hsp_sam

QUICK = AdapterSettings(canvas=64, n_images=2, warm_up=2, most_steps=6, rate=1e-2, average=0.5)
NODE = task_of("nodes", ("node",), modality="CT", anatomy="thorax")


def slices(n: int = 4) -> list[Labelled]:
    random, found = np.random.default_rng(0), []
    for i in range(n):
        canvas = random.integers(0, 90, (64, 64, 3)).astype(np.uint8)
        regions = np.zeros((1, 64, 64), bool)
        regions[0, 16 + 2 * i : 40 + i, 18:42] = True
        canvas[regions[0]] += 150
        found.append(Labelled(canvas, (64, 64), regions, np.ones(1, bool), f"p{i}", ""))
    return found


def test_only_prompts_and_adaptation_learn(tmp_path: Path) -> None:
    joint, steps = tiny_hsp_sam(tmp_path), list[Progress]()
    job = train_adapter(slices(), NODE, tmp_path / "nodes-1", minutes=5, joint=joint,
                        settings=replace(QUICK, most_steps=80, rate=5e-2))  # fmt: skip
    model = replace(finish(job, steps.append), backbone=joint)
    losses = [step.numbers["loss"] for step in steps if "loss" in step.numbers]
    assert losses[-1] < 0.95 * losses[0]  # random decoders stay as they are
    assert (model.name, model.structures, model.backbone_sha256) == ("nodes-1", ("node",), joint.sha256)
    assert model.card["task"] == "nodes" and model.card["steps"] == 80 and model.card["groups"] == 4
    ours, theirs = load_hsp_sam(model)[0].state_dict(), load_hsp_sam(joint)[0].state_dict()
    shared = [name for name in ours if not name.startswith(("task.", "lora."))]
    assert shared and all(torch.equal(ours[name], theirs[name]) for name in shared)
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours if name.startswith("lora."))


def test_a_known_task_begins_with_its_own_rows_and_a_new_one_with_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "_SMALL", 64)
    joint = tiny_hsp_sam(tmp_path)
    known, sam = load_hsp_sam(joint)
    lungs = task_of("lungs", ("right lung", "left lung"))
    own = rows_of(tasks_of(joint))
    assert recipe._nearest(known, sam, slices(), lungs, joint) == own["lungs"].tolist()
    begun = recipe._nearest(known, sam, slices(), NODE, joint)
    scores = []
    with torch.no_grad():
        pictures = torch.from_numpy(np.stack([one.canvas for one in slices()])).permute(0, 3, 1, 2) / 255
        images = recipe.normalised(pictures, joint.preparation)
        truth = torch.from_numpy(np.stack([one.regions for one in slices()])).float()
        for rows in own.values():
            shown = known(sam, images, rows).masks.sigmoid()
            for number, row in enumerate(rows[1:].tolist()):
                overlap = 2 * (truth[:, 0] * shown[:, number]).sum()
                score = float(overlap / (truth.sum() + shown[:, number].sum()))
                scores.append((score, int(rows[0]), row))
    assert begun == list(max(scores)[1:])


def test_it_goes_on_from_an_earlier_adapter(tmp_path: Path) -> None:
    joint = tiny_hsp_sam(tmp_path)
    words = {"minutes": 5, "joint": joint}
    first = finish(train_adapter(slices(), NODE, tmp_path / "one", settings=QUICK, **words))
    first = replace(first, backbone=joint)
    still = replace(QUICK, most_steps=1, rate=1e-7)
    second = finish(train_adapter(slices(), NODE, tmp_path / "two", start=first, settings=still, **words))
    ours = load_hsp_sam(replace(second, backbone=joint))[0].task.masks
    torch.testing.assert_close(ours, load_hsp_sam(first)[0].task.masks, atol=1e-3, rtol=1e-2)


def test_a_paused_adapter_spends_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(descent.time, "monotonic", lambda: clock[0])
    n = 0
    for step in train_adapter(slices(), NODE, tmp_path / "x", minutes=0.5, joint=tiny_hsp_sam(tmp_path),
                              settings=QUICK):  # fmt: skip
        clock[0] += 3600  # an hour between steps
        n += step.message.startswith("Step")
    assert n == 6


def test_nothing_to_train_on_is_said(tmp_path: Path) -> None:
    joint = tiny_hsp_sam(tmp_path)
    for given, task in (([], NODE), (slices(), task_of("none", ()))):
        with pytest.raises(TaskError, match="accept some slices first"):
            finish(train_adapter(given, task, tmp_path / "x", minutes=1, joint=joint))


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "outline_loss", lambda answer, *_: (answer.masks * torch.nan).sum())
    with pytest.raises(MedsegError, match="not finite"):
        finish(train_adapter(slices(), NODE, tmp_path / "x", minutes=1, joint=tiny_hsp_sam(tmp_path)))
