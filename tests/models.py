"""Models small enough for tests, written as released ones are."""

from pathlib import Path

from napari_medseg.core.model import Model, Preparation
from napari_medseg.core.phantoms import CT_TASK


def tiny_sam(folder: Path) -> Model:
    """A promptable model with random weights: 64 px, two blocks."""
    import torch

    from napari_medseg.networks.sam import CompactSam
    from napari_medseg.networks.weights import save_model

    torch.manual_seed(0)
    numbers = {
        "long_side": 64, "width": 32, "depth": 2, "heads": 2, "window": 2, "global_blocks": [1],
        "decoder": 32, "mlp": 64, "stem": [8, 8, 16],
    }  # fmt: skip
    return save_model(
        folder / "tiny-sam", CompactSam.tiny(), kind="sam", numbers=numbers,
        preparation=Preparation(long_side=64), card={}, card_text="# tiny-sam\n",
    )  # fmt: skip


def tiny_segicl(folder: Path) -> Model:
    """SegICL with random weights on the features of the tiny SAM."""
    from dataclasses import replace

    import torch

    from napari_medseg.networks.segicl import SegICL
    from napari_medseg.networks.weights import save_model

    backbone = tiny_sam(folder)
    torch.manual_seed(0)
    network = SegICL.tiny()
    for layer in network.parameters():  # MONAI begins with an output of zeros, which would hide the noise
        if layer.abs().sum() == 0:
            torch.nn.init.normal_(layer, std=0.1)
    numbers = {
        "seen": [8, 16, 32], "matched": [8, 8, 8], "channels": [16, 16, 16], "width": 32, "depth": 1,
        "heads": 2, "n_state": 4, "state": 16,
    }  # fmt: skip
    model = save_model(
        folder / "tiny-segicl", network, kind="segicl", numbers=numbers, backbone=backbone,
        preparation=Preparation(long_side=64), card={}, card_text="# tiny-segicl\n",
    )  # fmt: skip
    return replace(model, backbone=backbone)


TASKS = {  # what the tiny HSP-SAM knows
    CT_TASK.slug: list(CT_TASK.structure_names),
    "lungs": ["right lung", "left lung"],
}


def tiny_hsp_sam(folder: Path, tasks: dict[str, list[str]] = TASKS) -> Model:
    """HSP-SAM with random weights for two tasks, on the tiny SAM."""
    from dataclasses import replace

    import torch

    from napari_medseg.networks.hsp_sam_models import build_hsp_sam, numbers_for
    from napari_medseg.networks.sam import load_sam
    from napari_medseg.networks.weights import save_model

    below = tiny_sam(folder)
    sam = load_sam(below)
    torch.manual_seed(0)
    numbers = numbers_for(sam, sum(1 + len(names) for names in tasks.values()), rank=4)
    network = build_hsp_sam(**numbers)
    network.begin_as(sam)
    model = save_model(
        folder / "tiny-hsp", network, kind="hsp_sam", numbers=numbers, backbone=below,
        preparation=Preparation(long_side=64), card={"tasks": tasks}, card_text="# tiny-hsp\n",
    )  # fmt: skip
    return replace(model, backbone=below)


def tiny_segmote(folder: Path, tasks: dict[str, list[str]] = TASKS) -> Model:
    """SegMoTE with random weights for two tasks, on the tiny SAM."""
    from dataclasses import replace

    import torch

    from napari_medseg.networks.segmote import SegMoTE
    from napari_medseg.networks.weights import save_model

    below = tiny_sam(folder)
    torch.manual_seed(0)
    network = SegMoTE.tiny()
    for part in network.parameters():  # it begins as its SAM, which would hide the experts
        if part.abs().sum() == 0:
            torch.nn.init.normal_(part, std=0.1)
    numbers = {"width": 32, "fine": 8, "middle": 8, "stem": [8, 16], "n_experts": 4, "rank": 8}
    model = save_model(
        folder / "tiny-segmote", network, kind="segmote", numbers=numbers, backbone=below,
        preparation=Preparation(long_side=64), card={"tasks": tasks}, card_text="# tiny-segmote\n",
    )  # fmt: skip
    return replace(model, backbone=below)
