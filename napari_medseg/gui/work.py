"""The case on screen as plain values: what is accepted, what is proposed and what a person asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_medseg import workflow
from napari_medseg.core.correction import Correction
from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Mask, Region, Where, slab
from napari_medseg.core.prompts import Prompt, slice_of
from napari_medseg.core.structure import UNTITLED, Structure
from napari_medseg.core.task import Task
from napari_medseg.core.volume import Volume

Spot = tuple[str, Plane, int]  # structure, plane, slice
SliceState = Literal["none", "blind", "proposed", "edited", "accepted", "doubtful"]
DOUBTFUL = 0.75  # a slice whose expected Dice is below this is worth a look,
AT_WORST = 0.5  # and one whose Dice may well be below this


@dataclass(frozen=True)
class Pending:
    """What is known of one structure on one slice that nobody accepted yet.

    `quality` is the expected Dice and `interval` where eight answers in ten of this quality lie, None where
    nobody says; `doubt` (rows, columns) says of each pixel how unsure the method is, 0 to 255, the same for
    all structures of a slice, and `n_wrong` how many of them it expects to be wrong; `reading` is which of a
    prompt's readings it is. `voxels` are those of the proposal, `replaced` those accepted there before.
    """

    edited: bool = False
    quality: float | None = None
    interval: tuple[float, float] | None = None
    reading: int = 0
    method: str = ""
    model: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    n_prompts: int = 0
    voxels: int = 0
    replaced: int = 0
    n_wrong: float | None = None
    doubt: NDArray[np.uint8] | None = field(default=None, compare=False, repr=False)

    @property
    def doubtful(self) -> bool:
        """Whether the model itself is unsure, and no person has been at it."""
        if self.edited or self.quality is None:
            return False
        return self.quality < DOUBTFUL or (self.interval is not None and self.interval[0] < AT_WORST)


@dataclass(frozen=True, eq=False)
class Work:
    """One case, as it stands.

    Parameters
    ----------
    mask : Mask
        What is accepted.
    proposal : Mask
        What is not accepted yet, with the same structures.
    current : str
        The structure that prompts and strokes are for.
    pending : Mapping
        The slices that hold a proposal.
    corrections : Mapping
        What a person painted and erased on slices not accepted yet.
    voxels : Mapping
        Accepted voxels of each structure.
    withheld : Mapping
        What is proposed on slices that are asked for blind.
    """

    volume: Volume
    task: Task
    mask: Mask
    proposal: Mask
    current: str
    pending: Mapping[Spot, Pending] = field(default_factory=dict)
    prompts: tuple[Prompt, ...] = ()
    corrections: Mapping[Spot, Correction] = field(default_factory=dict)
    voxels: Mapping[str, int] = field(default_factory=dict)
    withheld: Mapping[Spot, tuple[Region, Pending]] = field(default_factory=dict)

    @property
    def asked(self) -> Task:
        """The task with the structures as they stand."""
        return replace(self.task, structures=self.mask.structures)

    def slab(self, plane: Plane, index: int) -> Where:
        """The part of the grid that is one slice."""
        return slab(self.volume.geometry.axis_of(plane), index, index + 1)

    def shown(self, name: str, plane: Plane, index: int) -> Region:
        """A structure on one slice as it would be accepted now, (rows, columns)."""
        held = self.proposal if (name, plane, index) in self.pending else self.mask
        return np.asarray(held.on_slice(name, plane, index))

    def prompted(self, plane: Plane, index: int) -> set[Spot]:
        """The structures prompted on one slice, as spots."""
        axis = self.volume.geometry.axis_of(plane)
        found = (p for p in self.prompts if p.plane == plane and slice_of(p, axis) == index)
        return {(p.structure, plane, index) for p in found}

    def reviewed_for(self, name: str) -> dict[Plane, frozenset[int]]:
        """Slices a person accepted with this structure in mind."""
        return workflow.reviewed_for(self.mask, name)

    def voxels_of(self, name: str) -> int:
        """Voxels of a structure if all that is proposed were accepted."""
        waiting = (p.voxels - p.replaced for (owner, _, _), p in self.pending.items() if owner == name)
        return self.voxels.get(name, 0) + sum(waiting)

    def waiting(self, plane: Plane) -> tuple[int, ...]:
        """Slices of a plane with a proposal, in order."""
        return tuple(sorted({index for _, owner, index in self.pending if owner == plane}))

    def least_sure(self, plane: Plane, index: int) -> Pending | None:
        """The proposal on a slice of which least is expected, None where nobody says."""
        there = [p for (_, o, i), p in self.pending.items() if (o, i) == (plane, index)]
        return min((p for p in there if p.quality is not None), key=lambda p: p.quality or 0.0, default=None)

    def found_any(self, plane: Plane, slices: Iterable[int]) -> bool:
        """Whether anything is proposed on these slices."""
        wanted = set(slices)
        return any(p.voxels for (_, o, i), p in self.pending.items() if o == plane and i in wanted)

    def is_blind(self, plane: Plane, index: int) -> bool:
        """Whether a proposal is withheld on a slice."""
        return any(spot[1:] == (plane, index) for spot in self.withheld)

    def without_withheld(self, plane: Plane, index: int) -> Work:
        """The work with nothing withheld on a slice any more."""
        left = {spot: held for spot, held in self.withheld.items() if spot[1:] != (plane, index)}
        return replace(self, withheld=left) if len(left) < len(self.withheld) else self

    def state(self, plane: Plane, index: int) -> SliceState:
        """How far one slice has come."""
        spots = [p for (_, owner, at), p in self.pending.items() if (owner, at) == (plane, index)]
        reviewed = index in self.mask.reviewed.get(plane, frozenset())
        return _state(spots, reviewed, self.is_blind(plane, index))

    def states(self, plane: Plane) -> tuple[SliceState, ...]:
        """How far each slice of a plane has come."""
        found: dict[int, list[Pending]] = {}
        for (_, owner, index), pending in self.pending.items():
            if owner == plane:
                found.setdefault(index, []).append(pending)
        reviewed = self.mask.reviewed.get(plane, frozenset())
        blind = {index for _, owner, index in self.withheld if owner == plane}
        n = self.volume.n_slices(plane)
        return tuple(_state(found.get(i, []), i in reviewed, i in blind) for i in range(n))


def _state(pending: list[Pending], reviewed: bool, blind: bool) -> SliceState:
    if any(p.doubtful for p in pending):
        return "doubtful"
    if pending:
        return "edited" if any(p.edited for p in pending) else "proposed"
    return "accepted" if reviewed else "blind" if blind else "none"


def start(volume: Volume, mask: Mask | None = None, task: Task | None = None) -> Work:
    """Begin a case: with a mask that was there, else with the task's structures, else untitled."""
    task = task or Task(UNTITLED, modality=volume.modality, anatomy=volume.anatomy)
    if mask is None or not mask.structures:
        mask = Mask.empty(volume.geometry, task.structures or (Structure(UNTITLED),))
    proposal = Mask.empty(volume.geometry, mask.structures)
    voxels = {name: int(np.count_nonzero(mask.of(name))) for name in mask.names}
    return Work(volume, task, mask, proposal, mask.names[0], voxels=voxels)


def touched(before: Work, after: Work) -> set[Spot]:
    """Slices whose unaccepted state differs."""
    spots = {*before.pending, *after.pending}
    return {
        spot
        for spot in spots
        if before.pending.get(spot) is not after.pending.get(spot)
        or before.corrections.get(spot) is not after.corrections.get(spot)
    }


def n_corrected(work: Work, plane: Plane, indices: Iterable[int]) -> int:
    """Voxels a person changed by hand on some slices."""
    wanted = set(indices)
    return sum(c.changed_pixels for (_, p, i), c in work.corrections.items() if p == plane and i in wanted)
