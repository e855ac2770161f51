"""What is known of a trained model without loading its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_medseg.core.volume import Window


@dataclass(frozen=True)
class Preparation:
    """How a slice becomes a network's input; one record for training and for use.

    Parameters
    ----------
    long_side : int
        The longer side is scaled to this many pixels and the shorter one padded.
    square_pixels : bool
        Whether pixels of unequal size are first made square.
    windows : Mapping
        Modality to (centre, width) of the grey values kept, such as CT; others use percentiles.
    percentiles : (low, high)
        Grey values mapped to 0 and 1 where no window is known.
    mean, std : float triples
        Subtracted and divided by, after scaling to 0 to 1.
    """

    long_side: int = 256
    square_pixels: bool = True
    windows: Mapping[str, tuple[float, float]] = field(default_factory=lambda: {"CT": (40.0, 400.0)})
    percentiles: tuple[float, float] = (0.5, 99.5)
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def window(self, modality: str) -> Window | None:
        """The fixed window for a modality, in DICOM's or a data set's words, if there is one.

        What stands in brackets does not count: in "MR (registered to CT)" the image is an MR.
        """
        words = modality.upper().split("(")[0].split()
        for name, (centre, width) in self.windows.items():
            if name.upper() in words:
                return Window(centre, width, name)
        return None


@dataclass(frozen=True)
class Model:
    """A released or trained model: `model.json` as a value.

    Parameters
    ----------
    name : str
        Folder name, unique: a better model is a new name.
    network : str
        Which file of `networks/` it is built from.
    numbers : Mapping
        Arguments of the network's builder.
    structures : tuple of str
        Ordered names; empty for a promptable model that outlines anything.
    sha256 : str
        Of the weights file.
    folder : Path
        Where it lies.
    origin : str
        "shipped", "cache" or "session".
    backbone_sha256 : str
        Of the model whose encoder it works on; "" where it has its own.
    backbone : Model or None
        That model, once it was looked up.
    card : Mapping
        Training sets with their terms, settings, seed, test results, feature statistics.
    """

    name: str
    network: str
    numbers: Mapping[str, Any]
    structures: tuple[str, ...]
    preparation: Preparation
    sha256: str
    folder: Path
    origin: str = "shipped"
    backbone_sha256: str = ""
    backbone: Model | None = None
    card: Mapping[str, Any] = field(default_factory=dict)
