"""HSP-SAM from what a model says of itself: one network for many tasks, or an adapter on top of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from napari_medseg.core.errors import WeightsError
from napari_medseg.core.model import Model
from napari_medseg.networks.attention import StripBlock
from napari_medseg.networks.hsp_sam import HspSam
from napari_medseg.networks.official import OfficialSam
from napari_medseg.networks.sam import CompactSam, load_sam
from napari_medseg.networks.weights import fill, load_state


def rows_of(tasks: Mapping[str, Sequence[str]]) -> dict[str, Tensor]:
    """Rows of prompts for each task in alphabetical order: its background's, then its structures'."""
    rows, first = {}, 0
    for slug in sorted(tasks):
        n = 1 + len(tasks[slug])
        rows[slug] = torch.arange(first, first + n)
        first += n
    return rows


def tasks_of(model: Model) -> dict[str, tuple[str, ...]]:
    """The tasks a model was trained for, with their structures in order."""
    if model.structures:
        return {str(model.card.get("task", model.name)): model.structures}
    said = model.card.get("tasks", {})
    return {str(slug): tuple(map(str, names)) for slug, names in dict(said).items()}


def numbers_for(sam: CompactSam | OfficialSam, n_rows: int, **changes: Any) -> dict[str, Any]:
    """The numbers of the network that fits a SAM.

    Raises
    ------
    WeightsError
        If its image encoder has no blocks that can be prompted.
    """
    encoder, transformer = sam.image_encoder, sam.mask_decoder.transformer
    blocks = list(getattr(encoder, "blocks", ()))
    if not blocks or not all(isinstance(block, StripBlock) for block in blocks):
        raise WeightsError("HSP-SAM needs SAM's own image encoder; this model has another kind.")
    return {
        "width": blocks[0].norm1.normalized_shape[0],
        "depth": len(blocks),
        "global_blocks": [n for n, block in enumerate(blocks) if not block.window_size],
        "decoder": transformer.embedding_dim,
        "mlp": transformer.mlp_dim,
        "stem": list(sam.stem_widths) if isinstance(sam, CompactSam) else [],
        "n_rows": n_rows,
        **changes,
    }


def build_hsp_sam(**numbers: Any) -> HspSam:
    """Build the network from the numbers in a model's description.

    Raises
    ------
    WeightsError
        If the numbers do not describe one.
    """
    try:
        return HspSam(**numbers)
    except (TypeError, ValueError, RuntimeError, ZeroDivisionError, LookupError):
        raise WeightsError("The model's numbers do not describe an HSP-SAM this program can build.") from None


def load_hsp_sam(model: Model) -> tuple[HspSam, CompactSam | OfficialSam]:
    """Load a network with its weights, and the SAM it stands on.

    Raises
    ------
    WeightsError
        If a model it stands on is missing or of another kind, or weights are damaged or do not fit.
    """
    below = model.backbone
    if below is None:
        raise WeightsError(
            f"'{model.name}' stands on another model's weights, and that model is not installed; "
            "import it, or install the package again."
        )
    if below.network == "sam":
        network = build_hsp_sam(**model.numbers)
        fill(network, model)
        return network, load_sam(below)
    if below.network != "hsp_sam" or below.backbone is None:
        raise WeightsError(f"'{model.name}' stands on '{below.name}', which is no HSP-SAM; train it again.")
    joint, sam = load_hsp_sam(below)
    network = fresh_rows(joint, below, sum(1 + len(names) for names in tasks_of(model).values()))
    own = load_state(model)
    if {name: value.shape for name, value in own.items()} != {
        name: value.shape for name, value in network.own_state().items()
    }:
        raise WeightsError(
            f"The weights of the adapter '{model.name}' do not fit '{below.name}', on which it stands."
        )
    network.load_state_dict(own, strict=False)
    return network.eval(), sam


def fresh_rows(joint: HspSam, model: Model, n_rows: int) -> HspSam:
    """The network of a joint model with so many fresh rows in place of those of its tasks."""
    network = build_hsp_sam(**{**model.numbers, "n_rows": n_rows})
    shared = {name: value for name, value in joint.state_dict().items() if not name.startswith("task.")}
    network.load_state_dict(shared, strict=False)
    return network
