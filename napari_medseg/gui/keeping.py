"""What the disk holds of one case, used by the disk's thread only: accepted masks, and edits that are not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from napari_medseg.core.errors import SessionError
from napari_medseg.core.mask import Mask
from napari_medseg.core.volume import Volume
from napari_medseg.gui.journal import KIND, pack, unpack
from napari_medseg.gui.work import Spot, Work, start

if TYPE_CHECKING:
    from napari_medseg.session.store import Session


class Keeper:
    """Keeps one case so that at any moment each edit is in an accepted mask or in the journal, or in both.

    Saves are counted: edits say after which one they came, and are forgotten only when that one succeeded.

    Parameters
    ----------
    session, case_id
        Where it is kept.
    """

    def __init__(self, session: Session, case_id: str) -> None:
        self._session = session
        self._case_id = case_id
        self._revision = 0  # the accepted mask that the work goes on from
        self._n_acts = 0  # in the journal
        self._noted: Work | None = None  # what the journal describes
        self._needs = 0  # the save that must succeed before its acts may go
        self._n_kept = 0  # the last save that succeeded
        self._gone: set[Spot] = set()  # accepted or discarded since, still unaccepted in the journal
        self._afresh = False

    def read(self, volume: Volume) -> Work:
        """The case as it was left: the mask accepted last, and the edits that were not."""
        self._revision = self._last_revision()
        mask = self._session.load(self._case_id, self._revision) if self._revision else None
        if mask is not None and not mask.geometry.same_grid(volume.geometry):
            mask = None
        acts = self._session.journal(self._case_id).read()
        work = unpack(start(volume, mask, self._session.task), [act for act in acts if act.kind == KIND])
        self._n_acts, self._noted = len(acts), work
        return work

    def note(self, work: Work, spots: Iterable[Spot], afresh: bool, n_saves: int) -> None:
        """Add edits to the journal; what a mask not kept yet should hold stays in it as unaccepted.

        Parameters
        ----------
        afresh : bool
            Whether all acts before are void.
        n_saves : int
            How many saves were asked for before.
        """
        self._noted, self._needs = work, max(self._needs, n_saves)
        changed, pending = set(spots), set(work.pending)
        self._gone = (self._gone | changed) - pending
        self._afresh |= afresh
        if self._afresh and self._safe:
            self._append(work, pending, afresh=True)
            self._afresh, self._gone = False, set()
        else:
            self._append(work, pending if afresh else changed & pending)
        self._forget()

    def save(self, mask: Mask, volume: Volume, number: int) -> str:
        """Keep an accepted mask, the save of this number; returns what to say about it.

        The mask goes on top of the one the work began from, or of another window's, which is said.
        """
        said = ""
        try:
            revision = self._session.accept(self._case_id, mask, volume, self._revision)
        except SessionError:
            if self._last_revision() == self._revision:
                raise
            revision = self._session.accept(self._case_id, mask, volume)
            said = "Another window accepted a mask of this case meanwhile: both are kept, this one counts."
        self._revision, self._n_kept = revision, number
        self._forget()
        return said

    def log(self, seconds: float, clicks: int, changed_voxels: int) -> None:
        """Add to the record of how much work the case was."""
        self._session.log_effort(self._case_id, seconds, clicks, changed_voxels)

    @property
    def _safe(self) -> bool:
        return self._n_kept >= self._needs

    def _append(self, work: Work, spots: set[Spot], afresh: bool = False) -> None:
        if spots or self._n_acts or work.prompts:
            journal = self._session.journal(self._case_id)
            self._n_acts = journal.append(KIND, *pack(work, sorted(spots), afresh))

    def _forget(self) -> None:
        """Let go of what is accepted or discarded, once the mask that holds it is on the disk."""
        work = self._noted
        if work is None or not self._safe:
            return
        if not (work.pending or work.prompts):
            if self._n_acts:
                self._session.journal(self._case_id).clear(upto=self._n_acts)
            self._n_acts = 0
        elif self._gone:
            self._append(work, self._gone)
        self._gone = set()

    def _last_revision(self) -> int:
        return next(r.revision for r in self._session.cases() if r.id == self._case_id)
