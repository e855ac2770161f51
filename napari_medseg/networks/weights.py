"""Released models on disk: `model.json`, `weights.safetensors`, `card.md`; nothing else is ever loaded.

The one file of this room that knows a noun of `core`: a model's description. Torch is loaded with the
first weights, not to list what there is.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_medseg.core.errors import WeightsError
from napari_medseg.core.model import Model, Preparation

if TYPE_CHECKING:
    from torch import Tensor, nn

DESCRIPTION, WEIGHTS, CARD = "model.json", "weights.safetensors", "card.md"
_LARGEST_DESCRIPTION = 20_000_000
_LARGEST_WEIGHTS = 6_000_000_000


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_model(folder: Path, origin: str) -> Model:
    """Read what a model says of itself; its weights stay on disk.

    Raises
    ------
    WeightsError
        If the description is missing, too large or damaged.
    """
    path = Path(folder) / DESCRIPTION
    try:
        if path.stat().st_size > _LARGEST_DESCRIPTION:
            raise WeightsError(f"The description of the model '{folder.name}' is too large to be one.")
        about = json.loads(path.read_text(encoding="utf-8"))
        return Model(
            name=folder.name,
            network=str(about["network"]),
            numbers=dict(about["numbers"]),
            structures=tuple(str(name) for name in about["structures"]),
            preparation=_preparation(about["preparation"]),
            sha256=str(about["sha256"]),
            folder=Path(folder),
            origin=origin,
            backbone_sha256=str(about.get("backbone_sha256", "")),
            card=dict(about.get("card", {})),
        )
    except OSError:
        raise WeightsError(f"The model folder '{folder.name}' has no readable {DESCRIPTION}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise WeightsError(
            f"The {DESCRIPTION} of the model '{folder.name}' is damaged; install the model again."
        ) from None


def find_models(folder: Path, origin: str) -> list[Model]:
    """List the readable models in a folder, by name; damaged ones are left out."""
    models = []
    for path in sorted(Path(folder).glob(f"*/{DESCRIPTION}")):
        try:
            models.append(read_model(path.parent, origin))
        except WeightsError:
            continue
    return models


def verify(model: Model) -> None:
    """Check that the weights are the ones the description speaks of.

    Raises
    ------
    WeightsError
        If they are missing, too large, or differ by a single bit.
    """
    path = model.folder / WEIGHTS
    if not path.is_file() or path.stat().st_size > _LARGEST_WEIGHTS:
        raise WeightsError(f"The model '{model.name}' has no usable {WEIGHTS}; install it again.")
    if sha256_of(path) != model.sha256:
        raise WeightsError(
            f"The weights of the model '{model.name}' are not those it was released with; install it again."
        )


def load_state(model: Model) -> dict[str, Tensor]:
    """Read a model's weights, checked, as float32.

    Raises
    ------
    WeightsError
        If they are missing, changed or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    verify(model)
    try:
        state = load_file(model.folder / WEIGHTS)
    except (SafetensorError, OSError):
        raise WeightsError(f"The weights of the model '{model.name}' cannot be read.") from None
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}


def fill(network: nn.Module, model: Model) -> nn.Module:
    """Load a model's weights into the network built from its numbers, ready for use.

    Raises
    ------
    WeightsError
        If names or shapes differ.
    """
    try:
        network.load_state_dict(load_state(model), assign=True)
    except RuntimeError:
        raise WeightsError(
            f"The weights of the model '{model.name}' do not fit the network '{model.network}' it names."
        ) from None
    return network.eval()


def save_model(
    folder: Path,
    network: nn.Module | Mapping[str, Tensor],
    *,
    kind: str,
    numbers: Mapping[str, Any],
    preparation: Preparation,
    structures: tuple[str, ...] = (),
    card: Mapping[str, Any],
    card_text: str,
    backbone: Model | None = None,
    half: bool = True,
) -> Model:
    """Write a network, or a part of its state: weights first, the description with their hash last.

    By default in half precision.
    """
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    whole = network if isinstance(network, Mapping) else network.state_dict()
    state = {
        name: (value.half() if half and value.is_floating_point() else value).contiguous().cpu()
        for name, value in whole.items()
    }
    if not all(torch.isfinite(value).all() for value in state.values()):
        raise WeightsError(f"The weights for '{folder.name}' hold values that are not finite; not saved.")
    fresh = folder / f".{WEIGHTS}.new"
    save_file(state, fresh)
    os.replace(fresh, folder / WEIGHTS)
    (folder / CARD).write_text(card_text, encoding="utf-8")
    about = {
        "network": kind,
        "numbers": dict(numbers),
        "structures": list(structures),
        "preparation": asdict(preparation),
        "sha256": sha256_of(folder / WEIGHTS),
        "backbone_sha256": backbone.sha256 if backbone else "",
        "card": dict(card),
    }
    _describe(folder, about)
    return read_model(folder, "cache")


def amend_card(model: Model, more: Mapping[str, Any]) -> Model:
    """Write more into a model's card; its weights stay as they are.

    Raises
    ------
    WeightsError
        If the description cannot be read.
    """
    read_model(model.folder, model.origin)
    about = json.loads((model.folder / DESCRIPTION).read_text(encoding="utf-8"))
    _describe(model.folder, {**about, "card": {**about.get("card", {}), **more}})
    return read_model(model.folder, model.origin)


def _describe(folder: Path, about: Mapping[str, Any]) -> None:
    """Write a model's description aside and rename it."""
    text = folder / f".{DESCRIPTION}.new"
    text.write_text(json.dumps(about, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(text, folder / DESCRIPTION)


def _preparation(about: Mapping[str, Any]) -> Preparation:
    """Read the preparation's record."""
    windows = {str(name): (float(a), float(b)) for name, (a, b) in about["windows"].items()}
    others = {name: value for name, value in about.items() if name != "windows"}
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in others.items()}
    return Preparation(windows=windows, **values)
