"""Begin a round in a process of its own, beside the viewer."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from napari_medseg.core.errors import TaskError
from napari_medseg.workflow.rounds import RoundRecord, readiness, rounds

if TYPE_CHECKING:
    from napari_medseg.session.store import Session

COMMAND = (sys.executable, "-m", "napari_medseg")
_PATIENCE = 120.0  # seconds for a process to begin


def start_training(
    session: Session, recipe: str = "hsp_sam", minutes: float | None = None, device: str = "auto"
) -> RoundRecord:
    """Begin a round in a process of its own, which goes on when this one ends; returns once it lives.

    Takes some seconds: not for the GUI thread.

    Raises
    ------
    TaskError
        If it cannot begin, in the words of the process itself.
    """
    from napari_medseg.session.rounds import log_file

    state = readiness(session, recipe)
    if not state.can_train:
        raise TaskError(state.why)
    known = {record.number for record in rounds(session)}
    log = log_file(session.folder)
    given = [] if minutes is None else ["--minutes", f"{minutes:g}"]
    words = [str(session.folder), "--recipe", recipe, "--device", device, *given]
    process = _detached([*COMMAND, "train", *words], log)
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        ended = process.poll() is not None
        begun = [record for record in rounds(session) if record.number not in known]
        if begun:
            Thread(target=process.wait, name="medseg round", daemon=True).start()  # leaves no zombie
            return begun[-1]
        if ended:
            raise TaskError(_last_line(log) or "The training process ended before it began; try again.")
        time.sleep(0.05)
    process.kill()
    process.wait()
    raise TaskError("The training process did not begin within two minutes; try again when less is running.")


def _detached(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a process that outlives this one and gives way to whatever else the machine does."""
    n_threads = str(max(1, (os.cpu_count() or 2) - 1))
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": n_threads}
    how: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        flags = ("DETACHED_PROCESS", "CREATE_NEW_PROCESS_GROUP", "BELOW_NORMAL_PRIORITY_CLASS")
        how = {"creationflags": sum(getattr(subprocess, flag) for flag in flags)}
    place = Path(__file__).resolve().parents[2]  # where `-m napari_medseg` finds this program
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=place, env=environment, **how
        )  # fmt: skip
    if sys.platform != "win32":
        os.setpriority(os.PRIO_PROCESS, process.pid, 10)
    return process


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
