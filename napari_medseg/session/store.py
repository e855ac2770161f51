"""A session: a folder that keeps a task, its cases, every accepted mask, and which versions are in use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Self

from napari_medseg.core.errors import GeometryError, SessionError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Mask
from napari_medseg.core.task import Task
from napari_medseg.core.volume import Volume
from napari_medseg.session import blobs, queries, records, sources
from napari_medseg.session.database import Database
from napari_medseg.session.durable import make_folder, plain_errors
from napari_medseg.session.journal import Journal, has_left_behind
from napari_medseg.session.lessons import Lessons
from napari_medseg.session.records import CaseRecord, name_of

MASKS, IMAGES, VERSIONS, JOURNAL = "masks", "images", "versions", "journal"


class Session:
    """Memory on disk; two processes, and several threads, may use one folder at a time.

    What a method writes is on the disk itself when it returns. Any of them raises `SessionError`, one
    plain sentence, when the disk is full, gone or read-only, or another process holds the session
    for half a minute; what was there before is then still there.
    """

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self.versions = folder / VERSIONS  # model versions, one folder each
        self.lessons = Lessons(database)  # what rounds of training made of the accepted slices
        self._database = database
        self._journals: dict[str, Journal] = {}
        self._guard = Lock()

    @classmethod
    def create(cls, folder: Path, task: Task) -> Self:
        """Start a session in a new or empty place.

        Raises
        ------
        SessionError
            If there is one already.
        """
        folder = Path(os.path.abspath(folder))
        with plain_errors(folder):
            for name in (MASKS, IMAGES, VERSIONS, JOURNAL):
                make_folder(folder / name)
        return cls(folder, Database.create(folder, asdict(task)))

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Go on with a session.

        Raises
        ------
        SessionError
            If there is none, or it is damaged, read-only, or of a newer version of this program.
        """
        folder = Path(os.path.abspath(folder))
        return cls(folder, Database.open(folder))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the folder; unaccepted acts stay in their journals."""
        with self._guard:
            for journal in self._journals.values():
                journal.close()
            self._journals = {}
        self._database.close()

    @property
    def task(self) -> Task:
        """What is outlined in this session."""
        with self._database.reading() as db:
            return queries.read_task(db)

    def set_task(self, value: Task) -> None:
        """Change the task; masks that were accepted keep their own structures."""
        with self._database.writing() as db:
            queries.write_task(db, value)

    def rename_structure(self, old: str, new: str) -> None:
        """Call a structure otherwise in the task and in every accepted mask, such as an untitled one.

        Raises
        ------
        TaskError
            If the new name is empty, or taken in the task or in a mask.
        """
        with self._database.writing() as db:
            queries.rename_structure(db, old, new)

    def add_case(self, source: Path, volume: Volume, series: str = "", patient: str = "") -> str:
        """Add an image and return its case's id; the same image on the same grid is the same case.

        Parameters
        ----------
        source : Path
            File or folder it was read from, kept in `sources.json` only, with `series`.
        patient : str
            Whatever tells patients apart; only its salted hash is kept. Without it `volume.group`
            is taken, else each source is a patient of its own.
        """
        place = sources.source_of(source, series)
        grid = records.geometry_as_json(volume.geometry)
        with self._database.writing() as db:
            places = sources.read(self.folder)
            for row in queries.case_rows(db):
                if places.get(row.id) == place and row.geometry == grid:
                    return str(row.id)
            group = queries.salted(db, patient or volume.group or place[0])
            case_id = queries.add_case(db, group, volume.modality, grid)
            sources.write(self.folder, {**places, case_id: place})
        return case_id

    def cases(self) -> tuple[CaseRecord, ...]:
        """All cases in the order they were added."""
        with self._database.reading() as db:
            return queries.list_cases(db)

    def source(self, case_id: str) -> tuple[Path, str]:
        """Where a case's image was read from on this machine, and which series.

        Raises
        ------
        SessionError
            If this machine does not know.
        """
        places = sources.read(self.folder)
        if case_id not in places:
            file = self.folder / sources.FILE
            raise SessionError(
                f"{file} does not say where the image of {name_of(case_id)} lies: open it again."
            )
        path, series = places[case_id]
        return Path(path), series

    def accept(
        self, case_id: str, mask: Mask, volume: Volume | None = None, expected_revision: int | None = None
    ) -> int:
        """Keep a mask for good and return its revision number, 1 for a case's first.

        Parameters
        ----------
        mask : Mask
            On the case's grid; give a copy when others go on editing it meanwhile.
        volume : Volume or None
            The image, of which the reviewed slices are kept too, each once.
        expected_revision : int or None
            The revision the work began from, 0 for none.

        Raises
        ------
        GeometryError
            If mask or image do not lie on the case's grid.
        SessionError
            If it could not be kept, or another process has accepted one since `expected_revision`.
        """
        with self._database.reading() as db:
            geometry = records.geometry_of(queries.find_case(db, case_id).geometry)
            kept = queries.kept_images(db, case_id)
        if any(not item.geometry.same_grid(geometry) for item in (mask, volume) if item is not None):
            raise GeometryError(f"This mask or image does not lie on the grid of {name_of(case_id)}.")
        arrays = [blobs.encode(array, geometry) for array in mask.arrays]
        slabs = blobs.encode_reviewed(mask, volume, kept) if volume is not None else []
        with self._database.writing() as db:  # the lock: nobody removes a file before a row names it
            names = [blobs.put(self.folder / MASKS, data) for data in arrays]
            for plane, start, stop, data in slabs:
                queries.add_image(db, case_id, plane, start, stop, blobs.put(self.folder / IMAGES, data))
            return queries.add_revision(db, case_id, mask, names, expected_revision)

    def load(self, case_id: str, revision: int | None = None) -> Mask | None:
        """The accepted mask of a case, the last one unless another is asked for; None before the first.

        Raises
        ------
        SessionError
            If the case or revision is unknown, or a file of it is missing or damaged.
        """
        with self._database.reading() as db:
            geometry = records.geometry_of(queries.find_case(db, case_id).geometry)
            row = queries.find_revision(db, case_id, revision)
            if row is None:
                return None
            arrays = tuple(blobs.get(self.folder / MASKS, name, name_of(case_id)) for name in row.arrays)
            return records.mask_of(row, geometry, arrays)

    def reviewed_images(self, case_id: str) -> Iterator[tuple[Plane, int, Volume]]:
        """The kept slices of a case's image: plane, index, and the slice on its grid, each once."""
        with self._database.reading() as db:
            case = queries.find_case(db, case_id)
            kept = queries.kept_images(db, case_id)
        with plain_errors(self.folder):
            yield from blobs.reviewed_images(self.folder / IMAGES, case, kept)

    def forget_images(self, case_id: str | None = None) -> None:
        """Drop the kept slices of a case's image, or of all cases; masks stay."""
        with self._database.writing() as db:
            queries.forget_images(db, case_id)
        with self._database.writing() as db:  # only now: no row may ever name a file that is gone
            blobs.keep_only(self.folder / IMAGES, queries.image_names(db))

    def log_effort(self, case_id: str, seconds: float, clicks: int, changed_voxels: int) -> None:
        """Add a sitting's work to a case: seconds at it, clicks, and voxels changed by hand."""
        with self._database.writing() as db:
            queries.add_effort(db, case_id, seconds, clicks, changed_voxels)

    def journal(self, case_id: str) -> Journal:
        """The record of this process's unaccepted work on a case, and what a dead one left."""
        with self._database.reading() as db:
            queries.find_case(db, case_id)
        with self._guard:
            if case_id not in self._journals:
                self._journals[case_id] = Journal(self.folder / JOURNAL / case_id)
            return self._journals[case_id]

    def recoverable(self) -> tuple[str, ...]:
        """Cases with unaccepted work that a process which no longer lives has left behind."""
        folder = self.folder / JOURNAL
        with plain_errors(self.folder):
            return tuple(case.id for case in self.cases() if has_left_behind(folder / case.id))

    def in_use(self, method: str, value: Task) -> str | None:
        """The version chosen for a method on tasks with these ordered structures, if one was."""
        with self._database.reading() as db:
            return queries.version_in_use(db, method, value.structure_names)

    def use(self, method: str, value: Task, version: str) -> None:
        """Choose a version for a method on tasks with these ordered structures."""
        with self._database.writing() as db:
            queries.use_version(db, method, value.structure_names, version)

    def back(self, method: str, value: Task) -> str | None:
        """Give up the version in use and return the one before, None for the one that was shipped."""
        with self._database.writing() as db:
            queries.give_up_version(db, method, value.structure_names)
            return queries.version_in_use(db, method, value.structure_names)
