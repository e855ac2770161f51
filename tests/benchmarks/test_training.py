"""Rivals are trained with a budget or until nothing is gained, and go on where they stopped."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from napari_medseg.benchmarks.baselines import material, training
from napari_medseg.benchmarks.baselines.material import Material, Rival, read_material, rows_of
from napari_medseg.benchmarks.baselines.plain_decoder import decoded, plain_decoder
from napari_medseg.benchmarks.baselines.training import Learnt, learnt, train_rival
from napari_medseg.benchmarks.baselines.unet import unet
from napari_medseg.core.model import Preparation
from napari_medseg.core.progress import finish
from napari_medseg.core.task import task_of
from napari_medseg.learning.data import read_datasets
from napari_medseg.networks.sam import CompactSam
from tests.phantom_sets import patients, write_phantoms

SMALL = Rival(lambda n: unet(n, (8, 8, 8, 8, 8, 8)), lambda network, images: network(images))


@pytest.fixture(autouse=True)
def small_canvas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(material, "PREPARATION", Preparation(long_side=64))


def pictures(folder: Path) -> list[Material]:
    """Pictures of a gland with a lesion."""
    write_phantoms(folder / "gland", patients(4, "train") + patients(2, "val"))
    return finish(read_material(read_datasets([folder])))


def test_the_outputs_of_tasks_follow_each_other() -> None:
    rows = rows_of([task_of("b", ("one", "two")), task_of("a", ("three",))])
    assert rows == {"b": [0, 1], "a": [2]}


def test_a_budget_is_spent_over_several_calls(tmp_path: Path) -> None:
    given, file = pictures(tmp_path / "data"), tmp_path / "weights" / "gland.safetensors"
    first = finish(train_rival(SMALL, given, file, minutes=0.0, budget=0.05))
    assert not first.finished and not file.is_file() and first.steps == 1
    assert learnt(file) == first
    second = finish(train_rival(SMALL, given, file, minutes=20.0, budget=0.05))
    assert second.finished and second.steps > first.steps and 0.05 <= second.minutes < 0.1
    assert second.best >= 0 and (first.canvas, second.canvas) == (32, 64)
    assert set(load_file(file)) == set(SMALL.network(2).state_dict())
    assert finish(train_rival(SMALL, given, file, minutes=20.0, budget=0.05)) == second


def test_without_a_budget_it_ends_when_nothing_is_gained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "_LOOK", 1)
    monkeypatch.setattr(training, "_PATIENCE", 1)
    monkeypatch.setattr(training, "_GAIN", 2.0)  # more than can be gained: every look is in vain
    file = tmp_path / "gland.safetensors"
    found = finish(train_rival(SMALL, pictures(tmp_path / "data"), file, minutes=20.0))
    assert found.finished and found.cuts == 3 and found.steps == 3
    assert file.is_file() and not file.with_suffix(".state").is_file()


def test_it_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_LOOK", 10)
    given = pictures(tmp_path / "data")
    far = finish(train_rival(SMALL, given, tmp_path / "gland.safetensors", minutes=20.0, budget=0.15))
    assert far.finished and far.best > 0.2


def test_another_canvas_begins_its_own_search(tmp_path: Path) -> None:
    course = training._Course(SMALL, pictures(tmp_path / "data"), tmp_path / "x.safetensors", "cpu", 0)
    course.look_at(True)
    course.look()
    assert course.far.canvas == 32 and course.far.best >= 0
    course.look_at(True)
    assert course.far.best >= 0
    course.look_at(False)
    assert course.far.canvas == 64 and course.far.best < 0
    assert training._is_small(Learnt(minutes=0.9), 2.0) and not training._is_small(Learnt(minutes=1.0), 2.0)
    assert training._is_small(Learnt(), None) and not training._is_small(Learnt(cuts=1), None)


def test_rates_fall() -> None:
    assert training._rate(Learnt(minutes=0.0), 2.0) > training._rate(Learnt(minutes=1.0), 2.0) > 0
    assert training._rate(Learnt(minutes=2.0), 2.0) == pytest.approx(0.0)
    assert training._rate(Learnt(cuts=1), None) < training._rate(Learnt(), None)


def test_the_plain_decoder_learns_nothing_of_its_backbone() -> None:
    torch.manual_seed(0)
    sam = CompactSam.tiny().requires_grad_(False)
    decoder = plain_decoder(sam, 3)
    drawn = decoded(sam, decoder, torch.rand(2, 3, 64, 64))
    assert drawn.shape == (2, 3, 64, 64)
    torch.autograd.backward(drawn.mean())
    assert all(part.grad is not None for part in decoder.parameters())
    assert not any(part.grad is not None for part in sam.parameters())
    assert not np.allclose(drawn.detach().numpy(), 0)
