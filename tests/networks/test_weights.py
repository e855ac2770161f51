"""Released models on disk: exact, checked, and never trusted."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from napari_medseg.core.errors import WeightsError
from napari_medseg.core.model import Model, Preparation
from napari_medseg.networks.sam import CompactSam
from napari_medseg.networks.weights import fill, find_models, load_state, read_model, save_model, verify
from tests.models import tiny_sam


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return tiny_sam(tmp_path)


def test_what_was_written_is_read(model: Model) -> None:
    again = read_model(model.folder, "cache")
    assert again == model
    assert again.preparation == Preparation(long_side=64)
    state = load_state(model)
    torch.manual_seed(0)
    for name, value in CompactSam.tiny().state_dict().items():
        torch.testing.assert_close(state[name], value.half().float())


def test_one_changed_bit_is_noticed(model: Model) -> None:
    file = model.folder / "weights.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(WeightsError, match="not those it was released with"):
        verify(model)


def test_weights_that_are_no_weights(model: Model) -> None:
    from napari_medseg.networks.weights import sha256_of

    file = model.folder / "weights.safetensors"
    file.write_bytes(b"\x80\x04cos\nsystem\n.")  # the beginning of a hostile pickle
    with pytest.raises(WeightsError, match="cannot be read"):
        load_state(replace(model, sha256=sha256_of(file)))
    file.unlink()
    with pytest.raises(WeightsError, match="no usable"):
        verify(model)


def test_weights_of_another_network(model: Model) -> None:
    with pytest.raises(WeightsError, match="do not fit"):
        fill(torch.nn.Linear(2, 2), model)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"network": "sam"}', '{"network": 3, "numbers": 4}'])
def test_damaged_descriptions(model: Model, text: str) -> None:
    (model.folder / "model.json").write_text(text)
    with pytest.raises(WeightsError, match="tiny-sam"):
        read_model(model.folder, "cache")
    assert find_models(model.folder.parent, "cache") == []


def test_numbers_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    network = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(network.weight, float("nan"))
    with pytest.raises(WeightsError, match="not finite"):
        save_model(
            tmp_path / "bad",
            network,
            kind="sam",
            numbers={},
            preparation=Preparation(),
            card={},
            card_text="",
        )
    assert not (tmp_path / "bad" / "model.json").exists()


def test_the_description_is_plain_json(model: Model) -> None:
    about = json.loads((model.folder / "model.json").read_text())
    assert about["network"] == "sam"
    assert about["sha256"] == model.sha256


def test_models_are_listed_without_torch(model: Model) -> None:
    """The panel lists models before torch loads."""
    code = (
        "import sys; from pathlib import Path; from napari_medseg.networks.weights import find_models; "
        f"found = find_models(Path({str(model.folder.parent)!r}), 'cache'); "
        "sys.exit(len(found) != 1 or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
