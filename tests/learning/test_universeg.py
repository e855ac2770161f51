"""Training the rival: on train images of seen sets only, resumed where it stopped, ready to be asked."""

from pathlib import Path

import pytest
import torch

from napari_medseg.benchmarks.baselines.universeg import load_arm
from napari_medseg.benchmarks.draws import draws_of
from napari_medseg.core.errors import TaskError
from napari_medseg.core.progress import finish
from napari_medseg.learning.data import read_datasets
from napari_medseg.learning.universeg import STATE, train_universeg
from tests.phantom_sets import patients, write_phantoms


def test_the_rival_is_trained_resumed_and_asked(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "run"
    write_phantoms(data / "seen", patients(4, "train") + patients(2, "test"))
    assert load_arm(out, "rival") is None
    with pytest.raises(TaskError, match="no training to go on with"):
        finish(train_universeg([data], out, minutes=0.01, resume=True))
    file = finish(train_universeg([data], out, minutes=0.01))
    first, steps = load_arm(out, "rival"), torch.load(file.parent / STATE, weights_only=True)["step"]
    finish(train_universeg([data], out, minutes=0.01, resume=True))
    second, more = load_arm(out, "rival"), torch.load(file.parent / STATE, weights_only=True)["step"]
    assert 0 < steps < more
    assert first is not None and second is not None and first.version != second.version
    examples, queries = finish(draws_of(read_datasets([data]), "test", 0))[0][0].load()
    learnt = second.learn(examples[:3], [second.look(shot) for shot in examples[:3]])
    answer = second.answer(learnt, queries[0], second.look(queries[0]))
    assert answer.shape == queries[0].region.shape and answer.dtype == bool


def test_unseen_sets_train_nothing(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "unseen", patients(4, "train"), role="unseen")
    with pytest.raises(TaskError, match="nothing to train on"):
        finish(train_universeg([tmp_path], tmp_path / "run", minutes=1.0))
    with pytest.raises(TaskError, match="0 minutes"):
        finish(train_universeg([tmp_path], tmp_path / "run", minutes=0.0))
