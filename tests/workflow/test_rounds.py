"""Whether a round can begin, and what the disk says of rounds that were."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_medseg import workflow
from napari_medseg.core.task import Task
from napari_medseg.session.rounds import RoundFolder, only_one
from tests.taught import TASK, taught


@pytest.fixture
def session(tmp_path: Path):
    with taught(tmp_path / "session", 3) as session:
        yield session


def test_readiness_counts_what_is_new(session, tmp_path: Path) -> None:
    few = workflow.readiness(session)
    assert (few.n_new, few.can_train) == (3, False)
    assert few.why == "Accept 2 more slices: training needs at least 5."
    with taught(tmp_path / "more", 20) as more:
        ready = workflow.readiness(more)
        assert (ready.n_new, ready.minutes, ready.can_train) == (20, 2.0, True)
        assert ready.why == "20 new accepted slices; training takes about 2 minutes."
        more.lessons.keep(more.lessons.accepted(), "trained on", 1)
        assert workflow.readiness(more).why.startswith("Nothing new was accepted; training")
        with only_one(more.folder):
            assert workflow.readiness(more).why == "A round is training now."
        more.set_task(Task("untitled"))
        assert workflow.readiness(more).why.startswith("Name a structure first")


def test_a_round_whose_process_is_gone_is_lost(session) -> None:
    with only_one(session.folder):
        first = RoundFolder.begin(session.folder, {"recipe": "hsp_sam", "minutes": 2, "structures": ["disc"]})
        first.tell({"done": 0.4, "message": "Training", "minutes_left": 1.2, "paused": False})
        (running,) = workflow.rounds(session)
        assert (running.state, running.fraction, running.minutes_left) == ("running", 0.4, 1.2)
        second = RoundFolder.begin(session.folder, {"recipe": "hsp_sam", "structures": ["disc"]})
        assert [record.state for record in workflow.rounds(session)] == ["lost", "running"]
        second.finish({"state": "failed", "error": "The disk is full."})
    lost, failed = workflow.rounds(session)
    assert "nothing accepted is lost" in lost.error and lost.minutes_left == 0 and lost.verdict is None
    assert (failed.state, failed.error) == ("failed", "The disk is full.")
    assert lost.task.fits(TASK.structure_names)


def test_blind_is_the_session_s(session) -> None:
    spots = [("case-1", "axial", index) for index in range(400)]
    blind = [workflow.is_blind(session, *spot) for spot in spots]
    assert blind == [session.lessons.is_blind(*spot) for spot in spots] and 0 < sum(blind) < 60
