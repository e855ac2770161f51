"""A real process trains beside this one: it is watched, paused, cancelled and killed."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from napari_medseg import workflow
from napari_medseg.core.errors import TaskError
from napari_medseg.networks.weights import verify
from napari_medseg.session.store import Session
from napari_medseg.workflow import detached
from tests.taught import TASK, taught

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("fake_round.py")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="Signals are POSIX's.")


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(detached, "COMMAND", (sys.executable, str(SCRIPT)))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with taught(tmp_path / "session") as session:
        yield session
        for record in workflow.rounds(session):
            if record.state in ("running", "paused"):
                workflow.cancel_round(session, record.number)
                until(session, lambda last: last.state == "cancelled")


def until(session: Session, reached: Callable[[workflow.RoundRecord], bool]) -> workflow.RoundRecord:
    """Wait until the last round is as wished."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        record = workflow.rounds(session)[-1]
        if reached(record):
            return record
        time.sleep(0.05)
    raise AssertionError(f"It never came to that: {record}")


def process_of(session: Session) -> int:
    """The process that holds a file of the session's rounds open."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(SCRIPT).encode() in words and str(session.folder).encode() in words:
            return int(place.name)
    raise AssertionError("There is no such process.")


def test_a_round_goes_its_way(session) -> None:
    begun = workflow.start_training(session, minutes=0.02)
    assert begun.number == 1 and begun.state in ("running", "finished")
    done = until(session, lambda last: last.state not in ("running", "paused"))
    assert done.state == "finished" and done.verdict is not None and done.verdict.outcome == "better"
    assert done.version == "hsp-sam-round-1" and not done.in_use
    lines = (session.folder / "rounds" / "1" / "progress.jsonl").read_text().splitlines()
    steps = [json.loads(line)["done"] for line in lines]
    assert len(steps) > 1 and steps == sorted(steps)  # a quick machine tells little
    workflow.use_round(session, 1)
    assert workflow.rounds(session)[0].in_use


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="The process is found in /proc.")
def test_a_killed_round_is_lost_and_nothing_else_is(session) -> None:
    workflow.start_training(session, minutes=10)
    until(session, lambda last: last.message == "Training")
    with pytest.raises(TaskError, match="A round is training now"):
        workflow.start_training(session)
    pid = process_of(session)
    assert os.getsid(pid) != os.getsid(0) and os.getpriority(os.PRIO_PROCESS, pid) >= 10
    before = {record.id: record.revision for record in session.cases()}
    os.kill(pid, signal.SIGKILL)
    lost = until(session, lambda last: last.state not in ("running", "paused"))
    assert lost.state == "lost" and lost.version == "" and list(session.versions.iterdir()) == []
    assert {record.id: record.revision for record in session.cases()} == before
    assert "trained on" not in session.lessons.shares().values()
    workflow.start_training(session, minutes=0.01)  # and the next one begins
    assert until(session, lambda last: last.state not in ("running", "paused")).state == "finished"
    assert [record.state for record in workflow.rounds(session)] == ["lost", "finished"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="The process is found in /proc.")
def test_killed_at_random_moments_a_round_leaves_a_whole_version_or_none(session) -> None:
    random = Random(5)
    before = {record.id: record.revision for record in session.cases()}
    for number in range(1, 6):
        workflow.start_training(session, minutes=0.002)
        time.sleep(random.uniform(0.0, 1.5))
        with suppress(AssertionError, ProcessLookupError):  # it may have ended by itself
            os.kill(process_of(session), signal.SIGKILL)
        record = until(session, lambda last: last.state not in ("running", "paused"))
        assert record.number == number and record.state in ("lost", "finished")
        assert (record.version != "") == (record.state == "finished")
        for model in workflow.models(session):
            if model.origin == "session":
                verify(model)
    assert session.in_use("bright", TASK) is None
    assert {record.id: record.revision for record in session.cases()} == before


def test_a_round_is_paused_and_cancelled_from_outside(session) -> None:
    workflow.start_training(session, minutes=10)
    until(session, lambda last: last.message == "Training")
    workflow.pause_round(session, 1)
    paused = until(session, lambda last: last.state == "paused")
    assert workflow.rounds(session)[-1].fraction == paused.fraction
    workflow.resume_round(session, 1)
    until(session, lambda last: last.state == "running")
    workflow.cancel_round(session, 1)
    assert until(session, lambda last: last.state == "cancelled").error.startswith("It was stopped before")


def test_what_keeps_a_process_from_beginning_is_said(session, monkeypatch: pytest.MonkeyPatch) -> None:
    session.rename_structure("disc", "untitled")
    session.set_task(session.task)
    with pytest.raises(TaskError, match="Name a structure first"):
        workflow.start_training(session)
    session.rename_structure("untitled", "disc")
    with pytest.raises(TaskError, match="more than 0 minutes, not -1"):  # in the process's own words
        workflow.start_training(session, minutes=-1)
