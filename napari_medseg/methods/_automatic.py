"""Networks that need no prompt: slices are outlined in batches, absent structures not at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.model import Preparation
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.settings import setting
from napari_medseg.core.volume import Volume
from napari_medseg.imaging.edit import remove_islands
from napari_medseg.imaging.prepare import frame_of, grey_limits, normalise, picture
from napari_medseg.methods._doubt import AUTOMATIC, Doubt
from napari_medseg.methods._follow import Answer
from napari_medseg.methods._full import SAID, give_way
from napari_medseg.methods._gathered import Gathered, absent

if TYPE_CHECKING:
    from torch import Tensor

_NO_LOGIT = -20.0
_AT_ONCE, _ON_A_CARD = 4, 16  # slices that a processor, and a graphics card, outlines together
_LARGEST = 2**27  # voxels times structures for which the mean of three planes fits into memory
_PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")

# Images (B, 3, S, S) -> logits (B, K, S, S), expected overlap (B, K) and presence (B, K), each 0 to 1.
Outline = Callable[["Tensor"], tuple["Tensor", "Tensor", "Tensor"]]


@dataclass(frozen=True)
class AutomaticSettings:
    """What is kept of the network's answer."""

    cut: float = setting(0.5, "Probability cut", low=0.05, high=0.95)
    present: float = setting(
        0.0, "Presence cut", low=0.0, high=1.0, help="what is less likely there is not drawn; 0: the model's"
    )
    smallest: float = setting(
        2.0, "Smallest part", low=0.0, high=1000.0, unit="mm", help="diameter; in pixels without a spacing"
    )
    planes: bool = setting(
        False, "All three planes", help="the mean of three views of a whole volume; three times slower"
    )


@dataclass(frozen=True, eq=False)
class Drawn:
    """The answer for one slice: probabilities (K, rows, columns), expected Dice (K,) and presence (K,)."""

    probability: NDArray[np.float32]
    quality: NDArray[np.float32]
    presence: NDArray[np.float32]

    @property
    def likely(self) -> NDArray[np.float32]:
        """Probabilities weighed by presence."""
        return self.probability * self.presence[:, None, None]


