"""The pretraining recipe on a small made-up data set: it learns, resumes, and keeps away from test images."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.metrics.meandice import compute_dice
from PIL import Image

from napari_medseg.core.errors import MedsegError, ReadError, TaskError
from napari_medseg.core.model import Preparation
from napari_medseg.core.progress import Progress, finish
from napari_medseg.learning import pretrain as recipe
from napari_medseg.learning.data import read_dataset
from napari_medseg.learning.pretrain import Settings, mask_loss, pretrain
from napari_medseg.learning.samples import Sampler, load_slices
from napari_medseg.networks.sam import CompactSam
from napari_medseg.networks.weights import load_state, read_model


def write_dataset(folder: Path, role: str = "seen", n: int = 6, radius: int = 18) -> Path:
    """Bright discs on noise, half of them for training."""
    random = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    y, x = np.mgrid[:96, :96]
    rows = []
    for i in range(n):
        disc = (y - random.integers(30, 60)) ** 2 + (x - random.integers(30, 60)) ** 2 < radius**2
        image = (60 + 120 * disc + random.normal(0, 8, disc.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(image).save(folder / "images" / f"{i}.png")
        Image.fromarray(disc.astype(np.uint8)).save(folder / "masks" / f"{i}.png")
        rows.append({"file": f"{i}.png", "group": str(i), "split": ("train", "test")[i % 2]})
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["file", "group", "split"])
        writer.writeheader()
        writer.writerows(rows)
    about = {
        "classes": {"0": "background", "1": "disc"},
        "modality": "drawing",
        "role": role,
        "terms": "free",
    }
    (folder / "dataset.json").write_text(json.dumps(about))
    return folder


QUICK = Settings(
    canvas=64, n_images=4, n_targets=2, warm_up=5, rate=2e-3, superpixels=0.0, shapes=0.0, absent=0.0
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "CompactSam", CompactSam.tiny)


def test_it_learns_and_writes_a_model(tmp_path: Path, small: None) -> None:
    data = write_dataset(tmp_path / "discs")
    steps: list[Progress] = []
    folder = finish(
        pretrain([data], tmp_path / "out" / "net", minutes=5, settings=replace(QUICK, most_steps=40)),
        steps.append,
    )
    losses = [step.numbers["loss"] for step in steps if "loss" in step.numbers]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    model = read_model(folder, "cache")
    assert model.card["sets"] == {"discs": 3}
    assert model.card["seen"]["steps"] == len(losses)
    assert "discs: 3 training images. Terms: free" in (folder / "card.md").read_text()
    assert all(torch.isfinite(value).all() for value in load_state(model).values())


def test_it_resumes_from_its_state_and_from_released_weights(tmp_path: Path, small: None) -> None:
    data, out = write_dataset(tmp_path / "discs"), tmp_path / "out" / "net"
    few = replace(QUICK, most_steps=2)
    finish(pretrain([data], out, minutes=5, settings=few))
    first = read_model(out, "cache").card["seen"]["steps"]
    finish(pretrain([data], out, minutes=5, settings=few, resume=True))
    second = read_model(out, "cache").card["seen"]["steps"]
    (out.parent / ".net.state").unlink()
    before = load_state(read_model(out, "cache"))
    finish(pretrain([data], out, minutes=5, settings=few, resume=True))
    after = load_state(read_model(out, "cache"))
    moved = [name for name, value in before.items() if not torch.equal(value, after[name])]
    assert len(moved) > 0.9 * sum(value.is_floating_point() for value in before.values())
    assert (first, second, read_model(out, "cache").card["seen"]["steps"]) == (2, 4, 6)


def test_unseen_sets_and_other_splits_are_never_opened(tmp_path: Path, small: None) -> None:
    data = write_dataset(tmp_path / "discs")
    write_dataset(tmp_path / "foreign", role="unseen")
    for file in [*(tmp_path / "foreign" / "images").iterdir(), *(data / "images").glob("[135].png")]:
        file.write_bytes(b"not an image")
    folder = finish(
        pretrain([tmp_path], tmp_path / "out" / "net", minutes=5, settings=replace(QUICK, most_steps=1))
    )
    assert read_model(folder, "cache").card["sets"] == {"discs": 3}


def test_nothing_to_resume_and_nothing_to_train_on(tmp_path: Path, small: None) -> None:
    data = write_dataset(tmp_path / "discs")
    with pytest.raises(TaskError, match="nothing to resume"):
        finish(pretrain([data], tmp_path / "net", minutes=0.01, resume=True, settings=QUICK))
    with pytest.raises(TaskError, match="more than 0"):
        finish(pretrain([data], tmp_path / "net", minutes=0.0, settings=QUICK))
    with pytest.raises(TaskError, match="nothing to train on"):
        finish(pretrain([write_dataset(tmp_path / "b", role="unseen")], tmp_path / "net", minutes=0.01))
    with pytest.raises(ReadError, match="no data set"):
        finish(pretrain([tmp_path / "b" / "images"], tmp_path / "net", minutes=0.01))


def test_a_loss_that_is_not_finite_stops_training(
    tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "_loss", lambda *_: torch.tensor(float("nan")))
    with pytest.raises(MedsegError, match="not finite"):
        finish(pretrain([write_dataset(tmp_path / "d")], tmp_path / "net", minutes=0.05, settings=QUICK))


def test_the_loss_is_least_for_the_truth_and_knows_its_quality() -> None:
    """Truth: MONAI's Dice of a sharp right answer is 1 and its loss all but nothing."""
    wanted = torch.zeros(1, 1, 32, 32)
    wanted[..., 8:24, 8:24] = 1
    right = torch.nn.functional.avg_pool2d(wanted, 2).mul(40).sub(20).expand(1, 4, 16, 16)
    assert compute_dice((right[:, :1] > 0).float(), torch.nn.functional.avg_pool2d(wanted, 2)).item() == 1
    good = mask_loss(right, torch.ones(1, 4), wanted)
    bad = mask_loss(-right, torch.ones(1, 4), wanted)
    overconfident = mask_loss(-right, torch.zeros(1, 4), wanted)
    assert good < 0.5 < overconfident < bad


