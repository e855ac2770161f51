"""A linear head on the shared backbone's features, fitted on the examples while you look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.metrics import dice
from napari_medseg.core.model import Model
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.settings import setting
from napari_medseg.core.volume import Volume
from napari_medseg.imaging.edit import remove_specks
from napari_medseg.methods._follow import Answer
from napari_medseg.methods._gathered import Gathered
from napari_medseg.methods._looks import Looks
from napari_medseg.methods._shelf import SHELF_HELP, Shelf, shelf_folder
from napari_medseg.methods._shots import Shot, Shots, View, left_out, showing, useful

if TYPE_CHECKING:
    from torch import Tensor

    from napari_medseg.networks.official import OfficialSam
    from napari_medseg.networks.ridge import Moments
    from napari_medseg.networks.sam import CompactSam

TITLE = "Instant"
WAY = "examples"
NETWORK = "sam"
HELP = "Outlines what looks like your examples: a linear model fitted on them in a moment, without training."
_CUTS = np.linspace(-0.8, 0.8, 17)
_MOST_LEFT_OUT = 6  # examples answered by the others to choose the cut
_STEEP = 4.0  # from the head's -1 to 1 to a probability


@dataclass(frozen=True)
class Settings:
    """How many examples count and how stiff the fit is."""

    most: int = setting(16, "Most examples a slice", low=1, high=64)
    strength: float = setting(1e-2, "Ridge", low=1e-6, high=10.0, help="larger is smoother and more cautious")
    smallest: float = setting(
        0.1, "Smallest part", low=0.0, high=1.0, help="as a share of the largest; what is smaller is dropped"
    )
    memory: int = setting(256, "Memory for prepared slices", low=8, high=65536, unit="MB")
    disk: int = setting(1024, "Disk for prepared slices", low=0, high=1_000_000, unit="MB", help=SHELF_HELP)


@dataclass(frozen=True, eq=False)
class Head:
    """A fitted head with its cut, and the Dice it had on examples it was not fitted on."""

    weights: Tensor
    cut: float
    expected: float
    interval: tuple[float, float]


class ExamplesHead:
    """A ridge head on a backbone's features; examples are looked at once."""

    def __init__(
        self, network: CompactSam | OfficialSam, model: Model, settings: Settings, device: str
    ) -> None:
        self.settings = settings
        shelf = Shelf(shelf_folder(), settings.disk)
        self.looks = Looks(network, model.preparation, settings.memory, device, model.sha256, shelf)
        self.shots = Shots(self.looks)

    @property
    def device(self) -> str:
        """Where the network works now."""
        return self.looks.device

    def prepare(self, volume: Volume, plane: Plane, slices: tuple[int, ...]) -> Job[None]:
        """Encode slices, so that they are answered at once."""
        yield from self.shots.look(volume, plane, slices)

    def describe(self, volume: Volume, plane: Plane, slices: tuple[int, ...]) -> Job[NDArray[np.float32]]:
        """What tells slices apart, (N, F), for choosing which to annotate."""
        return (yield from self.shots.look(volume, plane, slices))

    def segment(self, request: Request) -> Job[Segmentation]:
        """Outline on every slice what looks like the examples.

        Raises
        ------
        TaskError
            If there is no example of what is asked for.
        """
        shots = yield from self.shots.gather(request)
        names = [n for n in request.wanted if any(showing(s, n) for s in shots)]
        gathered, n_all = Gathered(request, names), len(names) * len(request.slices)
        heads: dict[tuple[str, tuple[int, ...]], Head] = {}
        for index in request.slices:
            view = self.shots.view(request.volume, request.plane, index)
            for name in names:
                chosen = useful(shots, name, view, self.settings.most)
                key = (name, tuple(id(shot) for shot in chosen))
                if chosen and key not in heads:
                    heads[key] = self.fit(chosen, name)
                answer = self._answer(heads[key], view) if chosen else _nothing(view)
                gathered.add(name, index, answer)
                yield Progress(
                    min(1.0, 0.2 + 0.8 * gathered.n / n_all), f"{name}: slice {index}", gathered.partial()
                )
        yield Progress(1.0, "Done")
        return gathered.result((*self.shots.told(), *left_out(request, names)))

    def fit(self, shots: Sequence[Shot], name: str) -> Head:
        """Fit on all examples, and choose the cut where each is answered by the others.

        Raises
        ------
        TaskError
            If none is given.
        """
        if not shots:
            raise TaskError(f"There is no example of {name} to go by; annotate a slice first.")
        known = [_moments(shot, name) for shot in shots]
        weights = self._solve(known)
        scores = np.array(
            [
                [dice(level > cut, truth) for cut in _CUTS]
                for i, shot in enumerate(shots)
                if len(shots) > 1 and i < _MOST_LEFT_OUT and showing(shot, name)
                for level, truth in [self._left_out(known, i, shot, name)]
            ]
        )
        if len(scores) == 0:
            return Head(weights, 0.0, 0.5, (0.0, 1.0))
        best = int(scores.mean(0).argmax())
        low, high = np.quantile(scores[:, best], [0.1, 0.9]) if len(scores) > 2 else (0.0, 1.0)
        return Head(weights, float(_CUTS[best]), float(scores[:, best].mean()), (float(low), float(high)))

    def _left_out(
        self, known: list[Moments], i: int, shot: Shot, name: str
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """What a head fitted on the other examples says of one, beside its truth, at a quarter."""
        import torch.nn.functional as F

        from napari_medseg.networks.ridge import apply

        level = apply(self._solve(known[:i] + known[i + 1 :]), _features(shot.view))[0, 0]
        truth = F.avg_pool2d(shot.canvas(name), 4)[0, 0] > 0.5
        level = level.where(shot.view.valid()[0, 0] > 0, -9.0)
        return level.numpy(), truth.numpy()

    def _solve(self, known: Sequence[Moments]) -> Tensor:
        import torch

        from napari_medseg.networks.ridge import Moments, fit

        total = Moments.stack(known).total(torch.ones(1, len(known)))
        return fit(total, self.settings.strength, balance=1.0)

    def _answer(self, head: Head, view: View) -> Answer:
        """Cut what the head says of a slice, and drop specks."""
        from napari_medseg.networks.ridge import apply

        level = apply(head.weights, _features(view))[0, 0].clamp(-3, 3).numpy()
        shape = view.volume.slice(view.plane, view.index).shape[:2]
        back = view.frame.take_back(level, (shape[0], shape[1]), -3.0)
        region = remove_specks(back > head.cut, self.settings.smallest)
        probability = (1 / (1 + np.exp(-_STEEP * (back - head.cut)))).astype(np.float32)
        return Answer(probability, region, head.expected, interval=head.interval)


def _features(view: View) -> Tensor:
    from napari_medseg.networks.ridge import pixel_features

    return pixel_features(view.encoded).cpu()


def _moments(shot: Shot, name: str) -> Moments:
    """The sums a head needs of an example, made once."""
    import torch.nn.functional as F

    from napari_medseg.networks.ridge import moments

    if name not in shot.made:
        inside = F.avg_pool2d(shot.canvas(name), 4)
        shot.made[name] = moments(_features(shot.view), inside, shot.view.valid())
    return shot.made[name]  # type: ignore[no-any-return]


def _nothing(view: View) -> Answer:
    """No answer: there is no example but the slice itself."""
    shape = view.volume.slice(view.plane, view.index).shape[:2]
    return Answer(np.zeros(shape, np.float32), np.zeros(shape, bool), 0.0, interval=(0.0, 1.0))


def build(settings: Settings, model: Model | None, device: str) -> ExamplesHead:
    """Load the backbone a model names.

    Raises
    ------
    TaskError
        If there is no model.
    """
    if model is None:
        raise TaskError("No model is installed; run `medseg models` to see what there is.")
    from napari_medseg.networks.sam import load_sam

    return ExamplesHead(load_sam(model), model, settings, device)
