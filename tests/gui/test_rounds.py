"""A real round, in a process of its own, begun and steered from the panel; only what it learns is simple."""

import os
import sys
from pathlib import Path

import pytest

from napari_medseg import methods, workflow
from napari_medseg.workflow import detached, recipes
from tests import taught
from tests.gui.conftest import Desk

SCRIPT = Path(__file__).with_name("slow_round.py")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="Signals are POSIX's.")


@pytest.fixture
def lessons(home, monkeypatch):
    """The folder of a session with twenty accepted pictures; rounds learn a grey value."""
    monkeypatch.setattr(workflow, "is_blind", lambda session, case, plane, index: False)
    monkeypatch.setitem(methods.menu(), "bright", None)
    monkeypatch.setitem(recipes.RECIPES, "hsp_sam", taught.BRIGHT)
    monkeypatch.setattr(recipes, "before", recipes.before)
    taught.install()
    monkeypatch.setattr(detached, "COMMAND", (sys.executable, str(SCRIPT)))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("ROUND_MINUTES", "2")
    folder = home / "sessions" / "untitled"
    taught.taught(folder).close()
    yield folder
    with workflow.open_session(folder) as session:
        if any(record.state in ("running", "paused") for record in workflow.rounds(session)):
            workflow.cancel_round(session, workflow.rounds(session)[-1].number)


def test_a_round_is_begun_paused_found_again_and_stopped(lessons, make_napari_viewer_proxy, qtbot):
    desk = Desk(make_napari_viewer_proxy(show=True), qtbot)
    chip = desk.panel.sections.learn
    desk.wait(chip.train_button.isVisible)  # before any image is open
    assert chip.train_button.text().startswith("20 new corrections: train now (")
    chip.train_button.click()
    assert not chip.train_button.isEnabled()
    desk.wait(chip.cancel_button.isVisible)
    chip.pause_button.click()
    desk.wait(lambda: chip.bar.format() == "Paused")

    desk.close()  # the panel goes, the round stays
    desk = Desk(desk.viewer, qtbot)
    chip = desk.panel.sections.learn
    desk.wait(lambda: chip.bar.isVisible() and chip.bar.format() == "Paused")
    chip.pause_button.click()
    desk.wait(lambda: "left" in chip.bar.format())
    chip.cancel_button.click()
    desk.wait(chip.verdict.isVisible)
    assert "stopped" in chip.verdict.text() and not chip.use_button.isVisible()
    desk.close()


def test_what_ended_meanwhile_is_used_and_given_back(lessons, make_napari_viewer_proxy, qtbot):
    workflow.finish(workflow.train_session(lessons, minutes=0.001))
    desk, (volume, truth) = Desk(make_napari_viewer_proxy(show=True), qtbot), taught.picture(90)
    chip, message = desk.panel.sections.learn, desk.panel.sections.message
    desk.wait(chip.use_button.isVisible)
    assert chip.verdict.text().startswith("Disc") and chip.verdict.property("alarm") == "false"
    desk.show(volume)
    desk.panel.bench.stroke("axial", 0, truth.of("disc")[0])
    chip.use_button.click()
    desk.wait(chip.back_button.isVisible)
    said = "Round 1 is in use from the next request on; what is proposed now stays as it is."
    assert message.text.text() == said
    session = desk.panel.memory.session
    assert session.in_use("bright", taught.TASK) == "hsp-sam-round-1"
    chip.back_button.click()
    desk.wait(chip.use_button.isVisible)
    assert session.in_use("bright", taught.TASK) is None
    chip.details_button.click()
    rows = desk.panel.sections.learning.rows
    assert rows.isVisible() and rows.topLevelItem(0).text(0) == "disc"

    desk.panel.bench.add_structure("rim")  # a version is asked for just what it has learnt
    drawer = desk.panel.sections.learning  # its buttons stand for the chip's while it is open
    drawer.use_button.click()
    desk.wait(drawer.back_button.isVisible)
    desk.select_method("bright")
    desk.panel.bench.discard()
    desk.panel.sections.get_mask.runs.run_button.click()
    desk.wait_idle()
    held = desk.work.pending["disc", "axial", 0]
    assert held.model.startswith("hsp-sam-round-1") and len(desk.work.pending) == 1
    desk.close()
