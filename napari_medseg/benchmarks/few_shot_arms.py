"""Ways from a few annotated slices to the next one: the methods of the menu, and the classical floors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_medseg.benchmarks.shots import NUMBERS, Shot
from napari_medseg.core.mask import Region
from napari_medseg.core.metrics import dice
from napari_medseg.core.model import Preparation
from napari_medseg.core.progress import finish
from napari_medseg.core.request import Request
from napari_medseg.imaging.prepare import Frame, frame_of

if TYPE_CHECKING:
    from napari_medseg.methods import Method

WITH_EXAMPLES = tuple(n for n in NUMBERS if n)
_FOREST_SIDE, _MEAN_SIDE, _ALIKE_SIDE = 256, 128, 32
_N_PIXELS, _N_TREES, _A_TREE = 6000, 30, 0.3  # each tree sees a part of the pixels
_CUTS = np.linspace(0.05, 0.95, 19)
Floats = NDArray[np.float32]


class Arm(Protocol):
    """One way that is measured. What `look` makes of a slice is made once and handed to the other two.

    Where it works without weights its `version` is "": rows of other versions do not count.
    """

    @property
    def name(self) -> str:
        """What tables call it."""

    @property
    def version(self) -> str:
        """The weights it works with."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """With how many examples it is asked."""

    def look(self, shot: Shot) -> Any:
        """Do what can be done for a slice without knowing any outline."""

    def learn(self, shots: Sequence[Shot], looks: Sequence[Any]) -> Any:
        """Learn from examples."""

    def answer(self, learnt: Any, shot: Shot, look: Any) -> Region:
        """Outline a slice (rows, columns) without seeing its `region`."""


@dataclass(frozen=True, eq=False)
class MethodArm:
    """A method of the menu, asked as the panel asks it; it keeps to itself what it made of the examples."""

    name: str
    method: Method
    version: str
    numbers: tuple[int, ...] = WITH_EXAMPLES

    def look(self, shot: Shot) -> None:
        """Let the method prepare the slice."""
        finish(self.method.prepare(shot.volume, shot.plane, (shot.index,)))

    def learn(self, shots: Sequence[Shot], looks: Sequence[Any]) -> Any:
        """Put the examples into the form of a request."""
        return tuple(shot.example for shot in shots)

    def answer(self, learnt: Any, shot: Shot, look: Any) -> Region:
        """Ask for the slice with the examples."""
        from napari_medseg import workflow

        request = Request(shot.volume, shot.plane, (shot.index,), shot.task, examples=learnt)
        found = finish(workflow.segment(self.method, request))
        axis = shot.volume.geometry.axis_of(shot.plane)
        return found.mask.on_slice(shot.structure, shot.plane, shot.index - found.start[axis])


@dataclass(frozen=True)
class ForestArm:
    """A random forest on Gaussian features of the pixels, at up to 256 px.

    Source
    ------
    Features as in scikit-image's `multiscale_basic_features` (values, edges and textures at five scales),
    as in ilastik: Berg et al., Nature Methods 2019. As many pixels inside as outside are drawn and the cut
    is one half: on the validation split cuts chosen from pixels that a tree did not see, or on examples left
    out, were no better.
    """

    name: str = "random forest"
    version: str = ""
    numbers: tuple[int, ...] = WITH_EXAMPLES

    def look(self, shot: Shot) -> tuple[Frame, Floats]:
        """Features (rows, columns, F) of the picture."""
        from skimage.feature import multiscale_basic_features

        frame = frame_for(shot, _FOREST_SIDE)
        part = frame.place(shot.picture)[: frame.size[0], : frame.size[1]].astype(np.float32) / 255
        grey = bool((part == part[..., :1]).all())
        pixels, axis = (part[..., 0], None) if grey else (part, -1)
        return frame, multiscale_basic_features(pixels, sigma_min=1, sigma_max=16, channel_axis=axis)

    def learn(self, shots: Sequence[Shot], looks: Sequence[tuple[Frame, Floats]]) -> Any:
        """Fit on as many pixels inside as outside."""
        from sklearn.ensemble import RandomForestClassifier

        random = np.random.default_rng(0)
        n_wide = max(features.shape[-1] for _, features in looks)
        drawn = [
            _pixels(placed(shot.region, frame), _wide(features, n_wide), _N_PIXELS // len(shots), random)
            for shot, (frame, features) in zip(shots, looks, strict=True)
        ]
        values, inside = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
        forest = RandomForestClassifier(
            _N_TREES, min_samples_leaf=4, max_samples=_A_TREE, n_jobs=1, random_state=0
        )
        return forest.fit(values, inside)

    def answer(self, learnt: Any, shot: Shot, look: tuple[Frame, Floats]) -> Region:
        """Cut the forest's probabilities at one half."""
        frame, features = look
        flat = _wide(features, learnt.n_features_in_).reshape(-1, learnt.n_features_in_)
        level = learnt.predict_proba(flat)[:, 1].astype(np.float32).reshape(features.shape[:2])
        return np.asarray(taken_back(level, frame, shot.region.shape) > 0.5)


