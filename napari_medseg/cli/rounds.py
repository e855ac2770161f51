"""medseg rounds: what was trained in a session, which version is in use, and one step forth or back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_medseg.cli.options import AsJson, Device, answer, check_device, run
from napari_medseg.core.errors import TaskError

_Session = Annotated[Path, typer.Argument(metavar="SESSION", help="The session's folder.")]


def register(app: typer.Typer) -> None:
    """Add this verb."""
    app.command()(rounds)


def rounds(
    folder: _Session,
    use: Annotated[int | None, typer.Option("--use", metavar="N", help="Use what round N made.")] = None,
    back: Annotated[bool, typer.Option("--back", help="Go back to the version before.")] = False,
    recipe: Annotated[str, typer.Option("--recipe", help="Of the version to go back from.")] = "hsp_sam",
    as_json: AsJson = False,
    device: Device = "auto",
) -> None:
    """List the rounds of training in a session, use what one made, or go back."""
    from napari_medseg import workflow

    check_device(device)
    if use is not None and back:
        raise TaskError("Either --use or --back, not both.")
    with workflow.open_session(folder) as session:
        if use is not None:
            workflow.use_round(session, use)
        now = workflow.back(session, recipe) if back else None
        found = workflow.rounds(session)
    lines = [_line(record) for record in found] or ["There is no round yet."]
    if now is not None:
        lines.append(f"In use now: {now or 'what is installed'}.")
    answer({"rounds": [asdict(record) for record in found]}, lines, as_json)


def train_session(
    folder: Path, recipe: str, minutes: float | None, seed: int, device: str, as_json: bool
) -> None:
    """Train in a session and say what came of it."""
    from napari_medseg import workflow

    run(workflow.train_session(folder, recipe, minutes, device, seed))
    with workflow.open_session(folder) as session:
        last = workflow.rounds(session)[-1]
    lines = [*last.left_out, _line(last)]
    if last.version:
        lines.append(f"It is not in use yet: medseg rounds {folder} --use {last.number}")
    answer(asdict(last), lines, as_json)


def _line(record: Any) -> str:
    """One round in a line."""
    said = record.verdict.sentence if record.verdict else record.error or record.message
    used = ", in use" if record.in_use else ""
    return f"Round {record.number} ({record.recipe}, {record.state}{used}): {said}"
