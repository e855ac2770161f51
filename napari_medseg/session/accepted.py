"""The slices a person accepted, each with its kept image and the structures that were looked for on it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from napari_medseg.core.geometry import Geometry, Plane
from napari_medseg.core.mask import Mask, Region
from napari_medseg.core.request import Example
from napari_medseg.core.structure import Structure
from napari_medseg.core.volume import Volume

if TYPE_CHECKING:
    from napari_medseg.session.lessons import Key
    from napari_medseg.session.records import CaseRecord
    from napari_medseg.session.store import Session

Spot = tuple[str, Plane, int]  # structure, plane, index


@dataclass(frozen=True, eq=False)
class Accepted:
    """One accepted slice.

    Parameters
    ----------
    case, group : str
        The case, and the salted patient.
    plane, index, grid
        Where in the case it lies, and the case's whole grid.
    image : Volume
        This slice alone: its axis has length one.
    structures : tuple of Structure
        Those that a person looked for here; of all others nothing is known.
    regions : Mapping
        Name of each of these to its outline on the image's grid; empty where it is absent.
    others : Mapping
        Name to what another reader had accepted on this slice before, if one did.
    """

    case: str
    group: str
    plane: Plane
    index: int
    grid: Geometry
    image: Volume
    structures: tuple[Structure, ...]
    regions: Mapping[str, Region]
    others: Mapping[str, Region] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """Where it lies, as one value."""
        return self.case, self.plane, self.index

    def shows(self, name: str) -> bool:
        """Whether a structure is outlined here."""
        return name in self.regions and bool(self.regions[name].any())

    def without(self, name: str) -> Accepted:
        """The same slice where nothing is known of one structure."""
        rest = tuple(structure for structure in self.structures if structure.name != name)
        return replace(self, structures=rest, regions={s.name: self.regions[s.name] for s in rest})

    def example(self, title: str = "") -> Example:
        """The slice as an example under a title; GeometryError where outlines and image do not fit."""
        mask = Mask.empty(self.image.geometry, self.structures)
        for name, region in self.regions.items():
            mask = mask.put(name, region)
        return Example(replace(self.image, name=title or self.image.name), mask.review(self.plane, (0,)))


def accepted_slices(session: Session, case: CaseRecord, names: Collection[str]) -> Iterator[Accepted]:
    """The accepted slices of a case on which any of these structures was looked for, one after the other.

    The session keeps the images of accepted slices, so nothing else is read.

    Raises
    ------
    SessionError
        If a file of the session is missing or damaged.
    """
    mask = session.load(case.id)
    if mask is None or not set(names) & set(mask.names):
        return
    structures = [structure for structure in mask.structures if structure.name in names]
    slices = {one.name: reviewed_for(mask, one.name) for one in structures}
    others = _other_readings(session, case, mask, names)
    for plane, index, image in session.reviewed_images(case.id):
        here = tuple(one for one in structures if index in slices[one.name].get(plane, ()))
        if here:
            where = mask.geometry.one_slice(plane, index)
            regions = {one.name: mask.of(one.name, where).copy() for one in here}
            spots = {one.name: (one.name, plane, index) for one in here}
            said = {name: others[spot] for name, spot in spots.items() if spot in others}
            yield Accepted(case.id, case.group, plane, index, mask.geometry, image, here, regions, said)


def outlined_names(session: Session, names: Collection[str]) -> tuple[str, ...]:
    """Those of these structures that are outlined on an accepted slice of any case, in the order given."""
    found: set[str] = set()
    for case in session.cases():
        mask = session.load(case.id) if case.n_reviewed and set(names) - found else None
        if mask is not None:
            rest = [name for name in names if name in mask.names and name not in found]
            found |= {name for name in rest if _is_outlined(mask, name)}
    return tuple(name for name in names if name in found)


def _is_outlined(mask: Mask, name: str) -> bool:
    """Whether a structure is outlined on a slice that was accepted with it in mind."""
    spots = ((plane, index) for plane, indices in reviewed_for(mask, name).items() for index in indices)
    return any(mask.of(name, mask.geometry.one_slice(plane, index)).any() for plane, index in spots)


def reviewed_for(mask: Mask, name: str) -> dict[Plane, frozenset[int]]:
    """Slices a person accepted with one structure in mind.

    Accepting the liver on a slice says nothing about the spleen that is outlined next.
    """
    said = {(p.plane, p.index) for p in mask.provenance if p.index is not None}
    own = {(p.plane, p.index) for p in mask.provenance if p.structure == name}
    return {
        plane: frozenset(i for i in indices if (plane, i) in own or (plane, i) not in said)
        for plane, indices in mask.reviewed.items()
    }


def _readers(mask: Mask) -> dict[Spot, list[str]]:
    """Who spoke of each structure on each slice, by pseudonym, the last one last."""
    found: dict[Spot, list[str]] = {}
    for p in mask.provenance:
        if p.index is not None:
            found.setdefault((p.structure, p.plane, p.index), []).append(p.reader)
    return found


def _other_readings(
    session: Session, case: CaseRecord, mask: Mask, names: Collection[str]
) -> dict[Spot, Region]:
    """What the last reader but the present one had accepted on each slice, where there was one."""
    now = _readers(mask)
    wanted = {spot for spot, readers in now.items() if spot[0] in names and len(set(readers)) > 1}
    found: dict[Spot, Region] = {}
    for revision in range(case.revision - 1, 0, -1):
        open_spots = wanted - set(found)
        before = session.load(case.id, revision) if open_spots else None
        if before is None:
            break
        then = _readers(before)
        for name, plane, index in open_spots & set(then):
            spot = (name, plane, index)
            if index in before.reviewed.get(plane, ()) and then[spot][-1] != now[spot][-1]:
                found[spot] = before.of(name, before.geometry.one_slice(plane, index)).copy()
    return found
