"""The two ways SegMoTE is asked: by name alone, and by prompts with a name where it is known."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn

from napari_medseg.networks.official import OfficialSam
from napari_medseg.networks.sam import CompactSam
from napari_medseg.networks.sam_decoder import Encoded
from napari_medseg.networks.sam_prompts import PromptBatch
from napari_medseg.networks.segmote import Answered, Asked, SegMoTE
from napari_medseg.networks.state_encoder import read_text


def by_name(
    network: SegMoTE,
    sam: CompactSam | OfficialSam,
    seen: Encoded,
    names: Sequence[str],
    passes: int = 2,
    free: bool = True,
) -> Answered:
    """Ask for names, one an image of `seen`; every further pass is handed the mask of the one before.

    Parameters
    ----------
    free : bool
        With the tokens drawn from the image.
    """
    n, device = len(names), seen.embedding.device
    rows, columns = (4 * side for side in seen.embedding.shape[2:])
    maps = torch.zeros(n, 4, rows, columns, device=device)
    points, labels = torch.zeros(n, 1, 2, device=device), torch.full((n, 1), -1, device=device)
    for _ in range(passes):
        prompts = PromptBatch(points, labels, maps)
        answered: Answered = network(sam, seen, asked(prompts, names, free=free))
        maps = torch.cat([torch.tanh(answered.masks / 2)[:, None], maps[:, 1:]], 1)
    return answered


def asked(prompts: PromptBatch, names: Sequence[str], *, prompted: bool = False, free: bool = False) -> Asked:
    """Questions with a name each, "" where it is not known; with or without prompts and free tokens."""
    device = prompts.points.device
    text = torch.stack([read_text(name) for name in names]).to(device)
    n = len(names)
    return Asked(
        prompts,
        text,
        is_prompted=torch.full((n,), prompted, device=device),
        is_free=torch.full((n,), free, device=device),
        is_named=torch.tensor([bool(name) for name in names], device=device),
    )


class Named(nn.Module):
    """SegMoTE in the place of a promptable network: `name` says what the prompts mean."""

    def __init__(self, network: SegMoTE, sam: CompactSam | OfficialSam, known: Collection[str]) -> None:
        super().__init__()
        self.network, self.sam, self.known, self.name = network, sam, frozenset(known), ""

    def encode(self, images: Tensor) -> Encoded:
        """What the SAM below sees."""
        return self.sam.encode(images)

    def decode(self, encoded: Encoded, prompts: PromptBatch) -> tuple[Tensor, Tensor]:
        """One answer, twice: as the single one and as the only reading of an unclear prompt."""
        said = [self.name if self.name in self.known else ""] * len(prompts.points)
        answered = self.network(self.sam, encoded, asked(prompts, said, prompted=True))
        return answered.masks[:, None].repeat(1, 2, 1, 1), answered.quality[:, None].repeat(1, 2)
