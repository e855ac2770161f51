"""Sessions: cases put in, masks accepted, everything handed over."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medseg.core.errors import GeometryError, ReadError, TaskError
from napari_medseg.core.mask import Mask, Provenance
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.task import Task
from napari_medseg.core.volume import Volume
from napari_medseg.workflow.images import find_series, open_mask, open_volume, save_mask, series_key

if TYPE_CHECKING:
    from napari_medseg.imaging.dicom import Series
    from napari_medseg.session.records import CaseRecord
    from napari_medseg.session.store import Session

EXPORT_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")


def create_session(folder: Path, task: Task) -> Session:
    """Begin a session in a new folder; SessionError if there is one already."""
    from napari_medseg.session.store import Session

    return Session.create(Path(folder), task)


def open_session(folder: Path) -> Session:
    """Open a session; SessionError if it is missing, damaged or newer than this program."""
    from napari_medseg.session.store import Session

    return Session.open(Path(folder))


def is_session(folder: Path) -> bool:
    """Whether a folder is a session's."""
    from napari_medseg.session import database

    return database.is_session(Path(folder))


def add_case(
    session: Session, source: Path, series: Series | str | None = None, volume: Volume | None = None
) -> str:
    """Put an image into a session and return its case id; the image itself stays where it is.

    Parameters
    ----------
    series : Series or str
        Which one of a DICOM folder, as in `open_volume`.
    volume : Volume
        The image, where it was opened already; `series` is then needed for DICOM folders only.
    """
    found = find_series(source, series) if series or volume is None else None
    volume = volume or open_volume(source, found or series)
    if found is None:
        return session.add_case(Path(source), volume, str(series or ""))
    from napari_medseg.imaging.dicom import patient_key

    return session.add_case(Path(source), volume, series_key(found), patient_key(found))


def accept_file(session: Session, case: str, path: Path, slices: Iterable[int] | None = None) -> int:
    """Accept a label map, whose values 1, 2, ... are the task's structures in order, as a person's work.

    Parameters
    ----------
    case : str
        Case id, name or number.
    slices : iterable of int, optional
        Slices of the native plane that a person has looked at; all of them by default.

    Returns
    -------
    int
        The revision's number.
    """
    record = find_case(session, case)
    volume = case_volume(session, record)
    mask = open_mask(path, volume, session.task.structure_names or None)
    for name in mask.names:
        mask = mask.record(Provenance(name, volume.geometry.native_plane, None, "file"))
    n = volume.geometry.shape[0]
    looked_at = range(n) if slices is None else sorted(slices)
    if looked_at and not (0 <= looked_at[0] and looked_at[-1] < n):
        raise GeometryError(f"The slices of {record.name} are 0 to {n - 1}.")
    return session.accept(record.id, mask.review(volume.geometry.native_plane, looked_at), volume)


def find_case(session: Session, case: str) -> CaseRecord:
    """Find a case by its id, its name ("case 3") or its number; TaskError if there is none."""
    for record in session.cases():
        if case in (record.id, record.name) or record.name == f"case {case}":
            return record
    raise TaskError(f"There is no case '{case}' in this session; 'medseg session list' shows them.")


def case_volume(session: Session, record: CaseRecord) -> Volume:
    """Open the image of a case where it was when it was put in."""
    path, series = session.source(record.id)
    return open_volume(path, series or None)


def export_session(session: Session, out: Path, suffix: str = ".nii.gz") -> Job[list[Path]]:
    """Hand over the accepted masks: label maps, how each was made, and a table of volumes.

    Returns
    -------
    list of Path
        For every case with an accepted mask NAME with the suffix and NAME.json; then volumes.csv.

    Raises
    ------
    TaskError
        If masks cannot be written in that format, or there is nothing to hand over.
    """
    if suffix not in EXPORT_SUFFIXES:
        raise TaskError(f"Masks of a session are written as {', '.join(EXPORT_SUFFIXES)}, not '{suffix}'.")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    rows: list[dict[str, Any]] = []
    cases = session.cases()
    for number, record in enumerate(cases):
        yield Progress(number / len(cases), f"writing {record.name}")
        mask = session.load(record.id)
        if mask is not None:
            name = record.name.replace(" ", "_")
            written.append(save_mask(mask, _volume_or_grid(session, record, mask), out / f"{name}{suffix}"))
            written.append(_write_json(out / f"{name}.json", _account(mask)))
            rows += _volumes(record.name, mask)
    if not rows:
        raise TaskError("No case of this session has an accepted mask yet, so there is nothing to hand over.")
    written.append(_write_table(out / "volumes.csv", rows))
    return written


def _volume_or_grid(session: Session, record: CaseRecord, mask: Mask) -> Volume:
    """The case's image for its header, or, where it is gone, just the grid the mask remembers."""
    try:
        return case_volume(session, record)
    except ReadError:
        return Volume(np.broadcast_to(np.uint8(0), mask.geometry.shape), mask.geometry, record.name)


def _account(mask: Mask) -> dict[str, Any]:
    """Who made a mask, with what, what a person changed, and which slices nobody looked at."""
    seen = {plane: sorted(indices) for plane, indices in mask.reviewed.items()}
    n = {plane: mask.geometry.shape[mask.geometry.axis_of(plane)] for plane in mask.reviewed}
    return {
        "structures": {name: value for value, name in enumerate(mask.names, start=1)},
        "provenance": [asdict(item) for item in mask.provenance],
        "reviewed": seen,
        "not_reviewed": {plane: sorted(set(range(n[plane])) - set(seen[plane])) for plane in seen},
        "research_use": "Research use only; not a medical device.",
    }


def _volumes(case: str, mask: Mask) -> list[dict[str, Any]]:
    """One row a structure; without spacing there are no millilitres."""
    return [
        {
            "case": case,
            "structure": name,
            "voxels": int(np.count_nonzero(mask.of(name))),
            "ml": round(mask.ml(name), 4) if mask.geometry.spacing_known else "",
            "reviewed_slices": sum(len(indices) for indices in mask.reviewed.values()),
        }
        for name in mask.names
    ]


def _write_json(path: Path, record: dict[str, Any]) -> Path:
    path.write_text(json.dumps(record, indent=1, default=str) + "\n", encoding="utf-8")
    return path


def _write_table(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    return path