def test_targets_stay_on_their_pictures(tmp_path: Path) -> None:
    """Truth: the discs are brighter than their surroundings, before and after turning and stretching."""
    slices = load_slices(read_dataset(write_dataset(tmp_path / "discs")), "train", Preparation())
    sampler = Sampler(slices, Preparation(long_side=64), np.random.default_rng(0))
    inside_is_different = 0
    for _ in range(10):
        sample = sampler.draw(4, 2)
        images, targets = sample.images, sample.targets
        assert np.array_equal(targets, sample.pointed)
        assert images.shape == (4, 3, 64, 64) and targets.shape == (4, 2, 64, 64)
        assert 0 <= images.min() and images.max() <= 1
        for image, target in zip(images.mean(1).numpy(), targets[:, 0], strict=True):
            assert target.sum() >= 10
            around = ~target & (np.arange(64)[:, None] >= 0)
            inside_is_different += abs(image[target].mean() - image[around].mean()) > 0.1
    assert inside_is_different >= 36


def test_prompts_at_nothing_want_an_empty_answer(tmp_path: Path) -> None:
    """Small discs in different places; what the prompts point at is another image's disc."""
    data = write_dataset(tmp_path / "discs", n=16, radius=7)
    slices = load_slices(read_dataset(data), "train", Preparation())
    sampler = Sampler(slices, Preparation(long_side=64), np.random.default_rng(0), (0.0, 0.0, 1.0))
    sample = sampler.draw(2, 2)
    assert sample.pointed.any((2, 3)).all() and not sample.targets.any()


def test_every_kind_of_target_is_drawn(tmp_path: Path) -> None:
    slices = load_slices(read_dataset(write_dataset(tmp_path / "discs")), "train", Preparation())
    for shares in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)):
        sample = Sampler(slices, Preparation(long_side=64), np.random.default_rng(0), shares).draw(3, 2)
        assert sample.images.shape == (3, 3, 64, 64)
        assert np.array_equal(sample.targets, sample.pointed) and sample.targets.any((2, 3)).all()


def test_a_right_empty_answer_is_good(tmp_path: Path) -> None:
    """Truth: nothing was to be found, so nothing found is all right, and anything found is not."""
    wanted = torch.zeros(1, 1, 32, 32)
    nothing, something = torch.full((1, 4, 16, 16), -20.0), torch.full((1, 4, 16, 16), 20.0)
    assert mask_loss(nothing, torch.ones(1, 4), wanted) < 0.1
    assert mask_loss(something, torch.zeros(1, 4), wanted) > 1


def test_the_card_tells_every_run(tmp_path: Path, small: None) -> None:
    data, out = write_dataset(tmp_path / "discs"), tmp_path / "out" / "net"
    finish(pretrain([data], out, minutes=5, settings=replace(QUICK, most_steps=2)))
    finish(pretrain([data], out, minutes=5, settings=replace(QUICK, most_steps=1, rate=1e-3), resume=True))
    first, second = read_model(out, "cache").card["seen"]["runs"]
    assert (first["from_step"], first["to_step"], second["from_step"], second["to_step"]) == (0, 2, 2, 3)
    assert (first["rate"], second["rate"]) == (2e-3, 1e-3)
    assert (out / "card.md").read_text().count("- 20") == 2
