"""The fine features that expert tokens draw their masks from.

Source: Ke et al., Segment Anything in High Quality (HQ-SAM), NeurIPS 2023.
"""

from __future__ import annotations

from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn

from napari_medseg.networks.hq_decoder import fourfold
from napari_medseg.networks.sam_decoder import Encoded


class FusedFeatures(nn.Module):
    """HQ-SAM's features: SAM's enlarged image, its embedding and the encoder's early features, added."""

    def __init__(self, width: int, fine: int, middle: int, early: int, stem: tuple[int, ...]) -> None:
        super().__init__()
        self.drawn = nn.Sequential(
            nn.Conv2d(fine, middle, 3, padding=1), LayerNorm2d(middle), nn.GELU(),
            nn.Conv2d(middle, fine, 3, padding=1),
        )  # fmt: skip
        self.embedding = fourfold(width, middle, fine)
        self.early = fourfold(early, width, fine) if early else None
        self.quarter = nn.Conv2d(stem[0], fine, 1) if stem else None
        self.eighth = nn.ConvTranspose2d(stem[1], fine, 2, stride=2) if stem else None

    def forward(self, drawn: Tensor, encoded: Encoded) -> Tensor:
        """(P, fine, Y/4, X/4) from SAM's enlarged image of the same shape and what the encoder saw."""
        x = self.drawn(drawn) + self.embedding(encoded.embedding)
        if self.early is not None:
            x = x + self.early(encoded.levels[0].permute(0, 3, 1, 2))
        if self.quarter is not None and self.eighth is not None:
            x = x + self.quarter(encoded.stem[0]) + self.eighth(encoded.stem[1])
        return x
