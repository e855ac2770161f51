"""What a person did, in order: one history for acts of every kind, each taken back exactly."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_medseg.core.mask import Mask, Region, Where

if TYPE_CHECKING:
    from napari_medseg.gui.work import Work

Which = Literal["mask", "proposal"]
DEPTH = 500  # acts that can be taken back


@dataclass(frozen=True, eq=False)
class Change:
    """One structure in the smallest box that holds all its changed voxels, before and after."""

    which: Which
    structure: str
    where: Where
    before: Region
    after: Region

    @property
    def growth(self) -> int:
        """How many voxels the structure gained."""
        return int(np.count_nonzero(self.after)) - int(np.count_nonzero(self.before))


@dataclass(frozen=True, eq=False)
class Act:
    """One thing a person did, or a model did for them.

    Parameters
    ----------
    label : str
        What to call it, such as "brush stroke".
    before, after : Work
        The plain values around it; their arrays are shared and hold what is true now.
    changes : tuple of Change
        What it changed in those arrays.
    renamed : (old, new) or None
        A structure's name before and after.
    """

    label: str
    before: Work
    after: Work
    changes: tuple[Change, ...] = ()
    renamed: tuple[str, str] | None = None


def put(mask: Mask, which: Which, name: str, where: Where, region: Region) -> tuple[Mask, tuple[Change, ...]]:
    """Make a structure equal to `region` in one part of a mask and say what changed, if anything."""
    before = mask.of(name, where)
    differs = before != region
    if not differs.any():
        return mask, ()
    box = bounding_box(differs)
    inside = _inside(where, box)
    change = Change(which, name, inside, before[box].copy(), np.array(region[box]))
    return mask.put(name, change.after, inside), (change,)


def bounding_box(region: Region) -> Where:
    """Smallest box around the true voxels of a region that has some."""
    box = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        hit = np.flatnonzero(region.any(axis=others))
        box.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return box[0], box[1], box[2]


def _inside(where: Where, box: Where) -> Where:
    """A box given within a part of the grid, in indices of the whole grid."""
    z, y, x = (
        slice((part.start or 0) + inner.start, (part.start or 0) + inner.stop)
        for part, inner in zip(where, box, strict=True)
    )
    return z, y, x


def back(work: Work, act: Act) -> Generator[Work, None, None]:
    """Take an act back, a change at a time; yields the work so far."""
    renamed = (act.renamed[1], act.renamed[0]) if act.renamed else None
    return _towards(work, act.before, [(c, c.before) for c in reversed(act.changes)], renamed)


def again(work: Work, act: Act) -> Generator[Work, None, None]:
    """Do an act again, a change at a time; yields the work so far."""
    return _towards(work, act.after, [(c, c.after) for c in act.changes], act.renamed)


def _towards(
    work: Work, then: Work, regions: Iterable[tuple[Change, Region]], renamed: tuple[str, str] | None
) -> Generator[Work, None, None]:
    """Give the masks of `work` the structures and reviews of `then`, and these regions."""
    masks = {"mask": work.mask, "proposal": work.proposal}
    for which, like in (("mask", then.mask), ("proposal", then.proposal)):
        masks[which] = _like(masks[which], like, renamed)
    for change, region in regions:
        if change.structure in masks[change.which].names:
            masks[change.which] = masks[change.which].put(change.structure, region, change.where)
            yield work
    yield replace(then, mask=masks["mask"], proposal=masks["proposal"])


def _like(mask: Mask, then: Mask, renamed: tuple[str, str] | None) -> Mask:
    """Give a mask the structures, reviews and history of another; outlines stay."""
    if renamed and renamed[0] in mask.names:
        mask = mask.update(renamed[0], replace(mask.structure(renamed[0]), name=renamed[1]))
    for name in mask.names:
        if name not in then.names:
            mask = mask.remove(name)
    for structure in then.structures:
        if structure.name not in mask.names:
            mask = mask.add(structure)
    return replace(mask, structures=then.structures, reviewed=then.reviewed, provenance=then.provenance)


def count(voxels: Mapping[str, int], changes: Iterable[Change]) -> dict[str, int]:
    """Voxels of each accepted structure after these changes."""
    result = dict(voxels)
    for change in changes:
        if change.which == "mask":
            result[change.structure] = result.get(change.structure, 0) + change.growth
    return result


class History:
    """The acts done and the acts taken back, newest last."""

    def __init__(self, depth: int = DEPTH) -> None:
        self._done: deque[Act] = deque(maxlen=depth)
        self._undone: list[Act] = []

    def push(self, act: Act) -> None:
        """Remember an act; what was taken back before it is forgotten."""
        self._done.append(act)
        self._undone.clear()

    def extend(self, first: Act, more: Act) -> bool:
        """Join what came of an act to it, so that one key takes both back; False when it is not the last."""
        if not self._done or self._done[-1] is not first:
            return False
        self._done[-1] = replace(first, after=more.after, changes=(*first.changes, *more.changes))
        return True

    @property
    def last(self) -> Act | None:
        """The act that undo would take back."""
        return self._done[-1] if self._done else None

    @property
    def next(self) -> Act | None:
        """The act that redo would do again."""
        return self._undone[-1] if self._undone else None

    def undo(self, work: Work) -> Generator[Work, None, None]:
        """Take the last act back, if there is one; the last work yielded is the one to go on with."""
        if self._done:
            act = self._done.pop()
            self._undone.append(act)
            yield from back(work, act)

    def redo(self, work: Work) -> Generator[Work, None, None]:
        """Do again what was taken back last, if anything, in the same way."""
        if self._undone:
            act = self._undone.pop()
            self._done.append(act)
            yield from again(work, act)
