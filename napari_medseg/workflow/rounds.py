"""Rounds of training in a session: watch them, steer them, use what came of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.structure import UNTITLED
from napari_medseg.core.task import Task, task_of
from napari_medseg.learning.verdict import Change, Verdict
from napari_medseg.workflow.recipes import recipe_named

if TYPE_CHECKING:
    from napari_medseg.session.rounds import RoundFolder, Wish
    from napari_medseg.session.store import Session

State = Literal["running", "paused", "finished", "failed", "cancelled", "lost"]
_LOST = (
    "Its process ended before it was done, such as by a restart; nothing accepted is lost. Start it again."
)


@dataclass(frozen=True)
class RoundRecord:
    """One round of a session.

    Parameters
    ----------
    number : int
        1 for the first.
    state : State
        "lost" when its process was killed.
    fraction : float, 0 to 1
        How much is done.
    message : str
        What is being done, in words.
    minutes_left : float
        An estimate, 0 when it has ended.
    version : str
        Name of the model that came of it, "" while there is none and where it was refused.
    verdict : Verdict or None
        Once it has finished.
    in_use : bool
        Whether that version is the one in use.
    error : str
        Why it failed, in one sentence.
    left_out : tuple of str
        Why accepted outlines were not learnt from, a sentence each.
    structures : tuple of str
        What it learns, in order.
    """

    number: int
    recipe: str
    state: State
    fraction: float = 0.0
    message: str = ""
    minutes_left: float = 0.0
    version: str = ""
    verdict: Verdict | None = None
    in_use: bool = False
    error: str = ""
    left_out: tuple[str, ...] = ()
    structures: tuple[str, ...] = ()

    @property
    def task(self) -> Task:
        """What its version outlines."""
        return task_of("", self.structures)


@dataclass(frozen=True)
class Readiness:
    """Whether a round can begin: accepted slices not used yet, expected minutes, and why or why not."""

    n_new: int
    minutes: float
    can_train: bool
    why: str


def readiness(session: Session, recipe: str = "hsp_sam") -> Readiness:
    """Look quickly, without reading an image, whether there is enough to train on."""
    from napari_medseg.learning.held_back import FEWEST_LESSONS
    from napari_medseg.session.rounds import is_alive

    accepted = session.lessons.accepted()
    n_new = len(accepted - set(session.lessons.shares()))
    minutes = recipe_named(recipe).minutes(len(accepted))
    missing = FEWEST_LESSONS - len(accepted)
    if is_alive(session.folder):
        return Readiness(n_new, minutes, False, "A round is training now.")
    if not set(session.task.structure_names) - {UNTITLED}:
        return Readiness(
            n_new, minutes, False, "Name a structure first: what is learnt is kept under its name."
        )
    if missing > 0:
        more = f"Accept {missing} more slice{'s' * (missing > 1)}: training needs at least {FEWEST_LESSONS}."
        return Readiness(n_new, minutes, False, more)
    words = f"{n_new} new accepted slice{'s' * (n_new != 1)}" if n_new else "Nothing new was accepted"
    return Readiness(n_new, minutes, True, f"{words}; training takes about {minutes:.0f} minutes.")


def rounds(session: Session) -> tuple[RoundRecord, ...]:
    """All rounds of a session, oldest first, as the disk has them."""
    from napari_medseg.session.rounds import is_alive, rounds_of

    alive = is_alive(session.folder)  # first: what has ended meanwhile has said so
    folders = rounds_of(session.folder)
    return tuple(_record(session, place, alive and place is folders[-1]) for place in folders)


def pause_round(session: Session, number: int) -> None:
    """Ask a running round to wait; TaskError if it does not run."""
    _ask(session, number, "pause")


def resume_round(session: Session, number: int) -> None:
    """Ask a paused round to go on; TaskError if it does not run."""
    _ask(session, number, "go on")


def cancel_round(session: Session, number: int) -> None:
    """Ask a round to stop; nothing it did counts then. TaskError if it does not run."""
    _ask(session, number, "cancel")


def use_round(session: Session, number: int) -> None:
    """Use the version that came of a round from the next case on.

    Raises
    ------
    TaskError
        If there is no such round, or it left no version to use.
    """
    record = _find(session, number)
    if record.verdict is not None and record.verdict.outcome == "worse":
        raise TaskError(f"Round {number} made things worse and was refused; the version before stays in use.")
    if not record.version or not (session.versions / record.version).is_dir():
        raise TaskError(f"Round {number} left no version to use ({record.state}); choose another round.")
    if not record.in_use:
        session.use(recipe_named(record.recipe).method, record.task, record.version)


def back(session: Session, recipe: str = "hsp_sam") -> str:
    """Go back to the version before, and return its name, "" for what is installed.

    Raises
    ------
    TaskError
        If no round's version is in use.
    """
    used = [record for record in rounds(session) if record.in_use and record.recipe == recipe]
    if not used:
        raise TaskError("No version of a round is in use, so there is nothing to go back from.")
    return session.back(recipe_named(recipe).method, used[-1].task) or ""


def is_blind(session: Session, case_id: str, plane: Plane, index: int) -> bool:
    """Whether a slice is one of those, one in twenty, that are asked for without the model's proposal."""
    return session.lessons.is_blind(case_id, plane, index)


def _find(session: Session, number: int) -> RoundRecord:
    for record in rounds(session):
        if record.number == number:
            return record
    raise TaskError(f"There is no round {number} in this session; 'medseg rounds' lists them.")


def _ask(session: Session, number: int, wish: Wish) -> None:
    from napari_medseg.session.rounds import rounds_of

    record = _find(session, number)
    if record.state not in ("running", "paused"):
        raise TaskError(f"Round {number} does not run any more: it is {record.state}.")
    next(place for place in rounds_of(session.folder) if place.number == number).ask(wish)


def _record(session: Session, place: RoundFolder, alive: bool) -> RoundRecord:
    """Read one round from its folder."""
    about, last, end = place.about, place.last, place.end
    recipe, structures = str(about.get("recipe", "")), tuple(about.get("structures", ()))
    running: State = "paused" if last.get("paused") else "running"
    state: State = end.get("state", running if alive else "lost")
    version = str(end.get("version", ""))
    used = bool(version) and session.in_use(recipe_named(recipe).method, task_of("", structures)) == version
    verdict = end.get("verdict")
    return RoundRecord(
        place.number,
        recipe,
        state,
        1.0 if state == "finished" else float(last.get("done", 0.0)),
        str(last.get("message", "")),
        float(last.get("minutes_left", about.get("minutes", 0.0))) if alive and not end else 0.0,
        version,
        _verdict(verdict) if verdict else None,
        used,
        _LOST if state == "lost" else str(end.get("error", "")),
        tuple(item["why"] for item in end.get("left_out", ())),
        structures,
    )


def _verdict(value: dict[str, Any]) -> Verdict:
    """Read a verdict back."""
    return Verdict(**{**value, "structures": tuple(Change(**change) for change in value["structures"])})
