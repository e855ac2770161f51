"""Calibration of a promptable model on a small made-up data set, end to end."""

from pathlib import Path

import numpy as np
import pytest

from napari_medseg.core.errors import TaskError, WeightsError
from napari_medseg.core.progress import finish
from napari_medseg.learning.calibrate import calibrate_sam
from napari_medseg.methods._doubt import KINDS, read_doubt
from napari_medseg.networks.weights import amend_card, read_model, sha256_of
from tests.learning.test_pretrain import write_dataset
from tests.models import tiny_sam


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small untrained model."""
    return amend_card(tiny_sam(tmp_path), {"kept": 1}).folder


def split(data: Path, val: int) -> Path:
    """Make some of the test images validation images."""
    text = (data / "index.csv").read_text()
    (data / "index.csv").write_text(text.replace(",test", ",val", val))
    return data


def test_the_card_learns_and_the_weights_stay(model: Path, tmp_path: Path) -> None:
    data = split(write_dataset(tmp_path / "discs", n=90), 45)
    before = sha256_of(model / "weights.safetensors")
    finish(calibrate_sam([data], model, minutes=5))
    found = read_model(model, "session")
    assert found.sha256 == before == sha256_of(model / "weights.safetensors")
    assert found.card["kept"] == 1 and set(found.card["calibration"]) <= set(KINDS)
    doubt = read_doubt(found.card, "net")
    for kind in ("box", "click", "mask"):
        mean, low, high = doubt.expect(kind, 0.9)
        assert 0 <= low <= mean <= high <= 1
        assert found.card["calibration"][kind]["n"] == 45
    assert doubt.home is not None and doubt.home.limit > 0
    assert len(found.card["statistics"]["embedding"][0]) == 32


def test_test_images_are_never_opened(model: Path, tmp_path: Path) -> None:
    data = split(write_dataset(tmp_path / "discs", n=100), 45)
    for i in range(91, 100, 2):
        (data / "images" / f"{i}.png").write_bytes(b"not an image")
    finish(calibrate_sam([data], model, minutes=5))
    assert read_model(model, "session").card["calibration"]["box"]["n"] == 45


def test_too_few_answers(model: Path, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="too few answers"):
        finish(calibrate_sam([split(write_dataset(tmp_path / "discs"), 1)], model, minutes=5))


def test_a_damaged_card_says_so() -> None:
    assert read_doubt({}, "old").expect("box", 0.7) == (0.7, 0.0, 1.0)
    with pytest.raises(WeightsError, match="damaged"):
        read_doubt({"calibration": {"box": {"said": "?"}}}, "bad")
    with pytest.raises(WeightsError, match="damaged"):
        read_doubt({"likeness": {"axes": [[1.0]], "homes": np.zeros((2, 3)).tolist(), "limit": 1}}, "bad")
