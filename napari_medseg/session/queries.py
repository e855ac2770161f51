"""What is asked of the session's tables and written to them, each within a transaction of the caller."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from napari_medseg.core.errors import SessionError, TaskError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Mask
from napari_medseg.core.task import Task
from napari_medseg.session import records
from napari_medseg.session.records import (
    CaseRecord,
    cases,
    efforts,
    images,
    in_use,
    meta,
    name_of,
    revisions,
    task,
)


def now() -> str:
    """The time, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_task(db: Connection) -> Task:
    """The session's task."""
    return records.task_of(db.scalars(select(task.c.task)).one())


def write_task(db: Connection, value: Task) -> None:
    """Put another task in the place of the one there is."""
    db.execute(update(task).values(task=asdict(value)))


def rename_structure(db: Connection, old: str, new: str) -> None:
    """Call a structure otherwise in the task and in every revision.

    Raises
    ------
    TaskError
        If the new name is empty, or taken in the task or in a mask.
    """
    value = read_task(db)
    rows = db.execute(select(revisions)).all()
    taken = [value.structure_names, *(tuple(row.places) for row in rows)]
    if not new.strip() or any(old in names and new in names for names in taken):
        raise TaskError(f"'{old}' cannot be called '{new}': choose a name that is not empty and not taken.")
    write_task(db, records.task_renamed(value, old, new))
    for row in rows:
        if old in row.places:
            this = (revisions.c.case_id == row.case_id) & (revisions.c.number == row.number)
            db.execute(update(revisions).where(this).values(**records.revision_renamed(row, old, new)))


def salted(db: Connection, key: str) -> str:
    """Hash a key with the session's salt: 16 hexadecimal digits that say nothing about it."""
    return hashlib.sha256(f"{salt(db)}{key}".encode()).hexdigest()[:16]


def salt(db: Connection) -> str:
    """What the session puts before everything it hashes; never changes."""
    return str(db.scalars(select(meta.c.value).where(meta.c.name == "salt")).one())


def add_case(db: Connection, group: str, modality: str, grid: dict[str, Any]) -> str:
    """Add a case under the next number and return its id."""
    number = _largest(db, select(func.max(cases.c.number))) + 1
    row = {"id": f"case-{number}", "number": number, "patient_group": group, "modality": modality}
    db.execute(insert(cases).values(**row, geometry=grid, added=now()))
    return f"case-{number}"


def find_case(db: Connection, case_id: str) -> Row[Any]:
    """The row of a case.

    Raises
    ------
    SessionError
        If there is none.
    """
    row = db.execute(select(cases).where(cases.c.id == case_id)).one_or_none()
    if row is None:
        raise SessionError(f"There is no '{case_id}' in this session: list its cases and choose one.")
    return row


def case_rows(db: Connection) -> Sequence[Row[Any]]:
    """The rows of all cases in the order they were added."""
    return db.execute(select(cases).order_by(cases.c.number)).all()


def list_cases(db: Connection) -> tuple[CaseRecord, ...]:
    """The records of all cases in the order they were added."""
    newest = select(revisions.c.case_id, func.max(revisions.c.number).label("number"))
    newest_of = newest.group_by(revisions.c.case_id).subquery()
    columns = (revisions.c.case_id, revisions.c.number, revisions.c.structures, revisions.c.reviewed)
    last: Select[Any] = select(*columns).join(
        newest_of, (revisions.c.case_id == newest_of.c.case_id) & (revisions.c.number == newest_of.c.number)
    )
    parts = (efforts.c.seconds, efforts.c.clicks, efforts.c.changed_voxels)
    sums = [func.sum(part).label(part.name) for part in parts]
    work: Select[Any] = select(efforts.c.case_id, *sums).group_by(efforts.c.case_id)
    revision_of = {row.case_id: row for row in db.execute(last)}
    effort_of = {row.case_id: row for row in db.execute(work)}
    return tuple(
        records.record_of(row, revision_of.get(row.id), effort_of.get(row.id)) for row in case_rows(db)
    )


