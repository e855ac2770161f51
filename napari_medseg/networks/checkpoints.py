"""Checkpoints of published SAM models: read without running anything in them, and recognised by their parts.

Nothing is guessed from a file's name: which network it is, and every number of it, stands in the names and
shapes of its weights.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_medseg.core.errors import WeightsError
from napari_medseg.networks.official import OfficialSam, build_official

_LARGEST = 6_000_000_000  # bytes; SAM's largest checkpoint has 2.6, SAM-Med2D's 2.6 with its optimiser
_MOST_PARTS = 10_000
_CLASSIFIER = re.compile(r"image_encoder\.(norm_head|head)\.")  # of TinyViT's pretraining, used by nobody
_DAMAGE = (
    pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError,
    AttributeError, AssertionError, ArithmeticError, MemoryError, zipfile.BadZipFile,
)  # fmt: skip

Shapes = Mapping[str, tuple[int, ...]]


def _stand_in(module: str, name: str) -> type:
    """A class that does nothing, under another's name."""
    return type(name, (), {"__module__": module})


def _plain_dict(*_: Any) -> dict[Any, Any]:
    """What a defaultdict becomes."""
    return {}


_plain_dict.__module__, _plain_dict.__qualname__, _plain_dict.__name__ = "collections", *["defaultdict"] * 2

