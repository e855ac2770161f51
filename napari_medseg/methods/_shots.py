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
from napari_medseg.core.mask import Mask, Region
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.request import Example, Request
from napari_medseg.core.volume import Volume
from napari_medseg.imaging.prepare import Frame
from napari_medseg.methods._looks import Looks

if TYPE_CHECKING:
    from torch import Tensor

    from napari_medseg.networks.sam_decoder import Encoded

_MOST_KEPT = 400  # slices, about 0.4 MB each
Spot = tuple[int, Plane, int]  # volume, plane, slice


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
    mask: Mask
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
        self._views: OrderedDict[Spot, View] = OrderedDict()
        self._shots: OrderedDict[tuple[Spot, int], Shot] = OrderedDict()

    def view(self, volume: Volume, plane: Plane, index: int) -> View:
        """Look at a whole slice, or remember it."""
        from napari_medseg.networks.features import image_features

        spot = (id(volume), plane, index)
        if spot not in self._views:
            frame = self.looks.frame(volume, plane)
            encoded = self.looks.at(volume, plane, index, frame)
            features = image_features(encoded, frame.size, frame.long_side).cpu().numpy()
            self._views[spot] = View(volume, plane, index, frame, encoded, _unit(features))
        self._views.move_to_end(spot)
        while len(self._views) > _MOST_KEPT:
            self._views.popitem(last=False)
        return self._views[spot]

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
        found = []
        for number, (example, index) in enumerate(spots[-_MOST_KEPT // 2 :]):
            yield Progress(0.2 * number / len(spots), f"Looking at example {number + 1} of {len(spots)}")
            found.append(self._shot(example, plane, index, request.wanted))
        if not any(showing(shot, name) for shot in found for name in request.wanted):
            wanted = ", ".join(request.wanted)
            raise TaskError(f"No example shows {wanted}; annotate a slice that does, or add other examples.")
        return found

    def _shot(self, example: Example, plane: Plane, index: int, names: Sequence[str]) -> Shot:
        """One annotated slice, the same object while volume and mask stay the same."""
        key = ((id(example.volume), plane, index), id(example.mask))
        known = self._shots.get(key)
        if known is None or not set(names) & set(example.mask.names) <= set(known.regions):
            view = self.view(example.volume, plane, index)
            shown = {n: example.mask.on_slice(n, plane, index) for n in names if n in example.mask.names}
            known = self._shots[key] = Shot(view, example.mask, shown)
        self._shots.move_to_end(key)
        while len(self._shots) > _MOST_KEPT:
            self._shots.popitem(last=False)
        return known


def showing(shot: Shot, name: str) -> bool:
    """Whether a structure is outlined on an example."""
    return name in shot.regions and bool(shot.regions[name].any())


def useful(shots: Sequence[Shot], name: str, view: View, most: int) -> list[Shot]:
    """Choose the examples that help most with a slice: near ones of its volume, then the most alike.

    Slices without the structure come on top, a quarter as many at most. The slice itself is left out.
    """
    others = [s for s in shots if name in s.regions and not _same(s.view, view)]
    ordered = sorted(others, key=lambda shot: _distance(shot.view, view))
    there = [shot for shot in ordered if showing(shot, name)]
    own = [shot for shot in there if shot.view.volume is view.volume][: max(1, most // 2)]
    rest = [shot for shot in there if shot not in own]
    without = [shot for shot in ordered if not showing(shot, name)]
    chosen = (own + rest)[:most]
    return chosen + without[: len(chosen) // 4]


def _same(one: View, other: View) -> bool:
    return one.volume is other.volume and one.plane == other.plane and one.index == other.index


def _distance(one: View, other: View) -> float:
    """Slices apart in one volume, which come first; else how unlike two pictures are, at least 1e3."""
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
