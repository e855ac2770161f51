"""What a round's process runs, steered through files; the recipe learns a grey value in a moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_medseg import methods, workflow
from napari_medseg.core.errors import SessionError, TaskError
from napari_medseg.core.progress import finish
from napari_medseg.core.task import task_of
from napari_medseg.session.rounds import only_one, rounds_of
from napari_medseg.workflow import recipes, train_session
from tests import taught


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recipes, "RECIPES", dict(recipes.RECIPES))
    monkeypatch.setattr(recipes, "before", recipes.before)
    monkeypatch.setitem(methods.menu(), "bright", None)
    taught.install()
    with taught.taught(tmp_path / "session") as session:
        yield session


def state(session):
    return workflow.rounds(session)[-1]


def test_from_accepted_slices_to_a_version_and_back(session) -> None:
    first = finish(train_session(session.folder, minutes=0.001))
    record = state(session)
    assert (record.number, record.state, record.fraction, record.verdict) == (1, "finished", 1.0, first)
    assert record.version == "hsp-sam-round-1" and not record.in_use and record.structures == ("disc",)
    assert workflow.model_for("bright", session=session, task=taught.TASK) is None  # not in use: not taken
    workflow.use_round(session, 1)
    workflow.use_round(session, 1)  # once more changes nothing
    assert state(session).in_use
    assert workflow.model_for("bright", session=session, task=taught.TASK).name == "hsp-sam-round-1"
    taught.teach(session, range(20, 30))
    second = finish(train_session(session.folder, minutes=0.001))
    assert second.outcome == "no change"  # beside the version in use, which knows the level already
    workflow.use_round(session, 2)
    assert [record.in_use for record in workflow.rounds(session)] == [False, True]
    assert workflow.back(session) == "hsp-sam-round-1"
    assert workflow.back(session) == ""
    with pytest.raises(TaskError, match="nothing to go back from"):
        workflow.back(session)


def test_what_is_worse_cannot_be_used(session) -> None:
    assert finish(train_session(session.folder, minutes=0.001, seed=9)).outcome == "worse"
    assert state(session).version == "" and state(session).state == "finished"
    with pytest.raises(TaskError, match="Round 1 made things worse and was refused"):
        workflow.use_round(session, 1)
    with pytest.raises(TaskError, match="There is no round 7"):
        workflow.use_round(session, 7)


def test_pause_resume_and_cancel(session) -> None:
    job = train_session(session.folder, minutes=10)
    while next(job).message != "Training":
        pass
    assert state(session).state == "running" and 0 < state(session).minutes_left <= 10
    workflow.pause_round(session, 1)
    assert [next(job).message for _ in range(3)][1:] == ["Paused", "Paused"]
    assert state(session).state == "paused"
    workflow.resume_round(session, 1)
    assert next(job).message == "Training"
    workflow.cancel_round(session, 1)
    with pytest.raises(TaskError, match="Round 1 was stopped as asked; nothing changed"):
        finish(job)
    assert state(session).state == "cancelled" and list(session.versions.iterdir()) == []
    with pytest.raises(TaskError, match="does not run any more: it is cancelled"):
        workflow.pause_round(session, 1)
    with pytest.raises(TaskError, match=r"left no version to use \(cancelled\)"):
        workflow.use_round(session, 1)


def test_not_to_ask_for_more_cancels(session) -> None:
    job = train_session(session.folder, minutes=10)
    next(job)
    job.close()
    assert state(session).state == "cancelled"
    assert not (rounds_of(session.folder)[0].folder / "work").exists()


def test_a_fault_is_remembered_and_the_next_round_begins(session) -> None:
    with pytest.raises(ZeroDivisionError):
        finish(train_session(session.folder, minutes=0.001, seed=8))
    assert state(session).state == "failed" and "Something went wrong" in state(session).error
    assert finish(train_session(session.folder, minutes=0.001)).outcome == "better"


def test_a_full_disk_stops_the_round_and_nothing_else(session, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise SessionError("The disk is full: free some space and try again.")

    monkeypatch.setattr("napari_medseg.learning.round.keep_version", full)
    with pytest.raises(SessionError, match="The disk is full"):
        finish(train_session(session.folder, minutes=0.001))
    assert (state(session).state, state(session).version) == ("failed", "")
    assert state(session).error == "The disk is full: free some space and try again."
    assert "trained on" not in session.lessons.shares().values()
    assert session.load("case-20") is not None


def test_what_cannot_begin_says_why(session, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no recipe 'magic' for a session; the recipes are: hsp_sam"):
        next(train_session(session.folder, "magic"))
    with pytest.raises(TaskError, match="more than 0 minutes, not -1"):
        next(train_session(session.folder, minutes=-1))
    with only_one(session.folder), pytest.raises(SessionError, match="is training in this session already"):
        next(train_session(session.folder))
    taught.taught(tmp_path / "few", 3).close()
    with pytest.raises(TaskError, match="there are 3: accept 2 more"):
        finish(train_session(tmp_path / "few", minutes=0.001))
    workflow.create_session(tmp_path / "none", taught.TASK).close()
    with pytest.raises(TaskError, match="No accepted slice shows a structure of the task yet"):
        next(train_session(tmp_path / "none"))
    session.rename_structure("disc", "untitled")
    with pytest.raises(TaskError, match="Name the structure 'untitled' first"):
        next(train_session(session.folder))


def test_only_what_is_outlined_is_learnt(session) -> None:
    session.set_task(task_of("more", ("cup", "disc")))
    finish(train_session(session.folder, minutes=0.001))
    assert state(session).structures == ("disc",)
    workflow.use_round(session, 1)
    assert session.in_use("bright", taught.TASK) == "hsp-sam-round-1"


def test_no_file_of_a_round_names_a_patient_a_path_or_a_picture(session, tmp_path: Path) -> None:
    taught.teach(session, range(20, 26), lambda seed: "Erika Mustermann")
    finish(train_session(session.folder, minutes=0.01))
    said = b"".join(path.read_bytes() for path in (session.folder / "rounds").rglob("*") if path.is_file())
    said += b"".join(path.read_bytes() for path in session.versions.rglob("*.json"))
    assert b"better" in said
    assert not [word for word in (b"Mustermann", b".png", str(tmp_path).encode()) if word in said]
