"""A UniverSeg-style network trained on the same episodes: the rival that also learns from examples alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_medseg.benchmarks.baselines.unet import Look, mask_of, tensor_of
from napari_medseg.benchmarks.few_shot_arms import WITH_EXAMPLES, frame_for, taken_back
from napari_medseg.benchmarks.shots import Shot
from napari_medseg.core.mask import Region

if TYPE_CHECKING:
    from torch import Tensor

    from napari_medseg.networks.universeg import UniverSeg

Supports = tuple["Tensor", "Tensor"]  # images (1, S, 3, Y, X), 0 to 1, and masks (1, S, 1, Y, X)


@dataclass(frozen=True, eq=False)
class UniverSegArm:
    """Answers with all examples as supports, at 128 px."""

    name: str
    version: str
    network: UniverSeg
    numbers: tuple[int, ...] = WITH_EXAMPLES

    def look(self, shot: Shot) -> Look:
        """The picture on the canvas."""
        from napari_medseg.learning.universeg import SIDE

        frame = frame_for(shot, SIDE)
        return frame, frame.place(shot.picture)

    def learn(self, shots: Sequence[Shot], looks: Sequence[Look]) -> Supports:
        """Put the supports together; nothing is trained."""
        import torch

        images = torch.stack([tensor_of(canvas) for _, canvas in looks])
        masks = torch.stack([mask_of(shot, frame) for shot, (frame, _) in zip(shots, looks, strict=True)])
        return images[None], masks[None]

    def answer(self, learnt: Supports, shot: Shot, look: Look) -> Region:
        """Cut its probabilities at one half."""
        import torch

        frame, canvas = look
        with torch.inference_mode():
            level = self.network(tensor_of(canvas)[None], *learnt).sigmoid()[0, 0].numpy()
        inside = level[: frame.size[0], : frame.size[1]]
        return np.asarray(taken_back(inside, frame, shot.region.shape) > 0.5)


def load_arm(folder: Path, name: str) -> UniverSegArm | None:
    """The network that was trained in a run's folder, if there is one."""
    from safetensors.torch import load_file

    from napari_medseg.learning.universeg import WEIGHTS
    from napari_medseg.networks.universeg import UniverSeg
    from napari_medseg.networks.weights import sha256_of

    file = folder / WEIGHTS
    if not file.is_file():
        return None
    network = UniverSeg()
    network.load_state_dict(load_file(file))
    return UniverSegArm(name, sha256_of(file)[:12], network.eval())
