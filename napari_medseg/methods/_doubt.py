"""How far an answer can be trusted: a model's word, calibrated by what its card knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medseg.core.calibration import Calibration
from napari_medseg.core.errors import WeightsError
from napari_medseg.core.likeness import Likeness
from napari_medseg.imaging.prepare import Frame
from napari_medseg.methods._marks import Pointed

if TYPE_CHECKING:
    from napari_medseg.networks.sam_decoder import Encoded

KINDS = ("box", "click", "clicks", "mask")
EXAMPLES, AUTOMATIC = "examples", "automatic"  # kinds of answers without a prompt


def kind_of(what: Pointed) -> str:
    """The kind of question, since a model's word is worth more for a box than for one click."""
    if what.is_one_click:
        return "click"
    if len(what.points):
        return "clicks"
    return "mask" if what.previous is not None else "box"


@dataclass(frozen=True)
class Doubt:
    """What a model's card knows of its errors and of the images it learnt from."""

    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    home: Likeness | None = None

    def expect(self, kind: str, said: float) -> tuple[float, float, float]:
        """Expected Dice with the interval eight answers in ten fall into; 0 to 1 where nothing is known."""
        known = self.calibrations.get(kind)
        return (said, 0.0, 1.0) if known is None else known.read(said)

    def strangeness(self, encoded: Encoded, frame: Frame) -> float:
        """How unlike the images it learnt from a whole slice is to a model; above 1 it counts as foreign."""
        if self.home is None:
            return 0.0
        from napari_medseg.networks.features import image_features

        features = image_features(encoded, frame.size, frame.long_side)
        return self.home.distance(features.double().cpu().numpy()) / self.home.limit


def read_doubt(card: Mapping[str, Any], name: str) -> Doubt:
    """Read what a card knows; an old card knows nothing.

    Raises
    ------
    WeightsError
        If what it holds cannot be read.
    """
    try:
        calibrations = {}
        for kind, values in card.get("calibration", {}).items():
            said, mean, low, high = (
                tuple(map(float, values[part])) for part in ("said", "mean", "low", "high")
            )
            calibrations[str(kind)] = Calibration(said, mean, low, high, int(values["n"]))
        if "likeness" not in card:
            return Doubt(calibrations)
        axes, homes = (np.array(card["likeness"][part], np.float64) for part in ("axes", "homes"))
        if axes.ndim != 2 or homes.ndim != 2 or homes.shape[1] != len(axes):
            raise ValueError
        return Doubt(calibrations, Likeness(axes, homes, float(card["likeness"]["limit"])))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise WeightsError(
            f"What the card of the model '{name}' says of its errors is damaged; install the model again."
        ) from None
