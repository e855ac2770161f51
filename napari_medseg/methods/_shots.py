"""Annotated slices as a backbone sees them: looked at once, the most useful ones chosen for each slice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Region
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.request import Example, Request
from napari_medseg.core.volume import Volume
from napari_medseg.imaging.prepare import Frame
from napari_medseg.methods._looks import Looks

if TYPE_CHECKING:
    from torch import Tensor

    from napari_medseg.networks.sam_decoder import Encoded

_MOST_KEPT = 400  # examples, about a megabyte each
_MOST_LOOKED_AT = 200  # annotated slices of one request


@dataclass(frozen=True, eq=False)
class View:
    """A whole slice as the backbone sees it, and its place among others."""

    volume: Volume
    plane: Plane
    index: int
    frame: Frame
    encoded: Encoded
    described: NDArray[np.float32]

    def valid(self) -> Tensor:
        """Where the picture lies on the canvas, (1, 1, Y/4, X/4), 0 or 1."""
        import torch

        side = self.frame.long_side // 4
        valid = torch.zeros(1, 1, side, side)
        rows, columns = (max(1, round(n / 4)) for n in self.frame.size)
        valid[:, :, :rows, :columns] = 1
        return valid


@dataclass(frozen=True, eq=False)
class Shot:
    """An annotated slice; a structure that is not on it teaches as well.

    Parameters
    ----------
    regions : Mapping
        Structure name to its outline (rows, columns).
    made : dict
        What a method made of it, to be used again.
    """

    view: View
    regions: Mapping[str, Region]
    made: dict[Any, Any] = field(default_factory=dict)

    def canvas(self, name: str) -> Tensor:
        """A structure on the canvas, (1, 1, S, S), 0 to 1."""
        import torch

        placed = self.view.frame.place(self.regions[name].astype(np.uint8) * 255)
        return torch.from_numpy(placed.astype(np.float32) / 255)[None, None]


class Shots:
    """The examples of requests, each looked at once while it is used."""

    def __init__(self, looks: Looks) -> None:
        self.looks = looks
        self._notes: list[str] = []
        self._shots: OrderedDict[tuple[int, Plane, int, tuple[str, ...]], Shot] = OrderedDict()

    def view(self, volume: Volume, plane: Plane, index: int) -> View:
        """Look at a whole slice; what was looked at before is remembered by `looks`."""
        from napari_medseg.networks.features import image_features

        frame = self.looks.frame(volume, plane)
        encoded = self.looks.at(volume, plane, index, frame)
        features = image_features(encoded, frame.size, frame.long_side).cpu().numpy()
        return View(volume, plane, index, frame, encoded, _unit(features))

    def look(self, volume: Volume, plane: Plane, slices: tuple[int, ...]) -> Job[NDArray[np.float32]]:
        """Look at whole slices; returns what tells them apart, (N, F)."""
        found = []
        for number, index in enumerate(slices):
            yield Progress(number / len(slices), f"Looking at slice {index}")
            found.append(self.view(volume, plane, index).described)
        yield Progress(1.0, "Ready")
        return np.stack(found)

    def gather(self, request: Request) -> Job[list[Shot]]:
        """Look at every annotated slice of the examples, the volume's own first.

        Raises
        ------
        TaskError
            If there is no annotated slice in the plane asked for, or none shows any structure asked for.
        """
        plane = request.plane
        spots = [(example, index) for example in request.examples for index in _slices(example, plane)]
        if not spots:
            raise TaskError(
                f"There is no annotated {plane} slice to go by; annotate one first, or add examples."
            )
        if len(spots) > _MOST_LOOKED_AT:
            self._notes.append(f"Of {len(spots)} examples the last {_MOST_LOOKED_AT} were looked at.")
            spots = spots[-_MOST_LOOKED_AT:]
        found = []
        for number, (example, index) in enumerate(spots):
            yield Progress(0.2 * number / len(spots), f"Looking at example {number + 1} of {len(spots)}")
            found.append(self._shot(example, plane, index, request.wanted))
        if not any(showing(shot, name) for shot in found for name in request.wanted):
            wanted = ", ".join(request.wanted)
            raise TaskError(f"No example shows {wanted}; annotate a slice that does, or add other examples.")
        return found

    def told(self) -> list[str]:
        """Sentences for the person since the last time they were asked for."""
        notes, self._notes = self._notes, []
        return [*self.looks.told(), *notes]

    def _shot(self, example: Example, plane: Plane, index: int, names: Sequence[str]) -> Shot:
        """One annotated slice, the same object while its outlines stay the same."""
        shown = {n: example.mask.on_slice(n, plane, index) for n in names if n in example.mask.names}
        key = (id(example.volume), plane, index, tuple(shown))
        known = self._shots.get(key)
        if known is None or any((known.regions[n] != region).any() for n, region in shown.items()):
            known = self._shots[key] = Shot(self.view(example.volume, plane, index), shown)
        self._shots.move_to_end(key)
        while len(self._shots) > _MOST_KEPT:
            self._shots.popitem(last=False)
        return known


def left_out(request: Request, names: Sequence[str]) -> list[str]:
    """The sentence about structures that no example shows, if there are any besides `names`."""
    left = [name for name in request.wanted if name not in names]
    return [f"No example shows {', '.join(left)}; it was left out."] if left else []


def showing(shot: Shot, name: str) -> bool:
    """Whether a structure is outlined on an example."""
    return name in shot.regions and bool(shot.regions[name].any())


def useful(shots: Sequence[Shot], name: str, view: View, most: int) -> list[Shot]:
    """Choose the examples that help most with a slice: near ones of its volume, then the most alike.

    Slices without the structure come on top, two or a quarter as many at most. The slice itself is left out.
    """
    others = [s for s in shots if name in s.regions and not _same(s.view, view)]
    ordered = sorted(others, key=lambda shot: _distance(shot.view, view))
    there = [shot for shot in ordered if showing(shot, name)]
    without = [shot for shot in ordered if not showing(shot, name)]
    return there[:most] + without[: max(2, len(there[:most]) // 4)]


def _same(one: View, other: View) -> bool:
    return one.volume is other.volume and one.plane == other.plane and one.index == other.index


def _distance(one: View, other: View) -> float:
    """Slices apart in one volume, which come first; else how unlike two pictures are, beyond 1e6."""
    if one.volume is other.volume and one.plane == other.plane:
        return float(abs(one.index - other.index))
    return 1e6 + float(np.linalg.norm(one.described - other.described))


def _slices(example: Example, plane: Plane) -> list[int]:
    """The annotated slices of an example in a plane; those of a picture are in every plane."""
    if example.volume.geometry.shape[0] == 1 and example.mask.reviewed:
        return [0] if plane == example.volume.geometry.native_plane else []
    return sorted(example.mask.reviewed.get(plane, ()))


def _unit(features: NDArray[np.float32]) -> NDArray[np.float32]:
    return features / np.float32(max(float(np.linalg.norm(features)), 1e-6))
