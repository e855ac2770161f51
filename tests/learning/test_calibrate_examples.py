"""Calibrating answers from examples on made-up sets: what is learnt goes into the card and is used."""

from dataclasses import replace
from pathlib import Path

import pytest

from napari_medseg.core.errors import TaskError
from napari_medseg.core.progress import finish
from napari_medseg.learning import calibrate_examples as recipe
from napari_medseg.learning.calibrate_examples import calibrate_segicl
from napari_medseg.methods._judged import FACTS, KINDS, read_presence
from napari_medseg.networks.weights import read_model
from tests.models import tiny_segicl
from tests.phantom_sets import patients, write_phantoms


def test_presence_and_expected_dice_go_into_the_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "_FEWEST", 3)
    monkeypatch.setattr(recipe, "_MOST", 120)
    rows = patients(3, "train") + patients(2, "val") + patients(1, "test")
    data = write_phantoms(tmp_path / "cts", rows, dim=3)
    model = tiny_segicl(tmp_path)
    weights = (model.folder / "weights.safetensors").read_bytes()
    assert finish(calibrate_segicl([data], model, minutes=5)) == model.folder
    card = read_model(model.folder, "session").card
    assert (model.folder / "weights.safetensors").read_bytes() == weights
    for about in card["presence"].values():
        assert about["n"] >= 6 and tuple(about["facts"]) == FACTS
    assert set(read_presence(card, "m")) == set(KINDS)
    assert card["calibration"]["examples"]["n"] >= 40


def test_too_few_answers_are_said(tmp_path: Path) -> None:
    data = write_phantoms(tmp_path / "glands", patients(2, "train") + patients(1, "val"))
    with pytest.raises(TaskError, match="too few answers"):
        finish(calibrate_segicl([data], replace(tiny_segicl(tmp_path)), minutes=0.01))
