"""The examples in hand: slices of the case on screen, and those that came from elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_medseg import workflow
from napari_medseg.core.errors import TaskError
from napari_medseg.core.mask import Region
from napari_medseg.core.request import Example
from napari_medseg.gui.bench import Bench
from napari_medseg.gui.example_pieces import Other, Place, cut_out, joined, renamed, title
from napari_medseg.gui.work import Work

if TYPE_CHECKING:
    from qtpy.QtGui import QImage

_MOST_KEPT = 24  # slices of a case that stay examples when it is left; more would make the window wait


@dataclass(frozen=True, eq=False)
class Own:
    """Slices of the case on screen that teach, with the structures each is good for.

    Parameters
    ----------
    places : Mapping
        Plane and index to structure names.
    added : Mapping
        The outlines of those that are not accepted, as they were when a person added them.
    """

    work: Work
    places: Mapping[Place, tuple[str, ...]]
    added: Mapping[Place, Mapping[str, Region]]

    @cached_property
    def examples(self) -> tuple[Example, ...]:
        """One example for structures that are known on the same slices; made on the inference thread."""
        slices: dict[str, set[Place]] = {}
        for place, names in self.places.items():
            for name in names:
                slices.setdefault(name, set()).add(place)
        groups: dict[frozenset[Place], list[str]] = {}
        for name, places in slices.items():
            groups.setdefault(frozenset(places), []).append(name)
        return tuple(joined(self.work, names, places, self.added) for places, names in groups.items())

    @cached_property
    def _times(self) -> Counter[Place]:
        """How often each slice was accepted, structure by structure."""
        return Counter((p.plane, p.index) for p in self.work.mask.provenance if p.index is not None)

    def key(self, place: Place) -> Hashable:
        """What tells a slice as it is outlined here from others, and from itself outlined otherwise."""
        return (*place, self._times[place], *map(id, self.added.get(place, {}).values()))

    def regions(self, place: Place) -> list[tuple[str, Region]]:
        """What is outlined on a slice, by structure."""
        added = self.added.get(place, {})
        accepted = [name for name in self.places[place] if name not in added]
        return [*((name, self.work.mask.on_slice(name, *place)) for name in accepted), *added.items()]


class ExampleSet(QObject):
    """All examples the panel holds, for as long as it lives.

    Attributes
    ----------
    joins : bool
        Whether accepted slices of the case on screen are examples.
    others : list of Other
        Those that came from files, other cases and cases before this one.
    """

    changed = Signal()

    def __init__(self, bench: Bench, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.joins = True
        self.others: list[Other] = []
        self.own: Own | None = None
        self._bench = bench
        self._case = ""
        self._names: tuple[str, ...] = ()
        self._added: dict[Place, dict[str, Region]] = {}
        self._left_out: set[Place] = set()
        self._pictures: Callable[[Hashable], QImage | None] = lambda _key: None
        bench.changed.connect(self._follow)

    def show_pictures_by(self, pictures: Callable[[Hashable], QImage | None]) -> None:
        """Say where the pictures of this case's slices are, to go on with when the case is left."""
        self._pictures = pictures

    def taught(self) -> Callable[[], tuple[Example, ...]]:
        """The examples as they stand, to be made on the inference thread; the same while nothing changes."""
        own, others = self.own, tuple(other.example for other in self.used)
        return lambda: (*others, *(own.examples if own is not None else ()))

    @property
    def used(self) -> tuple[Other, ...]:
        """Those from elsewhere that show a structure of the case on screen, and are not of this case."""
        names = set(self._names)
        fitting = (other for other in self.others if names & set(other.example.mask.names))
        return tuple(other for other in fitting if not (self._case and other.case == self._case))

    def counts(self) -> dict[str, int]:
        """How many annotated slices there are for each structure of the case, in order."""
        found = dict.fromkeys(self._names, 0)
        for names in self.own.places.values() if self.own is not None else ():
            for name in names:
                found[name] += 1
        for other in self.used:
            for name in other.example.mask.names:
                if name in found:
                    found[name] += other.n_slices
        return {name: n for name, n in found.items() if n}

    def add_slice(self) -> None:
        """Make the slice on screen an example as it is outlined now.

        Raises
        ------
        TaskError
            If nothing is outlined on it.
        """
        work, place = self._bench.in_hand(), (self._bench.plane, self._bench.index)
        regions = {name: work.shown(name, *place) for name in work.mask.names}
        regions = {name: region.copy() for name, region in regions.items() if region.any()}
        if not regions:
            raise TaskError(
                f"Nothing is outlined on this slice; outline '{work.current}' first: point at it, or paint."
            )
        self._left_out.discard(place)
        self._added[place] = regions
        self._renew(work)

    def add(self, others: Iterable[Other]) -> int:
        """Take examples from elsewhere, but for those that are there already; returns how many were new."""
        known = {other.key for other in self.others}
        new = list({other.key: other for other in others if other.key not in known}.values())
        self.others += new
        if new:
            self.changed.emit()
        return len(new)

    def remove(self, keys: Iterable[object]) -> None:
        """Let go of some."""
        gone, own = set(keys), self.own
        self.others = [other for other in self.others if other.key not in gone]
        for place in [p for p in own.places if own.key(p) in gone] if own is not None else ():
            self._added.pop(place, None)
            self._left_out.add(place)
        self._renew(self._bench.work)

    def clear(self) -> None:
        """Let go of all; slices accepted from now on join again."""
        self.others.clear()
        own = self.own
        self.remove([own.key(place) for place in own.places] if own is not None else ())

    def set_joins(self, joins: bool) -> None:
        """Say whether accepted slices are examples."""
        self.joins = joins
        if joins:
            self._left_out.clear()
        self._renew(self._bench.work)

    def _follow(self) -> None:
        """Keep up with the bench; looks at no voxel."""
        work = self._bench.work
        if work is None:
            return
        before = self.own.work if self.own is not None else None
        if before is None or work.volume is not before.volume:
            self._leave()
            self._case, self._added, self._left_out = self._bench.memory.case_id, {}, set()
        elif work.mask.names != self._names:
            self._rename(work.mask.names)
        elif work.mask.provenance is before.mask.provenance and work.mask.reviewed is before.mask.reviewed:
            return
        self._renew(work)

    def _renew(self, work: Work | None) -> None:
        if work is None:
            return
        self._names = work.mask.names
        accepted = self._accepted(work) if self.joins else {}
        places, added = dict(accepted), {}
        for place, regions in self._added.items():
            known = accepted.get(place, ())  # what was accepted since counts as it was accepted
            added[place] = {n: r for n, r in regions.items() if n in work.mask.names and n not in known}
            if known or added[place]:
                places[place] = (*known, *added[place])
        self.own = Own(work, dict(sorted(places.items())), added)
        self.changed.emit()

    def _accepted(self, work: Work) -> dict[Place, tuple[str, ...]]:
        """The accepted slices of this case, with the structures each was accepted for."""
        found: dict[Place, tuple[str, ...]] = {}
        for name in work.mask.names:
            for plane, indices in workflow.reviewed_for(work.mask, name).items():
                for place in ((plane, index) for index in indices):
                    if place not in self._left_out:
                        found[place] = (*found.get(place, ()), name)
        return found

    def _rename(self, names: tuple[str, ...]) -> None:
        """Follow structures that are called otherwise now."""
        if len(names) != len(self._names):
            return
        new = {a: b for a, b in zip(self._names, names, strict=True) if a != b and a not in names}
        self._added = {
            place: {new.get(name, name): region for name, region in regions.items()}
            for place, regions in self._added.items()
        }
        self.others = [renamed(other, new) for other in self.others]

    def _leave(self) -> None:
        """Keep what was learnt of the case before: slices of it, not its volume."""
        own = self.own
        if own is None:
            return
        self.others = [other for other in self.others if not (self._case and other.case == self._case)]
        places, step = list(own.places), -(-len(own.places) // _MOST_KEPT)
        for place in places[:: max(step, 1)]:
            example = cut_out(own.work, own.places[place], place, own.added, self._case)
            picture = self._pictures(own.key(place))
            self.others.append(Other(example, title(own.work.volume, *place), self._case, picture))
