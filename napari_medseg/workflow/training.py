"""What the process of a round runs: training on a session, told and steered through files."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from napari_medseg.core.errors import MedsegError, TaskError
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.structure import UNTITLED
from napari_medseg.core.task import Task

if TYPE_CHECKING:
    from napari_medseg.learning.round import Outcome, Plan
    from napari_medseg.learning.verdict import Verdict
    from napari_medseg.session.rounds import RoundFolder
    from napari_medseg.session.store import Session

_TELL_SECONDS = 0.5  # between lines of progress that say nothing new
_LOOK_SECONDS = 0.2  # between looks at what is asked of a paused round


class Cancelled(TaskError):
    """A person asked the round to stop."""


def train_session(
    folder: Path,
    recipe: str = "hsp_sam",
    minutes: float | None = None,
    device: str = "auto",
    seed: int = 0,
) -> Job[Verdict]:
    """Train on what was accepted in a session, and say whether it became better; nothing is put in use.

    Parameters
    ----------
    minutes : float or None
        For training; by default what the recipe takes for so many slices. Reading and scoring come on top.

    Raises
    ------
    TaskError
        If there is too little to learn from, or a person stopped it.
    SessionError
        If the session cannot be read, the disk is full, or another round is training in it.
    """
    from napari_medseg.session.rounds import RoundFolder, only_one
    from napari_medseg.session.store import Session
    from napari_medseg.workflow.recipes import recipe_named

    chosen = recipe_named(recipe)
    if minutes is not None and not minutes > 0:
        raise TaskError(f"Training needs more than 0 minutes, not {minutes:g}.")
    with Session.open(Path(folder)) as session, only_one(session.folder):
        task = task_to_learn(session)
        given = minutes or chosen.minutes(len(session.lessons.accepted()))
        words = {"recipe": recipe, "minutes": given, "device": device, "seed": seed}
        about = {**words, "structures": task.structure_names, "began": _now()}
        place = RoundFolder.begin(session.folder, about)
        ended = "failed"
        try:
            plan = _plan(session, task, recipe, place, given, device, seed)
            outcome = yield from _steered(plan, session, place, given)
            place.finish({"state": "finished", **_record(outcome)})
            ended = ""
            return outcome.verdict
        except (Cancelled, KeyboardInterrupt, GeneratorExit):
            ended = "cancelled"
            raise
        except MedsegError as error:
            place.finish({"state": ended, "error": str(error)})
            ended = ""
            raise
        finally:
            if ended:
                place.finish({"state": ended, "error": _CANCELLED if ended == "cancelled" else _BROKEN})


_CANCELLED = "It was stopped before the end; nothing changed."
_BROKEN = (
    "Something went wrong inside the program; nothing changed. Try again with MEDSEG_DEBUG=1 to see where."
)


def task_to_learn(session: Session) -> Task:
    """The session's task with those of its structures that are outlined on an accepted slice.

    Raises
    ------
    TaskError
        If there is none, or it has no name yet.
    """
    from napari_medseg.session.accepted import outlined_names

    task = session.task
    names = outlined_names(session, task.structure_names)
    if not names:
        raise TaskError("No accepted slice shows a structure of the task yet: outline it on some and accept.")
    if UNTITLED in names:
        raise TaskError(f"Name the structure '{UNTITLED}' first: what is learnt is kept under its name.")
    return replace(task, structures=tuple(one for one in task.structures if one.name in names))


def _plan(
    session: Session, task: Task, recipe: str, place: RoundFolder, minutes: float, device: str, seed: int
) -> Plan:
    """Put the recipe's part and what to compare with into a plan."""
    from napari_medseg.learning.round import Plan
    from napari_medseg.workflow import recipes
    from napari_medseg.workflow.lookup import choose_device

    chosen = recipes.recipe_named(recipe)
    device = choose_device(device)
    start = recipes.version_in_use(chosen, session, task)
    terms = recipes.Terms(task, minutes, device, seed, session, start)
    return Plan(
        task,
        f"{recipe.replace('_', '-')}-round-{place.number}",
        place.number,
        lambda slices, out: chosen.teach(slices, out, terms),
        lambda model: recipes.ready(chosen, model, session, device),
        recipes.before(chosen, session, task, device),
        seed,
    )


def _steered(plan: Plan, session: Session, place: RoundFolder, minutes: float) -> Job[Outcome]:
    """Run a round, writing down how far it is and doing what is asked of it."""
    from napari_medseg.learning.round import run_round

    job = run_round(session, plan, place.work)
    tell = _teller(place, minutes)
    while True:
        try:
            step = next(job)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        tell(step, False)
        yield step
        while (wish := place.wish) == "pause":
            tell(step, True)
            time.sleep(_LOOK_SECONDS)
            yield Progress(step.done, "Paused")
        if wish == "cancel":
            job.close()
            raise Cancelled(f"Round {place.number} was stopped as asked; nothing changed.")


def _teller(place: RoundFolder, minutes: float) -> Callable[[Progress, bool], None]:
    """Write down now and then how far it is, with the minutes that are left, and each pause at once."""
    waiting, at, worked = (
        [False],
        [time.monotonic() - _TELL_SECONDS],
        [0.0],
    )  # worked: seconds, pauses left out

    def tell(step: Progress, paused: bool) -> None:
        now = time.monotonic()
        if paused == waiting[0] and (paused or now - at[0] < _TELL_SECONDS):
            return
        worked[0] += 0.0 if waiting[0] else now - at[0]
        at[0], waiting[0] = now, paused
        spent = worked[0] / 60
        left = spent * (1 - step.done) / step.done if step.done > 0.2 else max(0.0, minutes - spent)
        line = {"at": _now(), "done": step.done, "message": step.message, "minutes_left": round(left, 2)}
        place.tell({**line, "paused": paused, "numbers": dict(step.numbers)})

    return tell


def _record(outcome: Outcome) -> dict[str, object]:
    """What a round came to, as plain values."""
    return {
        "version": outcome.version,
        "verdict": asdict(outcome.verdict),
        "left_out": [asdict(one) for one in outcome.left_out],
        "n_trained": outcome.n_trained,
        "ended": _now(),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
