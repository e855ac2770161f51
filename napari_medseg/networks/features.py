"""An image in a few numbers: means and spreads of the features an encoder sees in it."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_medseg.networks.sam_decoder import Encoded


def image_features(encoded: Encoded, used: tuple[int, int], canvas: int) -> Tensor:
    """Means and standard deviations over one image of its embedding and of its fine features.

    Parameters
    ----------
    encoded : Encoded
        Of one image (B = 1).
    used : (rows, columns)
        Size of the picture on the canvas, in pixels; the padding does not count.
    canvas : int
        Side of the canvas, in pixels.

    Returns
    -------
    (F,)
    """
    found = []
    for part in (encoded.embedding, *encoded.stem[-1:]):
        share = part.shape[-1] / canvas
        rows, columns = (max(1, round(n * share)) for n in used)
        inside = part[0, :, :rows, :columns].float().flatten(1)
        found += [inside.mean(1), inside.std(1, correction=0)]
    return torch.cat(found)


def level_statistics(encoded: Encoded) -> dict[str, list[list[float]]]:
    """Mean and standard deviation of every channel of every level, as a card stores them.

    Returns
    -------
    Name of the level to [means, standard deviations], each as long as the level has channels.
    """
    levels = {f"block {i}": level.permute(0, 3, 1, 2) for i, level in enumerate(encoded.levels)}
    levels |= {f"stem {i}": fine for i, fine in enumerate(encoded.stem)}
    levels["embedding"] = encoded.embedding
    found = {}
    for name, level in levels.items():
        flat = level.float().transpose(0, 1).flatten(1)
        found[name] = [
            [round(float(v), 4) for v in part] for part in (flat.mean(1), flat.std(1, correction=0))
        ]
    return found
