"""Learn from a network that has seen photographs: ours foretells its features, its weights stay outside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medseg.core.errors import ReadError

_LARGEST = 50_000_000  # bytes of a teacher's file
_TAPS = (17, 38, 50)  # layers looked at: strides 8, 16 and 32
_WIDTHS = (32, 96, 320)


class Teacher:
    """MobileNetV2 from a file of plain arrays with its list of layers beside it, never trained.

    Parameters
    ----------
    file : Path
        The .npz; a .json of the same name lists the layers with `op`, `name`, `stride`, `groups`, `act`,
        `inp` and `out`. Batch norm is folded, padding is TensorFlow's.

    Raises
    ------
    ReadError
        If a file is missing, too large or no such teacher.

    Source
    ------
    Sandler et al., MobileNetV2, CVPR 2018.
    """

    def __init__(self, file: Path, device: str = "cpu") -> None:
        file = Path(file)
        try:
            if file.stat().st_size > _LARGEST:
                raise ReadError(f"'{file.name}' is too large to be a teacher of the kind known here.")
            about = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
            with np.load(file, allow_pickle=False) as arrays:
                weights = {name: torch.from_numpy(arrays[name]).to(device) for name in arrays.files}
            self.layers = [layer for layer in about["layers"] if layer["op"].endswith(("CONV_2D", "ADD"))]
            self.weights = {
                layer["name"]: (weights[f"{layer['name']}.weight"], weights[f"{layer['name']}.bias"])
                for layer in self.layers
                if "name" in layer
            }
        except (OSError, ValueError, KeyError, TypeError):
            raise ReadError(
                f"'{file}' is no teacher: an .npz of weights and a .json of layers are needed."
            ) from None

    @torch.no_grad()
    def features(self, images: Tensor) -> list[Tensor]:
        """What it sees in (B, 3, Y, X) images, 0 to 1: features at strides 8, 16 and 32."""
        values: dict[int, Tensor] = {self.layers[0]["inp"]: images * 2 - 1}
        found = []
        for layer in self.layers:
            if layer["op"] == "ADD":
                first, second = layer["inp"]
                values[layer["out"][0]] = values[first] + values[second]
            else:
                values[layer["out"]] = _convolve(values[layer["inp"]], layer, *self.weights[layer["name"]])
                if layer["i"] in _TAPS:
                    found.append(values[layer["out"]])
            if len(found) == len(_TAPS):
                return found
        raise ReadError("The teacher has fewer layers than MobileNetV2.")


class Pupil(nn.Module):
    """Foretell a teacher's features from ours; kept while training only."""

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(widths, _WIDTHS, strict=True))

    def loss(self, ours: list[Tensor], theirs: list[Tensor]) -> Tensor:
        """One minus the cosine between each place's features, teacher's channels centred.

        Parameters
        ----------
        ours : list of (B, C, Y, X)
            Three levels, fine to coarse.
        theirs : list of (B, C', Y', X')
            The teacher's at strides 8, 16 and 32.

        Source
        ------
        Romero et al., FitNets, ICLR 2015, with the cosine in place of the squared distance.
        """
        total = torch.zeros((), device=ours[0].device)
        for head, own, other in zip(self.heads, ours, theirs, strict=True):
            told = head(own)
            if told.shape[-1] != other.shape[-1]:
                told = F.interpolate(told, other.shape[-2:], mode="area")
            wanted = other - other.mean((0, 2, 3), keepdim=True)
            total = total + (1 - F.cosine_similarity(told, wanted, dim=1)).mean() / len(theirs)
        return total


def _convolve(x: Tensor, layer: dict[str, object], weight: Tensor, bias: Tensor) -> Tensor:
    """One convolution with TensorFlow's SAME padding, which is one-sided at stride 2."""
    stride, size = int(str(layer["stride"])), weight.shape[-1]
    if size > 1:
        y, x_ = (max((-(-n // stride) - 1) * stride + size - n, 0) for n in x.shape[-2:])
        x = F.pad(x, (x_ // 2, x_ - x_ // 2, y // 2, y - y // 2))
    x = F.conv2d(x, weight, bias, stride=stride, groups=int(str(layer["groups"])))
    return x.clamp(0, 6) if layer["act"] == "relu6" else x
