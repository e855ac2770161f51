"""What a session remembers: its tables, and the records made of their rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from sqlalchemy import JSON, Column, Float, ForeignKey, Integer, MetaData, String, Table
from sqlalchemy.engine import Row

from napari_medseg.core.geometry import Geometry
from napari_medseg.core.mask import Labels, Mask, Provenance
from napari_medseg.core.structure import Code, State, Structure
from napari_medseg.core.task import Rule, Task

SCHEMA = 2  # one more with every change of a table
metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("name", String, primary_key=True),  # schema, salt
    Column("value", String, nullable=False),
)
task = Table(
    "task",
    metadata,
    Column("id", Integer, primary_key=True),  # one row, 1
    Column("task", JSON, nullable=False),
)
cases = Table(
    "cases",
    metadata,
    Column("id", String, primary_key=True),
    Column("number", Integer, unique=True, nullable=False),
    Column("patient_group", String, nullable=False),  # salted hash
    Column("modality", String, nullable=False),
    Column("geometry", JSON, nullable=False),
    Column("added", String, nullable=False),
)
revisions = Table(
    "revisions",
    metadata,
    Column("case_id", ForeignKey("cases.id"), primary_key=True),
    Column("number", Integer, primary_key=True),  # 1, 2, 3 ... in each case
    Column("arrays", JSON, nullable=False),  # SHA-256 of each label array's file, in order
    Column("places", JSON, nullable=False),
    Column("structures", JSON, nullable=False),
    Column("reviewed", JSON, nullable=False),
    Column("provenance", JSON, nullable=False),
    Column("created", String, nullable=False),
)
images = Table(
    "images",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("case_id", ForeignKey("cases.id"), nullable=False, index=True),
    Column("plane", String, nullable=False),
    Column("start", Integer, nullable=False),  # reviewed slices, half-open
    Column("stop", Integer, nullable=False),
    Column("sha256", String, nullable=False),
)
in_use = Table(
    "in_use",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("method", String, nullable=False),
    Column("structures", JSON, nullable=False),  # ordered names: the key by which models fit a task
    Column("version", String, nullable=False),
    Column("since", String, nullable=False),
    Column("given_up", String),  # when somebody went back to the version before
)
efforts = Table(
    "efforts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("case_id", ForeignKey("cases.id"), nullable=False, index=True),
    Column("seconds", Float, nullable=False),
    Column("clicks", Integer, nullable=False),
    Column("changed_voxels", Integer, nullable=False),
    Column("at", String, nullable=False),
)
lessons = Table(  # since form 2
    "lessons",
    metadata,
    Column("case_id", ForeignKey("cases.id"), primary_key=True),
    Column("plane", String, primary_key=True),
    Column("slice", Integer, primary_key=True),
    Column("share", String, nullable=False),  # "held back" or "trained on"
    Column("round", Integer, nullable=False),  # the first that did so
)


@dataclass(frozen=True)
class CaseRecord:
    """One case of a session, without its image.

    Parameters
    ----------
    id, name : str
        Key, and what to call it on screen; neither says anything about the patient.
    group : str
        Salted hash of the patient; cases of one patient share it.
    shape : (Z, Y, X)
        Voxels of the image.
    state : State
        Of the last accepted mask: completed when all its structures are.
    revision : int
        How often a mask was accepted; 0 for never.
    n_reviewed : int
        Slices a person has looked at, over all planes.
    seconds, clicks, changed_voxels
        Work of all sittings together.
    added : str
        When, ISO 8601 in UTC.
    """

    id: str
    name: str
    group: str
    modality: str
    shape: tuple[int, int, int]
    state: State
    revision: int
    n_reviewed: int
    seconds: float
    clicks: int
    changed_voxels: int
    added: str


def record_of(case: Row[Any], revision: Row[Any] | None, effort: Row[Any] | None) -> CaseRecord:
    """Make the record of a case from its row, its last accepted mask and the sum of its efforts."""
    reviewed = revision.reviewed if revision else {}
    return CaseRecord(
        id=case.id,
        name=name_of(case.id),
        group=case.patient_group,
        modality=case.modality,
        shape=geometry_of(case.geometry).shape,
        state=_state([item["state"] for item in revision.structures] if revision else []),
        revision=revision.number if revision else 0,
        n_reviewed=sum(len(indices) for indices in reviewed.values()),
        seconds=effort.seconds if effort else 0.0,
        clicks=effort.clicks if effort else 0,
        changed_voxels=effort.changed_voxels if effort else 0,
        added=case.added,
    )


def name_of(case_id: str) -> str:
    """What to call a case on screen, such as 'case 3'."""
    return case_id.replace("-", " ")


def geometry_as_json(geometry: Geometry) -> dict[str, Any]:
    """A grid as plain values; JSON keeps every bit of the affine."""
    return {
        "shape": list(geometry.shape),
        "affine": geometry.affine.tolist(),
        **{item.name: getattr(geometry, item.name) for item in fields(geometry)[2:]},
    }


def geometry_of(value: Mapping[str, Any]) -> Geometry:
    """Read a grid back, bit for bit."""
    z, y, x = value["shape"]
    flags = {name: flag for name, flag in value.items() if name not in ("shape", "affine")}
    return Geometry((z, y, x), np.array(value["affine"], dtype=np.float64), **flags)


def mask_as_json(mask: Mask) -> dict[str, Any]:
    """All of a mask but its grid and label arrays, as the columns of `revisions`."""
    return {
        "places": {name: list(place) for name, place in mask.places.items()},
        "structures": [asdict(structure) for structure in mask.structures],
        "reviewed": {plane: sorted(map(int, indices)) for plane, indices in mask.reviewed.items()},
        "provenance": [{**vars(item), "settings": dict(item.settings)} for item in mask.provenance],
    }


def mask_of(row: Row[Any], geometry: Geometry, arrays: tuple[Labels, ...]) -> Mask:
    """Read a mask back from its row in `revisions`."""
    return Mask(
        geometry,
        structures=tuple(_structure(item) for item in row.structures),
        arrays=arrays,
        places={name: (array, value) for name, (array, value) in row.places.items()},
        reviewed={plane: frozenset(indices) for plane, indices in row.reviewed.items()},
        provenance=tuple(Provenance(**item) for item in row.provenance),
    )


def task_of(value: Mapping[str, Any]) -> Task:
    """Read a task back from what `asdict` made of it."""
    structures = tuple(_structure(item) for item in value["structures"])
    rules = tuple(Rule(**item) for item in value["rules"])
    return Task(**{**value, "structures": structures, "rules": rules})


def task_renamed(value: Task, old: str, new: str) -> Task:
    """The task with one structure called otherwise, in its rules too."""
    names = {old: new}
    structures = tuple(replace(s, name=names.get(s.name, s.name)) for s in value.structures)
    rules = tuple(
        replace(r, first=names.get(r.first, r.first), second=names.get(r.second, r.second))
        for r in value.rules
    )
    return replace(value, structures=structures, rules=rules)


def revision_renamed(row: Row[Any], old: str, new: str) -> dict[str, Any]:
    """The columns of a revision with one structure called otherwise."""

    def renamed(items: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
        return [{**item, key: new} if item[key] == old else item for item in items]

    return {
        "places": {new if name == old else name: place for name, place in row.places.items()},
        "structures": renamed(row.structures, "name"),
        "provenance": renamed(row.provenance, "structure"),
    }


def plain(value: Any) -> Any:
    """What JSON does not know, as what it knows: numpy's numbers, mappings, and words for the rest."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


def _structure(value: Mapping[str, Any]) -> Structure:
    """Read a structure back from what `asdict` made of it."""
    red, green, blue = value["colour"]
    code = Code(**value["code"]) if value["code"] else None
    return Structure(**{**value, "colour": (red, green, blue), "code": code})


def _state(states: list[State]) -> State:
    """The state of a case from those of its structures."""
    if not states:
        return "not started"
    if "flagged" in states:
        return "flagged"
    return "completed" if set(states) == {"completed"} else "in progress"