class Automatic:
    """Runs a network over slices, on a graphics card while its memory suffices.

    Parameters
    ----------
    networks : sequence of torch modules
        Moved to the device, and to the processor when a card is full.
    present : float
        Presence from which on a structure is drawn, unless the settings say another.
    """

    def __init__(
        self,
        networks: Sequence[Any],
        preparation: Preparation,
        device: str,
        settings: AutomaticSettings,
        doubt: Doubt | None = None,
        present: float = 0.5,
    ) -> None:
        self.networks, self.preparation, self.settings = networks, preparation, settings
        self.doubt, self.present = doubt or Doubt(), settings.present or present
        self.device, self.at_once = device, _ON_A_CARD if device.startswith("cuda") else _AT_ONCE
        self.chances: dict[str, list[float]] = {}  # presence on the slices asked for last, in order
        self._limits: tuple[Volume, tuple[float, float]] | None = None
        self._notes: list[str] = []
        for network in networks:
            network.to(device)

    def answer(self, request: Request, known: Sequence[str], outline: Outline) -> Job[Segmentation]:
        """Outline the structures wanted, of those a network knows in its order."""
        names = [name for name in request.wanted if name in known]
        which = [list(known).index(name) for name in names]
        gathered, self.chances = Gathered(request, names), {name: [] for name in names}
        planes = self._planes(request, len(names))
        done, n_steps = 0, len(request.slices) + sum(request.volume.n_slices(plane) for plane in planes)
        other = np.zeros((len(names), *request.volume.geometry.shape) if planes else 0, np.float32)
        for drawn, axis, index in self._across(request.volume, planes, outline):
            np.moveaxis(other, axis + 1, 1)[:, index] += drawn.likely[which]
            done += 1
            yield Progress(done / n_steps, f"Other planes: {done}")
        for drawn, index in self._slices(request.volume, request.plane, request.slices, outline):
            for k, name in zip(which, names, strict=True):
                probability, sure = drawn.probability[k], float(drawn.presence[k])
                self.chances[name].append(sure)
                if other.size:
                    seen = np.moveaxis(other[names.index(name)], request.axis, 0)[index]
                    probability, sure = (drawn.likely[k] + seen) / 3, 1.0
                is_there = sure >= self.present
                region = (probability >= self.settings.cut) & is_there
                shown = probability if is_there else np.minimum(probability, sure)
                gathered.add(name, index, self._judged(shown, region, float(drawn.quality[k]), sure))
            done += 1
            yield Progress(done / n_steps, f"Slice {index}", gathered.partial())
        gathered.mask = self._without_specks(gathered)
        yield Progress(1.0, "Done")
        notes, self._notes = self._notes, []
        likely = {name: max(chances) for name, chances in self.chances.items()}
        return gathered.result((*notes, *absent(gathered, likely)))

    def _judged(
        self, probability: NDArray[np.float32], region: NDArray[np.bool_], said: float, sure: float
    ) -> Answer:
        """An answer with the Dice to expect of it; of an empty one the chance that it is right."""
        if sure < self.present:
            return Answer(probability, region, 1 - sure)
        if not self.doubt.calibrations:
            return Answer(probability, region, said)
        expected, low, high = self.doubt.expect(AUTOMATIC, said)
        return Answer(probability, region, expected, interval=(low, high))

    def _slices(
        self, volume: Volume, plane: Plane, slices: Sequence[int], outline: Outline
    ) -> Iterator[tuple[Drawn, int]]:
        """The answers for slices, in batches."""
        if self._limits is None or self._limits[0] is not volume:
            self._limits = volume, grey_limits(volume, self.preparation)
        done, limits = 0, self._limits[1]
        while done < len(slices):
            part = slices[done : done + self.at_once]
            pictures = [picture(volume, plane, index, limits) for index in part]
            if (found := self._run(volume, plane, pictures, outline)) is None:
                continue  # a card was full; again, with fewer slices or with the processor
            yield from zip(found, part, strict=True)
            done += len(part)

    def _run(
        self, volume: Volume, plane: Plane, pictures: Sequence[NDArray[np.uint8]], outline: Outline
    ) -> list[Drawn] | None:
        """One batch through the network and back onto the slices; None where a card's memory was full."""
        import torch

        axis = volume.geometry.axis_of(plane)
        height, width = (s for a, s in enumerate(volume.geometry.spacing) if a != axis)
        shape = (pictures[0].shape[0], pictures[0].shape[1])
        frame = frame_of(shape, self.preparation, (height, width))
        canvases = np.stack([normalise(frame.place(one), self.preparation) for one in pictures])
        try:
            with torch.inference_mode():
                images = torch.from_numpy(canvases).to(self.device)
                logits, quality, presence = (part.float().cpu().numpy() for part in outline(images))
        except torch.OutOfMemoryError:
            self._fall_back()
            return None
        found = []
        for i, maps in enumerate(logits):
            back = np.stack([frame.take_back(level, shape, _NO_LOGIT) for level in maps])
            probability = (1 / (1 + np.exp(-np.clip(back, -30, 30)))).astype(np.float32)
            found.append(Drawn(probability, 2 * quality[i] / (1 + quality[i]), presence[i]))
        return found

    def _across(
        self, volume: Volume, planes: Sequence[Plane], outline: Outline
    ) -> Iterator[tuple[Drawn, int, int]]:
        """The answers for all slices of some planes, with the axis they are counted along."""
        for plane in planes:
            for drawn, index in self._slices(volume, plane, range(volume.n_slices(plane)), outline):
                yield drawn, volume.geometry.axis_of(plane), index

    def _planes(self, request: Request, n_names: int) -> list[Plane]:
        """The planes to look along besides the one asked for; says so where they are wanted and cannot be."""
        if not self.settings.planes:
            return []
        geometry = request.volume.geometry
        why = ""
        if len(request.slices) < geometry.n_slices(request.plane) or min(geometry.shape) == 1:
            why = "it needs the whole volume"
        elif geometry.is_anisotropic or not (geometry.supports_3d and geometry.spacing_known):
            why = "the slices are too far apart, or their distance is unknown"
        elif np.prod(geometry.shape) * n_names > _LARGEST:
            why = "the volume is too large for it"
        if why:
            self._notes.append(f"Only one plane was looked at: for three, {why}.")
        return [] if why else [plane for plane in _PLANES if plane != request.plane]

    def _without_specks(self, gathered: Gathered) -> Any:
        """The mask without parts smaller than the settings say, in mm where the spacing is known."""
        mask, request, d = gathered.mask, gathered.request, self.settings.smallest
        spacing = request.part.spacing if request.part.spacing_known else (1.0, 1.0, 1.0)
        flat = tuple(s for axis, s in enumerate(spacing) if axis != request.axis)
        for name in mask.names:
            if len(request.slices) > 1:
                mask = mask.put(name, remove_islands(mask.of(name), math.pi / 6 * d**3, spacing))
                continue
            region = remove_islands(mask.of(name).squeeze(request.axis), math.pi / 4 * d**2, flat)
            mask = mask.put(name, np.expand_dims(region, request.axis))
        return mask

    def _fall_back(self) -> None:
        """Go on with one slice at a time, then with the processor, and say so."""
        self.at_once, device = give_way(self.at_once, self.device)
        if device != self.device:
            self._notes.append(SAID)
            self.device = device
            for network in self.networks:
                network.to(device)


def known_task(request: Request, tasks: Mapping[str, Sequence[str]], model: str) -> str:
    """Which of a model's tasks is meant: by its name, else by its structures, else by those wanted.

    Raises
    ------
    TaskError
        If it knows no such task, or several.
    """
    task = request.task
    if task.slug in tasks and (set(request.wanted) & set(tasks[task.slug]) or not task.structures):
        return task.slug
    same = [slug for slug, names in tasks.items() if task.fits(tuple(names))]
    holding = same or [slug for slug, names in tasks.items() if set(request.wanted) <= set(names)]
    if len(holding) == 1:
        return holding[0]
    wanted = ", ".join(request.wanted) or "nothing"
    if holding:
        raise TaskError(f"'{model}' knows {wanted} from several tasks ({', '.join(holding)}); choose one.")
    raise TaskError(
        f"'{model}' was not trained for {wanted}; choose one of its tasks ({', '.join(tasks)}), "
        "or outline a few slices and train it."
    )
