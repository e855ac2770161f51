"""SegMoTE from what a model says of itself, and its published sizes."""

from __future__ import annotations

from typing import Any

import torch

from napari_medseg.core.errors import WeightsError
from napari_medseg.core.model import Model
from napari_medseg.networks.segmote import SegMoTE
from napari_medseg.networks.weights import fill

LEFTOVERS = 1_256_544  # expert_mlp, text_token and boxApoint_token of the released code at D = 768
UNUSED_SHARED = 16_640  # two more 64 x 64 layers in each of its mixtures


def preset(name: str, **numbers: Any) -> dict[str, Any]:
    """Numbers for a SAM: "compact", "vit_b" (256 wide) or "imis768", as SegMoTE was published.

    Differs: the paper's 17.56 million at "imis768" count 1.26 million which its code never uses
    (`LEFTOVERS`, and `UNUSED_SHARED` within the mixtures); they are not built here.
    """
    known: dict[str, dict[str, Any]] = {
        "compact": {},
        "vit_b": {"width": 256, "fine": 32, "middle": 64, "early": 768, "stem": ()},
        "imis768": {"width": 768, "fine": 96, "middle": 192, "early": 768, "stem": ()},
    }
    return known[name] | numbers


def build_segmote(**numbers: Any) -> SegMoTE:
    """Build the network from the numbers in a model's description; WeightsError if they describe none."""
    try:
        return SegMoTE(**numbers)
    except (TypeError, ValueError, AssertionError, RuntimeError, ZeroDivisionError, LookupError):
        raise WeightsError("The model's numbers do not describe a SegMoTE this program can build.") from None


def load_segmote(model: Model) -> SegMoTE:
    """Build the network a model describes and fill it; WeightsError if it or its weights are damaged."""
    with torch.device("meta"):
        network = build_segmote(**model.numbers)
    fill(network, model)
    return network
