"""What a model for known tasks is worth, measured on made-up sets and written into its card."""

from pathlib import Path

import pytest

from napari_medseg.core.errors import TaskError
from napari_medseg.core.progress import finish
from napari_medseg.learning import calibrate_automatic as recipe
from napari_medseg.learning.calibrate_automatic import calibrate_known
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
    assert 0 <= card["validation"]["glands"]["dice_there"] <= card["validation"]["glands"]["dice"] <= 1
    assert set(read_doubt(card, "m").calibrations) == {AUTOMATIC}
    assert (model.folder / "weights.safetensors").read_bytes() == weights


def test_a_task_without_validation_images_is_said(tmp_path: Path) -> None:
    model = tiny_hsp_sam(tmp_path, {**TASKS, "elsewhere": ["node"]})
    data = write_phantoms(tmp_path / "glands", patients(1, "val"))
    with pytest.raises(TaskError, match="No validation image of elsewhere"):
        finish(calibrate_known([data], model, minutes=1))