def last_revision(db: Connection, case_id: str) -> int:
    """Number of a case's last accepted mask, 0 when there is none."""
    return _largest(db, select(func.max(revisions.c.number)).where(revisions.c.case_id == case_id))


def find_revision(db: Connection, case_id: str, number: int | None) -> Row[Any] | None:
    """The row of a mask: the last one, None when there is none, or the one of a number.

    Raises
    ------
    SessionError
        If the number is not there.
    """
    wanted = last_revision(db, case_id) if number is None else number
    this = (revisions.c.case_id == case_id) & (revisions.c.number == wanted)
    row = db.execute(select(revisions).where(this)).one_or_none()
    if row is None and number is not None:
        raise SessionError(f"There is no revision {number} of {name_of(case_id)}: choose an earlier one.")
    return row


def add_revision(db: Connection, case_id: str, mask: Mask, names: Sequence[str], expected: int | None) -> int:
    """Add a mask whose label arrays lie under `names`, and return its number.

    Raises
    ------
    SessionError
        If the last one is not the one that was expected.
    """
    last = last_revision(db, case_id)
    if expected not in (None, last):
        raise SessionError(
            f"Another window accepted a mask of {name_of(case_id)} meanwhile: look at it first, "
            "or accept yours once more to put it on top."
        )
    row = {"case_id": case_id, "number": last + 1, "arrays": list(names), "created": now()}
    db.execute(insert(revisions).values(**row, **records.mask_as_json(mask)))
    return last + 1


def add_image(db: Connection, case_id: str, plane: Plane, start: int, stop: int, sha256: str) -> None:
    """Remember where slices of a case's image are kept."""
    place = {"plane": plane, "start": start, "stop": stop}
    db.execute(insert(images).values(case_id=case_id, sha256=sha256, **place))


def kept_images(db: Connection, case_id: str) -> Sequence[Row[Any]]:
    """The rows of a case's kept slices, oldest first."""
    return db.execute(select(images).where(images.c.case_id == case_id).order_by(images.c.id)).all()


def image_names(db: Connection) -> set[str]:
    """Checksums of all files of kept slices."""
    return set(db.scalars(select(images.c.sha256)))


def forget_images(db: Connection, case_id: str | None) -> None:
    """Remove the rows of a case's kept slices, or of all cases."""
    everything = delete(images)
    db.execute(everything if case_id is None else everything.where(images.c.case_id == case_id))


def add_effort(db: Connection, case_id: str, seconds: float, clicks: int, changed_voxels: int) -> None:
    """Add the work of one sitting."""
    find_case(db, case_id)
    row = {"seconds": seconds, "clicks": clicks, "changed_voxels": changed_voxels}
    db.execute(insert(efforts).values(case_id=case_id, at=now(), **row))


def version_in_use(db: Connection, method: str, names: Sequence[str]) -> str | None:
    """The newest choice for a method and ordered structure names that was not given up."""
    row = db.execute(select(in_use.c.version).where(in_use.c.id == _choice(db, method, names))).one_or_none()
    return row.version if row else None


def use_version(db: Connection, method: str, names: Sequence[str], version: str) -> None:
    """Choose a version; the choices before stay behind it."""
    row = {"method": method, "structures": list(names), "version": version}
    db.execute(insert(in_use).values(**row, since=now()))


def give_up_version(db: Connection, method: str, names: Sequence[str]) -> None:
    """Mark the choice that counts as given up, so that the one before counts."""
    db.execute(update(in_use).where(in_use.c.id == _choice(db, method, names)).values(given_up=now()))


def _choice(db: Connection, method: str, names: Sequence[str]) -> int:
    """Row of the choice that counts, 0 for none."""
    this = (in_use.c.method == method) & (in_use.c.structures == list(names)) & in_use.c.given_up.is_(None)
    return _largest(db, select(func.max(in_use.c.id)).where(this))


def _largest(db: Connection, query: Select[tuple[Any]]) -> int:
    """The one number a query finds, 0 when it finds none."""
    return int(db.scalar(query) or 0)
