"""What the session keeps of the case on screen, written by a thread of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import QObject, Signal

from napari_medseg import workflow
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.structure import UNTITLED, Structure
from napari_medseg.core.task import Task
from napari_medseg.core.volume import Volume
from napari_medseg.gui.jobs import Worker
from napari_medseg.gui.keeping import Keeper
from napari_medseg.gui.task_edits import named
from napari_medseg.gui.work import Spot, Work

if TYPE_CHECKING:
    from napari_medseg.session.store import Session


@dataclass(frozen=True, eq=False)
class Opened:
    """A case ready to be shown: with the mask accepted before and the edits that were not."""

    work: Work
    source: Path
    n_restored: int = 0


@dataclass(frozen=True)
class Unfinished:
    """A case whose edits were not accepted when the program ended."""

    name: str
    source: Path
    series: str


def home() -> Path:
    """Where sessions are made unless the person says otherwise: MEDSEG_HOME, else the home folder."""
    return Path(os.environ.get("MEDSEG_HOME") or Path.home() / "napari-medseg") / "sessions"


class Memory(QObject):
    """The session on disk as the panel sees it; nothing here waits for the disk.

    Attributes
    ----------
    session : Session or None
        Open from the first case on.
    case_id : str
        The case on screen.
    """

    kept = Signal(str)  # "saving", then "saved"
    session_opened = Signal()
    failed = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.worker = Worker("medseg disk", self)
        self.folder = home() / UNTITLED
        self.session: Session | None = None
        self.case_id = ""
        self._dirty: set[Spot] = set()
        self._afresh = False
        self._latest: Work | None = None
        self._saving: Work | None = None
        self._n_saves = 0  # asked for; edits say after which one they came
        self._guard = Lock()  # for these five, which both threads change
        self._keepers: WeakKeyDictionary[Volume, Keeper] = WeakKeyDictionary()

    def opened(self, source: Path, series: Any) -> Job[Opened]:
        """Open an image, find or add its case, and bring back what was accepted and what was not."""
        yield Progress(0.1, f"Reading {source.name}")
        volume = workflow.open_volume(source, series)
        return (yield from self.case_of(volume, source, series))

    def case_of(self, volume: Volume, source: Path, series: Any) -> Job[Opened]:
        """Make a case of an image, or find the one it is already."""
        yield Progress(0.7, "Opening the session")
        session = self._ensure()
        self.case_id = workflow.add_case(session, source, series or None, volume)
        yield Progress(0.8, "Looking for earlier work")
        keeper = self._keepers[volume] = Keeper(session, self.case_id)
        work = keeper.read(volume)
        return Opened(work, source, len(work.pending))

    def unfinished(self, done: Callable[[tuple[Unfinished, ...]], None]) -> None:
        """Look for edits that were not accepted when the program ended."""
        if (self.folder / "session.db").exists():
            self.worker.start(self._unfinished, done, failed=self.failed.emit)

    def note(self, work: Work, spots: Iterable[Spot], afresh: bool = False) -> None:
        """Record edits that are not accepted yet, as soon as the disk is free."""
        with self._guard:
            self._latest = work
            self._dirty |= set(spots)
            self._afresh |= afresh
        self.worker.start(self._note, failed=self.failed.emit)

    def save(self, work: Work) -> None:
        """Keep the accepted mask for good, as soon as the disk is free."""
        with self._guard:
            self._saving = work
            self._n_saves += 1
        self.kept.emit("saving…")
        self.worker.start(self._save, self._saved, failed=self._not_saved)

    def _saved(self, said: str | None) -> None:
        if self._saving is None and said is not None:
            self.kept.emit("saved")
        if said:
            self.failed.emit(said)

    def _not_saved(self, sentence: str) -> None:
        self.kept.emit("not saved")
        self.failed.emit(sentence)

    def log(self, volume: Volume, seconds: float, clicks: int, changed_voxels: int) -> None:
        """Add to the record of how much work a case was."""
        self.worker.start(lambda: self._log(volume, seconds, clicks, changed_voxels), failed=self.failed.emit)

    def set_task(self, task: Task) -> None:
        """Say what the session is about."""
        self.worker.start(lambda: self._set_task(task), failed=self.failed.emit)

    def keep_names(self, before: Sequence[Structure], after: Sequence[Structure]) -> None:
        """Let the session's task know how structures are called; what is learnt is kept under these names."""
        self.worker.start(lambda: self._keep_names(before, after), failed=self.failed.emit)

    def close(self) -> None:
        """Finish what is being written and let go of the session."""
        self.worker.start(self._close)
        self.worker.stop(finish=True)

    def change_session(self, folder: Path) -> None:
        """Use another session from the next case on."""
        self.folder = folder
        self.worker.start(self._close)

    def _ensure(self) -> Session:
        if self.session is None:
            there = (self.folder / "session.db").exists()
            task = Task(UNTITLED)
            self.session = (
                workflow.open_session(self.folder) if there else workflow.create_session(self.folder, task)
            )
            self.session_opened.emit()
        return self.session

    def _unfinished(self) -> Job[tuple[Unfinished, ...]]:
        yield Progress(0.0, "Looking for unfinished work")
        session = self._ensure()
        names = {record.id: record.name for record in session.cases()}
        found = [Unfinished(names[case], *session.source(case)) for case in session.recoverable()]
        return tuple(item for item in found if item.source.exists())

    def _note(self) -> Job[None]:
        yield Progress(0.0, "Keeping your edits")
        with self._guard:
            work, spots, afresh, n_saves = self._latest, self._dirty, self._afresh, self._n_saves
            self._latest, self._dirty, self._afresh = None, set(), False
        if work is not None and work.volume in self._keepers:
            self._keepers[work.volume].note(work, spots, afresh, n_saves)

    def _save(self) -> Job[str | None]:
        """Returns what to say about it, None if a newer one was kept in its place."""
        yield Progress(0.0, "Saving what you accepted")
        with self._guard:
            work, self._saving, number = self._saving, None, self._n_saves
        if work is None or work.volume not in self._keepers:
            return None
        return self._keepers[work.volume].save(work.mask.copy(), work.volume, number)

    def _log(self, volume: Volume, seconds: float, clicks: int, changed_voxels: int) -> Job[None]:
        yield Progress(0.0)
        if volume in self._keepers:
            self._keepers[volume].log(seconds, clicks, changed_voxels)

    def _set_task(self, task: Task) -> Job[None]:
        yield Progress(0.0)
        self._ensure().set_task(task)

    def _keep_names(self, before: Sequence[Structure], after: Sequence[Structure]) -> Job[None]:
        yield Progress(0.0)
        session = self._ensure()
        task = named(session.task, before, after)
        if task != session.task:
            session.set_task(task)

    def _close(self) -> Job[None]:
        yield Progress(0.0)
        if self.session is not None:
            self.session.close()
        self._keepers.clear()
        self.session, self.case_id = None, ""
