"""One round on a real session: what is trained on, what is scored, what is kept and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_medseg.core.errors import TaskError
from napari_medseg.core.progress import Progress, finish
from napari_medseg.learning.round import Before, Plan, run_round
from napari_medseg.networks.weights import read_model
from tests.taught import TASK, Bright, picture, taught, teach, write_model


class Fixed(Bright):
    """Remembers the examples it was given."""

    def segment(self, request):
        self.examples = request.examples
        return (yield from super().segment(request))


def plan(level: float, before: Before | None = None, number: int = 1, seen: list | None = None) -> Plan:
    def learn(slices, out):
        if seen is not None:
            seen.extend(slices)
        yield Progress(0.5, "Training")
        return write_model(out, level)

    return Plan(
        TASK, f"round-{number}", number, learn, lambda model: Bright(model.numbers["level"]), before
    )  # fmt: skip


@pytest.fixture
def session(tmp_path: Path):
    with taught(tmp_path / "session") as session:
        (tmp_path / "work").mkdir()
        yield session


def test_a_better_version_is_kept_with_its_verdict(session, tmp_path: Path) -> None:
    seen: list = []
    steps: list[float] = []
    job = run_round(session, plan(110, Before("by hand", Bright(150)), seen=seen), tmp_path / "work")
    outcome = finish(job, lambda step: steps.append(step.done))
    assert outcome.verdict.outcome == "better" and outcome.version == "round-1"
    assert "(by hand)" in outcome.verdict.sentence and "5 better, 0 worse" in outcome.verdict.sentence
    model = read_model(session.versions / "round-1", "session")
    assert model.card["round"] == 1 and len(model.card["slices"]) == len(seen) == outcome.n_trained == 15
    shares = session.lessons.shares()
    assert sorted(shares.values()) == ["held back"] * 5 + ["trained on"] * 15
    assert {one.key for one in seen} == {key for key, share in shares.items() if share == "trained on"}
    assert steps == sorted(steps) and session.in_use("hsp_sam", TASK) is None


def test_dice_is_that_of_the_original_resolution(session, tmp_path: Path) -> None:
    """Against the overlap counted by hand on the pictures themselves."""
    outcome = finish(run_round(session, plan(110, Before("", Bright(90))), tmp_path / "work"))
    held = [int(key[0][5:]) - 1 for key, share in session.lessons.shares().items() if share == "held back"]
    by_hand = []
    for seed in held:
        volume, mask = picture(seed)
        answer, truth = volume.array > 90, mask.of("disc")
        by_hand.append(2 * (answer & truth).sum() / (answer.sum() + truth.sum()))
    assert outcome.verdict.structures[0].before == pytest.approx(np.mean(by_hand))


def test_a_worse_version_is_refused_and_its_slices_are_not_used_up(session, tmp_path: Path) -> None:
    outcome = finish(run_round(session, plan(250, Before("", Bright(110))), tmp_path / "work"))
    assert outcome.verdict.outcome == "worse" and outcome.version == ""
    assert list(session.versions.iterdir()) == []
    assert set(session.lessons.shares().values()) == {"held back"}


def test_what_was_held_back_once_is_never_trained_on(session, tmp_path: Path) -> None:
    seen: list = []
    finish(run_round(session, plan(110, seen=seen), tmp_path / "work"))
    held = {key for key, share in session.lessons.shares().items() if share == "held back"}
    for number, more in ((2, range(20, 31)), (3, range(31, 50))):
        teach(session, more)
        outcome = finish(run_round(session, plan(110, number=number, seen=seen), tmp_path / "work"))
        assert outcome.verdict.outcome == "first"  # nothing to compare with was given
    now = {key for key, share in session.lessons.shares().items() if share == "held back"}
    assert held < now and not now & {one.key for one in seen} and len(now) == 10


def test_five_examples_of_training_slices_are_what_to_compare_with(session, tmp_path: Path) -> None:
    method = Fixed(110)
    finish(run_round(session, plan(110, Before("from five examples", method, True)), tmp_path / "work"))
    assert len(method.examples) == 5
    held = {key[0] for key, share in session.lessons.shares().items() if share == "held back"}
    assert not {f"case-{int(one.volume.name.split()[1])}" for one in method.examples} & held


def test_too_few_says_how_many_more_and_what_was_left_out(tmp_path: Path) -> None:
    with taught(tmp_path / "few", 4) as session, pytest.raises(TaskError) as caught:
        finish(run_round(session, plan(110), tmp_path))
    assert str(caught.value) == ("Training needs at least 5 accepted slices and there are 4: accept 1 more.")
    with taught(tmp_path / "none", 0) as session, pytest.raises(TaskError, match="there are none: accept 5"):
        finish(run_round(session, plan(110), tmp_path))
    with taught(tmp_path / "tiny", 5) as session:
        volume, mask = picture(0)
        spot = np.zeros(volume.geometry.shape, bool)
        spot[0, 3, 3] = True
        session.accept("case-1", mask.put("disc", spot).review("axial", [0]), volume)
        with pytest.raises(TaskError, match="1 was left out, such as: case 1, axial slice 0: disc has 1 p"):
            finish(run_round(session, plan(110), tmp_path))
