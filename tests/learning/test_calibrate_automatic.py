"""What a model for known tasks is worth, measured on made-up sets and written into its card."""

from pathlib import Path

import numpy as np
import pytest

from napari_medseg.core.errors import TaskError
from napari_medseg.core.progress import finish
from napari_medseg.learning import calibrate_automatic as recipe
from napari_medseg.learning.calibrate_automatic import Answered, calibrate_known, learnt_from
from napari_medseg.methods._doubt import AUTOMATIC, read_doubt
from napari_medseg.networks.weights import read_model
from tests.models import tiny_hsp_sam
from tests.phantom_sets import patients, write_phantoms

TASKS = {"glands": ["gland", "lesion"]}


def test_dice_and_what_is_offered_go_into_the_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_medseg.core.calibration.FEWEST", 3)
    model = tiny_hsp_sam(tmp_path, TASKS)
    data = write_phantoms(tmp_path / "glands", patients(4, "val") + patients(2, "test"))
    weights = (model.folder / "weights.safetensors").read_bytes()
    for good, offered in ((0.0, ["glands"]), (1.1, [])):
        monkeypatch.setattr(recipe, "_GOOD", good)
        assert finish(calibrate_known([data], model, minutes=5)) == model.folder
        card = read_model(model.folder, "session").card
        assert card["offered"] == offered
    assert card["validation"]["glands"]["n"] == 8  # two structures of four validation images
    assert 0 <= card["validation"]["glands"]["dice_there"] <= 1 and card["present"] >= 0.5
    assert set(read_doubt(card, "m").calibrations) == {AUTOMATIC}
    assert (model.folder / "weights.safetensors").read_bytes() == weights


def test_the_cut_for_presence_keeps_those_that_are_there() -> None:
    random = np.random.default_rng(0)
    good = [Answered(0.8, 0.9, c, True, True) for c in random.uniform(0.9, 1.0, 400)]
    good += [Answered(0.3, 0.0, c, False, True) for c in random.uniform(0.2, 0.95, 100)]
    bad = [Answered(0.2, 0.1, 0.3, True, True)] * 50
    learnt = learnt_from({"good": good, "bad": bad})
    assert (
        learnt["offered"] == ["good"] and 0.88 <= learnt["present"] <= 0.9
    )  # the bad one says nothing of it
    kept = [one for one in good if one.chance >= learnt["present"]]
    assert sum(one.is_there for one in kept) >= 0.99 * 400 and len(kept) < 430
    mean = np.mean([0.9 if one.is_there else 0.0 for one in kept] + [1.0] * (500 - len(kept)))
    assert learnt["validation"]["good"] == {
        "dice": pytest.approx(mean, abs=0.01),
        "dice_there": 0.9,
        "n": 500,
    }


def test_a_task_without_validation_images_is_said(tmp_path: Path) -> None:
    model = tiny_hsp_sam(tmp_path, {**TASKS, "elsewhere": ["node"]})
    data = write_phantoms(tmp_path / "glands", patients(1, "val"))
    with pytest.raises(TaskError, match="No validation image of elsewhere"):
        finish(calibrate_known([data], model, minutes=1))
