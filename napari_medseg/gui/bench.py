"""The work bench: the case in hand, its history, and what a person can do to it without a model."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import replace

from qtpy.QtCore import QObject, Signal

from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Region
from napari_medseg.core.structure import Structure
from napari_medseg.core.task import Task
from napari_medseg.gui import edits, task_edits
from napari_medseg.gui.acts import Act, Change, History
from napari_medseg.gui.effort import Effort
from napari_medseg.gui.jobs import Steps
from napari_medseg.gui.memory import Memory
from napari_medseg.gui.work import Work, n_corrected, touched

Steps_ = Generator[edits.Step, None, None]


class Bench(QObject):
    """One case at a time; every act goes through here, into the history and to the session.

    Attributes
    ----------
    work : Work or None
        The case as it stands.
    plane, index
        The slice on screen.
    seen : set
        Slices that were on screen, the only ones accepted as looked at.
    """

    changed = Signal()
    placed = Signal()  # another slice or plane is on screen
    said = Signal(str)
    upset = Signal()  # what was asked does not hold any longer

    def __init__(self, memory: Memory, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.memory = memory
        self.steps = Steps(self)
        self.history = History()
        self.work: Work | None = None
        self.plane: Plane = "axial"
        self.index = 0
        self.seen: set[tuple[Plane, int]] = set()
        self._effort = Effort()

    def begin(self, work: Work) -> None:
        """Take another case in hand."""
        self.steps.finish()
        self.upset.emit()
        self.work, self.history = work, History()
        self.plane, self.index = work.volume.geometry.native_plane, 0
        self._effort, self.seen = Effort(), set()
        self.changed.emit()

    def look_at(self, plane: Plane, index: int) -> None:
        """Say which slice is on screen."""
        self.seen.add((plane, index))
        if (plane, index) != (self.plane, self.index):
            self.plane, self.index = plane, index
            self.placed.emit()

    def in_hand(self) -> Work:
        """The case, after the pieces of earlier acts are done; TaskError without one."""
        self.steps.finish()
        if self.work is None:
            raise TaskError("Open an image first: a file, a DICOM folder, or drop one on the window.")
        return self.work

    def do(self, label: str, step: Work | edits.Step, renamed: tuple[str, str] | None = None) -> Act:
        """Make an act of a step: remember it, record it, show it."""
        before = self.in_hand()
        after, changes = (step, ()) if isinstance(step, Work) else step
        act = Act(label, before, after, changes, renamed)
        self.history.push(act)
        self._effort.click()
        self._become(after)
        return act

    def do_in_pieces(
        self,
        label: str,
        begin: Callable[[Work], Steps_],
        onto: Act | None = None,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """Make one act of many small steps, between which the window lives.

        Parameters
        ----------
        begin : callable
            Given the work, it yields the work so far and the last changes.
        onto : Act or None
            The act it came of, which then takes both back.
        """
        before = self.in_hand()
        changes: list[Change] = []

        def works() -> Generator[Work, None, None]:
            for work, more in begin(before):
                changes.extend(more)
                yield work

        def done(after: Work) -> None:
            act = Act(label, before, after, tuple(changes))
            if onto is None or not self.history.extend(onto, act):
                self.history.push(act)
            self._become(after)
            then()

        self._follow(before, works(), done)

    def _follow(self, before: Work, works: Iterable[Work], done: Callable[[Work], None]) -> None:
        """Go through works, one a piece, and do something with the last one."""
        last = [before]

        def pieces() -> Generator[None, None, None]:
            for work in works:
                last[0] = work
                yield

        self.steps.start(pieces(), lambda: done(last[0]))

    def undo(self) -> None:
        """Take the last act back, of whatever kind."""
        self._travel(self.history.undo)

    def redo(self) -> None:
        """Do again what was taken back."""
        self._travel(self.history.redo)

    def _travel(self, way: Callable[[Work], Generator[Work, None, None]]) -> None:
        before = self.in_hand()

        def done(after: Work) -> None:
            if after is not before:
                self.upset.emit()
                self._become(after)

        self._follow(before, way(before), done)

    def _become(self, work: Work) -> None:
        """Go on with another state of the work; what is accepted and what is not both go to the disk."""
        before, self.work = self.work, work
        if before is None:
            return
        was, now = before.mask, work.mask
        structures = was.structures != now.structures
        accepted = was.reviewed != now.reviewed or was.provenance != now.provenance
        if was.names != now.names:
            self.memory.keep_names(was.structures, now.structures)
        if accepted or (structures and any(work.voxels.values())):
            self.memory.save(work)
        self.memory.note(work, touched(before, work), afresh=structures)
        self.changed.emit()

    def stroke(self, plane: Plane, index: int, region: Region) -> None:
        """Take over what was painted or erased; no model runs."""
        before = self.in_hand()
        after, changes = edits.stroke(before, plane, index, region)
        if after is not before:
            self.do("brush stroke", (after, changes))

    def accept(self) -> None:
        """Accept the slice on screen."""
        work = self.in_hand()
        plane, index = self.plane, self.index
        changed = n_corrected(work, plane, (index,))
        seconds, clicks = self._effort.take()
        self.do("accept", edits.accept(work, plane, index, seconds=seconds))
        self.memory.log(work.volume, seconds, clicks, changed)

    def accept_all(self) -> None:
        """Accept everything proposed on this plane; slices nobody saw stay marked as not looked at."""
        work, plane = self.in_hand(), self.plane
        waiting = work.waiting(plane)
        if not waiting:
            raise TaskError("Nothing is proposed on this plane; get a mask first.")
        seconds, clicks = self._effort.take()
        changed = n_corrected(work, plane, waiting)

        def pieces(work: Work) -> Steps_:
            for index in waiting:
                seen = (plane, index) in self.seen
                work, changes = edits.accept(work, plane, index, seen, seconds / len(waiting))
                yield work, changes

        n, unseen = len(waiting), sum((plane, index) not in self.seen for index in waiting)
        said = f"{n} slices accepted; the {unseen} you did not look at are marked so."
        self.do_in_pieces("accept", pieces, then=lambda: self.said.emit(said) if unseen else None)
        self.memory.log(work.volume, seconds, clicks, changed)

    def discard(self) -> None:
        """Drop what is proposed on the slice on screen."""
        work = self.in_hand()
        after, changes = edits.discard(work, self.plane, self.index)
        if not changes and after.pending == work.pending and after.prompts == work.prompts:
            raise TaskError("Nothing is proposed on this slice, so there is nothing to discard.")
        self.upset.emit()
        self.do("discard", (after, changes))

    def discard_all(self) -> None:
        """Drop everything proposed on this plane."""
        plane = self.plane
        waiting = self.in_hand().waiting(plane)

        def pieces(work: Work) -> Steps_:
            for index in waiting:
                work, changes = edits.discard(work, plane, index)
                yield work, changes

        self.upset.emit()
        self.do_in_pieces("discard", pieces)

    def choose(self, name: str) -> None:
        """Make a structure the one that prompts and strokes are for; no act, nothing to undo."""
        work = self.in_hand()
        if name != work.current:
            self.upset.emit()
            self.work = replace(work, current=work.mask.structure(name).name)
            self.changed.emit()

    def add_structure(self, name: str) -> None:
        """Append a structure."""
        self.do("new structure", edits.add_structure(self.in_hand(), name))

    def change_structure(self, name: str, structure: Structure) -> None:
        """Rename, recolour, lock or judge a structure."""
        work = self.in_hand()
        label = "rename" if structure.name != name else "change of structure"
        renamed = (name, structure.name) if structure.name != name else None
        self.do(label, edits.change_structure(work, name, structure), renamed)

    def remove_structure(self, name: str) -> None:
        """Take a structure away."""
        self.upset.emit()
        self.do_in_pieces("removal", lambda work: edits.remove_structure(work, name))

    def set_task(self, task: Task) -> None:
        """Say what is outlined."""
        self.do("task", task_edits.set_task(self.in_hand(), task))
        self.memory.set_task(replace(task, structures=self.in_hand().mask.structures))
