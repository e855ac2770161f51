"""Models small enough for tests, written as released ones are."""

from pathlib import Path

from napari_medseg.core.model import Model, Preparation


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