# SAM-Med2D's checkpoint carries its whole optimiser: none of it is used, and no code of it is run.
_HARMLESS: list[Any] = [
    _stand_in("torch.optim.adam", "Adam"),
    _plain_dict,
    dict,
    _stand_in("__builtin__", "dict"),
]


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read the weights in a .pth, .pt or .safetensors file; they stay on disk until they are used.

    Raises
    ------
    WeightsError
        If the file is no checkpoint, is damaged, holds anything but weights, or is too large to be one.
    """
    path = Path(path)
    try:
        state = _safetensors(path) if path.suffix == ".safetensors" else _torch(path)
        weights = _only_weights(state)
        n_bytes = sum(value.numel() * value.element_size() for value in weights.values())
    except _DAMAGE:
        raise WeightsError(
            f"'{path.name}' is no checkpoint of weights alone, or it is damaged; download it again from its "
            "authors. Files that hold code are never opened."
        ) from None
    if not weights or len(weights) > _MOST_PARTS or n_bytes > path.stat().st_size:
        raise WeightsError(f"'{path.name}' does not hold the weights of a network.")
    return weights


def official_sam(state: Mapping[str, Tensor]) -> tuple[OfficialSam, dict[str, Any]]:
    """Build the published SAM that some weights belong to, and say its numbers.

    Raises
    ------
    WeightsError
        If they are not those of a SAM, MedSAM, SAM-Med2D, MobileSAM or HQ-SAM, whole and with nothing else.
    """
    known = "SAM, MedSAM, SAM-Med2D, MobileSAM or HQ-SAM"
    named = {
        re.sub(r"(blocks\.\d+)\.Adapter\.", r"\1.mlp.adapter.", name): value
        for name, value in state.items()
        if not _CLASSIFIER.match(name)
    }
    try:
        numbers = numbers_of({name: tuple(value.shape) for name, value in named.items()})
        network = build_official(**numbers)
    except (LookupError, ValueError, TypeError, RuntimeError, AssertionError, ArithmeticError):
        raise WeightsError(f"These weights are not those of {known}.") from None
    expected = network.state_dict()
    strange, missing = sorted(named.keys() - expected.keys()), sorted(expected.keys() - named.keys())
    if strange or missing:
        words = f"'{strange[0]}' is not a part of it" if strange else f"'{missing[0]}' is missing"
        raise WeightsError(f"These weights look like {known}, but {words}; get the file from its authors.")
    try:
        network.load_state_dict(named, assign=True)
    except RuntimeError:
        raise WeightsError(f"The parts of this {known} do not fit each other.") from None
    return network.eval(), numbers


def numbers_of(shapes: Shapes) -> dict[str, Any]:
    """Read the numbers of `OfficialSam` off the shapes of its weights; KeyError and its kin if it is none."""
    is_tiny = "image_encoder.layers.0.blocks.0.conv1.c.weight" in shapes
    encoder = _tiny_vit(shapes) if is_tiny else _vit(shapes)
    return {
        "layout": "tiny_vit" if is_tiny else "vit",
        "encoder": encoder,
        "decoder": _decoder(shapes),
        "mask_channels": shapes["prompt_encoder.mask_downscaling.3.weight"][0],
        "best_first": bool(encoder.get("adapter")),
    }


def _vit(shapes: Shapes) -> dict[str, Any]:
    """SAM's encoder: heads and windows stand in the sizes of the relative positions."""
    of = "image_encoder."
    _, grid, _, width = shapes[f"{of}pos_embed"]
    depth = _count(shapes, of + "blocks.{}.norm1.weight")
    lengths = [shapes[f"{of}blocks.{i}.attn.rel_pos_h"][0] for i in range(depth)]
    windows = {(n + 1) // 2 for n in lengths} - {grid}
    return {
        "grid": grid,
        "width": width,
        "depth": depth,
        "heads": width // shapes[f"{of}blocks.0.attn.rel_pos_h"][1],
        "mlp": shapes[f"{of}blocks.0.mlp.lin1.weight"][0],
        "window": min(windows, default=grid),
        "global_blocks": [i for i, n in enumerate(lengths) if n == 2 * grid - 1],
        "adapter": shapes.get(f"{of}blocks.0.mlp.adapter.channel.0.weight", (0,))[0],
    }


def _tiny_vit(shapes: Shapes) -> dict[str, Any]:
    """MobileSAM's encoder: heads and windows stand in the sizes of the attention's biases."""
    of = "image_encoder.layers."
    n = 1 + _count(shapes, of + "{}.blocks.0.mlp.fc1.weight", 1)
    merged = [shapes[f"{of}{i}.downsample.conv1.c.weight"] for i in range(n - 1)]
    widths = [merged[0][1], *(shape[0] for shape in merged)]
    depths = [_count(shapes, f"{of}{i}.blocks.{{}}.mlp.fc1.weight") for i in range(1, n)]
    biases = [shapes[f"{of}{i}.blocks.0.attn.attention_biases"] for i in range(1, n)]
    return {
        "widths": widths,
        "depths": [_count(shapes, of + "0.blocks.{}.conv1.c.weight"), *depths],
        "heads": [shape[0] for shape in biases],
        "windows": [round(shape[1] ** 0.5) for shape in biases],
        "expand": shapes[f"{of}0.blocks.0.conv1.c.weight"][0] // widths[0],
        "mlp": shapes[f"{of}1.blocks.0.mlp.fc1.weight"][0] // widths[1],
    }


def _decoder(shapes: Shapes) -> dict[str, int]:
    """SAM's or HQ-SAM's mask decoder."""
    of = "mask_decoder."
    return {
        "width": shapes[f"{of}iou_token.weight"][1],
        "depth": _count(shapes, of + "transformer.layers.{}.norm1.weight"),
        "mlp": shapes[f"{of}transformer.layers.0.mlp.lin1.weight"][0],
        "judge": shapes[f"{of}iou_prediction_head.layers.0.weight"][0],
        "judge_depth": _count(shapes, of + "iou_prediction_head.layers.{}.weight"),
        "early": shapes.get(f"{of}compress_vit_feat.0.weight", (0,))[0],
    }


def _count(shapes: Shapes, name: str, first: int = 0) -> int:
    """How many parts of a name with a running number there are, one after the other."""
    n = first
    while name.format(n) in shapes:
        n += 1
    return n - first


def _safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if path.stat().st_size > _LARGEST:
        raise ValueError("too large")
    try:
        return load_file(path)
    except SafetensorError:
        raise ValueError("damaged") from None


def _torch(path: Path) -> Any:
    """What a file of torch.save holds: weights in the memory of the file itself, never code."""
    with zipfile.ZipFile(path) as packed:
        parts = packed.infolist()
    if path.stat().st_size > _LARGEST or any(part.compress_type != zipfile.ZIP_STORED for part in parts):
        raise ValueError("too large, or packed as torch never does")
    with torch.serialization.safe_globals(_HARMLESS):
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def _only_weights(state: Any) -> dict[str, Tensor]:
    """The weights by name, from a plain state or from a training's record; TypeError if there are none."""
    for inner in ("model", "state_dict"):
        state = state[inner] if isinstance(state.get(inner), Mapping) else state
    weights = {str(name).removeprefix("module."): value for name, value in state.items()}
    for value in weights.values():
        if type(value) not in (Tensor, torch.nn.Parameter) or value.layout != torch.strided:
            raise TypeError("not weights")
    return {name: value.detach() for name, value in weights.items()}
