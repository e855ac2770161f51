"""U-Nets trained from nothing: what a person without a model could do, also with the same few examples."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_medseg.benchmarks.few_shot_arms import frame_for, placed, taken_back
from napari_medseg.benchmarks.shots import Shot
from napari_medseg.core.mask import Region
from napari_medseg.imaging.prepare import Frame

if TYPE_CHECKING:
    from torch import Tensor, nn

SECONDS = 30.0
_SIDE, _BATCH, _RATE = 128, 8, 2e-3
_SMALL = (16, 16, 32, 64, 128, 16)
USUAL = (16, 32, 64, 128, 256, 16)
WIDE = (16, 32, 64, 128, 256, 32)  # before the last step: for the structures of many tasks
Look = tuple[Frame, NDArray[np.uint8]]


@dataclass(frozen=True)
class UNetArm:
    """MONAI's BasicUNet at 128 px, trained for so many seconds on varied examples."""

    name: str
    seconds: float = SECONDS
    numbers: tuple[int, ...] = (5,)

    @property
    def version(self) -> str:
        """How long it trains."""
        return f"{self.seconds:g} s"

    def look(self, shot: Shot) -> Look:
        """The picture on the canvas."""
        frame = frame_for(shot, _SIDE)
        return frame, frame.place(shot.picture)

    def learn(self, shots: Sequence[Shot], looks: Sequence[Look]) -> nn.Module:
        """Train from random weights until the time is over."""
        import torch
        from monai.losses.dice import DiceCELoss

        torch.manual_seed(0)
        network = unet(1, _SMALL)
        images = torch.stack([tensor_of(canvas) for _, canvas in looks])
        masks = torch.stack([mask_of(shot, frame) for shot, (frame, _) in zip(shots, looks, strict=True)])
        loss = DiceCELoss(sigmoid=True)
        optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=1e-4)
        start = time.monotonic()
        while (done := (time.monotonic() - start) / self.seconds) < 1:
            for group in optimiser.param_groups:
                group["lr"] = _RATE * (1 - done) ** 0.9
            chosen = torch.randint(len(images), (_BATCH,))
            picture, wanted = vary(images[chosen], masks[chosen])
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss(network(picture), wanted))
            optimiser.step()
        return network.eval()

    def answer(self, learnt: nn.Module, shot: Shot, look: Look) -> Region:
        """Cut its probabilities at one half."""
        import torch

        frame, canvas = look
        with torch.inference_mode():
            level = learnt(tensor_of(canvas)[None]).sigmoid()[0, 0].numpy()
        inside = level[: frame.size[0], : frame.size[1]]
        return np.asarray(taken_back(inside, frame, shot.region.shape) > 0.5)


def unet(n_structures: int, features: Sequence[int] = USUAL) -> nn.Module:
    """MONAI's BasicUNet, images (B, 3, Y, X) to logits (B, K, Y, X); sides are multiples of 16."""
    from monai.networks.nets.basic_unet import BasicUNet

    return BasicUNet(2, 3, n_structures, features)


def vary(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Turn, stretch and recolour pictures (B, 3, Y, X), 0 to 1, with their masks."""
    import torch
    from torch.nn import functional as F

    n = len(images)
    angle, scale = torch.randn(n) * 0.25, torch.exp(torch.randn(n, 2) * 0.15)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = angle.cos() * scale[:, 0], -angle.sin() * scale[:, 1]
    theta[:, 1, 0], theta[:, 1, 1] = angle.sin() * scale[:, 0], angle.cos() * scale[:, 1]
    theta[:, :, 2] = (torch.rand(n, 2) - 0.5) * 0.2
    grid = F.affine_grid(theta, [n, 1, *images.shape[-2:]], align_corners=False)
    moved = F.grid_sample(torch.cat([images, masks], 1), grid, align_corners=False)
    picture = moved[:, :3] ** torch.exp(torch.randn(n, 1, 1, 1) * 0.25)
    picture = picture * (1 + torch.randn(n, 1, 1, 1) * 0.15) + torch.randn(n, 1, 1, 1) * 0.08
    picture = picture + torch.randn_like(picture) * 0.03
    return picture.clamp(0, 1), (moved[:, 3:] > 0.5).float()


def tensor_of(canvas: NDArray[np.uint8]) -> Tensor:
    """A canvas (S, S, 3) as (3, S, S), 0 to 1."""
    import torch

    return torch.from_numpy(canvas.astype(np.float32) / 255).permute(2, 0, 1)


def mask_of(shot: Shot, frame: Frame) -> Tensor:
    """An outline as (1, S, S), 0 or 1."""
    import torch

    mask = torch.zeros(1, frame.long_side, frame.long_side)
    inside = placed(shot.region, frame)
    mask[0, : inside.shape[0], : inside.shape[1]] = torch.from_numpy(inside)
    return mask