@dataclass(frozen=True)
class NearestArm:
    """The outline of the example whose picture is most alike, scaled to the slice."""

    name: str = "nearest copy"
    version: str = ""
    numbers: tuple[int, ...] = WITH_EXAMPLES

    def look(self, shot: Shot) -> Floats:
        """The picture in 32 x 32 grey values of mean 0 and length 1."""
        grey = Image.fromarray(shot.picture).convert("L")
        small = np.asarray(
            grey.resize((_ALIKE_SIDE, _ALIKE_SIDE), Image.Resampling.BILINEAR), np.float32
        ).ravel()
        centred = small - small.mean()
        return np.asarray(centred / max(float(np.linalg.norm(centred)), 1e-6))

    def learn(self, shots: Sequence[Shot], looks: Sequence[Floats]) -> Any:
        """Keep all."""
        return list(zip(shots, looks, strict=True))

    def answer(self, learnt: Any, shot: Shot, look: Floats) -> Region:
        """Copy the outline of the one with the highest correlation."""
        best = max(learnt, key=lambda known: float(known[1] @ look))[0]
        return stretched(best.region.astype(np.float32), shot.region.shape) > 0.5


@dataclass(frozen=True)
class MeanArm:
    """The mean of the examples' outlines, cut where each example is best told by the others."""

    name: str = "mean mask"
    version: str = ""
    numbers: tuple[int, ...] = WITH_EXAMPLES

    def look(self, shot: Shot) -> None:
        """It looks at nothing."""

    def learn(self, shots: Sequence[Shot], looks: Sequence[Any]) -> tuple[Floats, float]:
        """The mean on 128 x 128 and its cut."""
        side = (_MEAN_SIDE, _MEAN_SIDE)
        masks = np.stack([stretched(shot.region.astype(np.float32), side) for shot in shots])
        mean = masks.mean(0)
        if len(shots) == 1:
            return mean, 0.5
        others = [(mean * len(shots) - mask) / (len(shots) - 1) for mask in masks]
        pairs = list(zip(others, masks, strict=True))
        scores = [np.mean([dice(other >= cut, mask > 0.5) for other, mask in pairs]) for cut in _CUTS]
        return mean, float(_CUTS[int(np.argmax(scores))])

    def answer(self, learnt: Any, shot: Shot, look: Any) -> Region:
        """The same for every slice."""
        mean, cut = learnt
        return np.asarray(stretched(mean, shot.region.shape) >= cut)


def floors() -> tuple[Arm, ...]:
    """The floors that need no weights, quick ones first."""
    return MeanArm(), NearestArm(), ForestArm()


def frame_for(shot: Shot, side: int) -> Frame:
    """The frame of a slice on a square canvas, pixels made square."""
    pixel = shot.volume.geometry.spacing[1:]
    rows, columns = shot.region.shape
    return frame_of((rows, columns), Preparation(long_side=side), (pixel[0], pixel[1]))


def placed(region: Region, frame: Frame) -> Region:
    """An outline on the part of the canvas that the slice takes."""
    canvas = frame.place(region.astype(np.uint8) * 255)
    return np.asarray(canvas[: frame.size[0], : frame.size[1]] >= np.clip(canvas.max(), 1, 128))


def taken_back(level: Floats, frame: Frame, shape: tuple[int, ...]) -> Floats:
    """Values on the used part of a canvas, back on the slice."""
    canvas = np.zeros((frame.long_side, frame.long_side), np.float32)
    canvas[: level.shape[0], : level.shape[1]] = level
    return frame.take_back(canvas, (shape[0], shape[1]), 0.0)


def stretched(values: Floats, shape: tuple[int, ...]) -> Floats:
    """Values (rows, columns) scaled to another shape, edge to edge."""
    scaled = Image.fromarray(values).resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(scaled, np.float32)


def _wide(features: Floats, n: int) -> Floats:
    """So many features a pixel: a grey picture among coloured ones counts as three equal channels."""
    repeats = -(-n // features.shape[-1])
    return np.tile(features, repeats)[..., :n] if features.shape[-1] != n else features


def _pixels(
    inside: Region, features: Floats, most: int, random: np.random.Generator
) -> tuple[Floats, Region]:
    """As many pixels inside as outside: their features (P, F), and which are inside."""
    flat = inside.ravel()
    chosen = [
        random.choice(among, min(most // 2, len(among)), replace=False)
        for among in (np.flatnonzero(flat), np.flatnonzero(~flat))
    ]
    where = np.concatenate(chosen)
    return features.reshape(-1, features.shape[-1])[where], flat[where]
