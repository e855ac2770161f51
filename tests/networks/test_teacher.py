"""A teacher from plain arrays: TensorFlow's padding, its taps, and files that are none."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from napari_medseg.core.errors import ReadError
from napari_medseg.networks.teacher import Pupil, Teacher


def write_teacher(folder: Path) -> Path:
    """A few layers numbered like MobileNetV2's: strides 8, 16 and 32, one of them added to another."""
    random = np.random.default_rng(0)
    layers: list[dict[str, object]] = [{"op": "QUANTIZE", "inp": [0], "out": [1]}]
    arrays = {}

    def conv(
        number: int, wide: int, high: int, stride: int, inp: int, act: str = "none", groups: int = 1
    ) -> None:
        name, size = f"conv{number:02d}", 3 if groups > 1 or stride > 1 else 1
        arrays[f"{name}.weight"] = random.normal(0, 0.3, (high, wide // groups, size, size)).astype(
            np.float32
        )
        arrays[f"{name}.bias"] = random.normal(0, 0.1, high).astype(np.float32)
        words = {
            "i": number,
            "name": name,
            "op": "DEPTHWISE_CONV_2D" if groups > 1 else "CONV_2D",
            "act": act,
        }
        layers.append({**words, "stride": stride, "groups": groups, "inp": inp, "out": number + 2})

    conv(0, 3, 8, 8, 1)
    conv(16, 8, 8, 1, 2, "relu6", 8)
    conv(17, 8, 32, 1, 18)
    conv(18, 32, 32, 1, 19)
    layers.append({"op": "ADD", "inp": [19, 20], "out": [140]})
    conv(37, 32, 32, 2, 140)
    conv(38, 32, 96, 1, 39)
    conv(49, 32, 32, 2, 140)
    conv(50, 32, 320, 1, 51)
    np.savez(folder / "teacher.npz", **arrays)
    (folder / "teacher.json").write_text(json.dumps({"layers": layers}))
    return folder / "teacher.npz"


def test_its_features_and_padding(tmp_path: Path) -> None:
    """Truth: torch's own convolution on an image padded at the right and the bottom, as TensorFlow does."""
    file = write_teacher(tmp_path)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    eighth, sixteenth, last = Teacher(file).features(images)
    assert eighth.shape == (2, 32, 8, 8) and sixteenth.shape == (2, 96, 4, 4) and last.shape == (2, 320, 4, 4)
    with np.load(file) as arrays:
        weights = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    x = F.conv2d(images * 2 - 1, weights["conv00.weight"], weights["conv00.bias"], stride=8)
    x = F.conv2d(x, weights["conv16.weight"], weights["conv16.bias"], padding=1, groups=8).clamp(0, 6)
    seen = F.conv2d(x, weights["conv17.weight"], weights["conv17.bias"])
    torch.testing.assert_close(eighth, seen)
    both = seen + F.conv2d(seen, weights["conv18.weight"], weights["conv18.bias"])
    half = F.conv2d(F.pad(both, (0, 1, 0, 1)), weights["conv37.weight"], weights["conv37.bias"], stride=2)
    torch.testing.assert_close(sixteenth, F.conv2d(half, weights["conv38.weight"], weights["conv38.bias"]))


def test_a_pupil_learns_to_foretell(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = Teacher(write_teacher(tmp_path)).features(torch.rand(2, 3, 64, 64))
    ours = [torch.rand(2, 8, 8, 8), torch.rand(2, 16, 4, 4), torch.rand(2, 16, 4, 4)]
    pupil = Pupil((8, 16, 16))
    optimiser = torch.optim.Adam(pupil.parameters(), 0.05)
    before = pupil.loss(ours, theirs).item()
    for _ in range(60):
        optimiser.zero_grad()
        loss = pupil.loss(ours, theirs)
        loss.backward()
        optimiser.step()
    assert pupil.loss(ours, theirs).item() < 0.8 * before


def test_files_that_are_no_teacher(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no teacher"):
        Teacher(tmp_path / "none.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(ReadError, match="no teacher"):
        Teacher(tmp_path / "bad.npz")
    file = write_teacher(tmp_path)
    words = json.loads(file.with_suffix(".json").read_text())
    file.with_suffix(".json").write_text(json.dumps({"layers": words["layers"][:5]}))
    with pytest.raises(ReadError, match="fewer layers"):
        Teacher(file).features(torch.rand(1, 3, 32, 32))
