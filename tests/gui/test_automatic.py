"""Automatic masks in the panel: a known task chosen, one press, and what is made of the answer."""

import numpy as np
import pytest

from napari_medseg import workflow
from napari_medseg.core.structure import UNTITLED
from napari_medseg.core.task import Rule, Task, task_of
from napari_medseg.gui.layers import ROLE
from tests.gui import seer as seers

LIVER = task_of("liver_ct", ("liver", "liver tumour"), modality="CT (portal venous)", anatomy="abdomen")
LIVER = Task(LIVER.slug, "CT (portal venous)", "abdomen", "liver and tumour", structures=LIVER.structures,
             rules=(Rule("inside", "liver tumour", "liver"),))  # fmt: skip
HEAD = task_of("head_ct", ("skull",), modality="non-contrast CT", anatomy="brain", objective="skull")
HEART = task_of("heart_mr", ("left ventricle",), modality="cine MR", anatomy="heart", objective="ventricle")


@pytest.fixture
def seer(monkeypatch, phantom):
    monkeypatch.setattr(workflow, "tasks", lambda: [HEAD, HEART, LIVER])
    monkeypatch.setattr(workflow, "is_blind", lambda session, case, plane, index: False)
    method, held = seers.install(monkeypatch, phantom[1])
    yield method, held
    held.go_on.set()


@pytest.fixture
def knowing(seer, desk, phantom):
    """The phantom on screen and the method chosen that knows it."""
    desk.show(phantom[0])
    desk.select_method(seers.NAME)
    desk.wait_idle()
    return desk


def tasks(desk):
    return desk.panel.sections.get_mask.tasks


def pick(desk, slug):
    """Choose a line of the menu of known tasks as a person does."""
    menu = tasks(desk)
    menu.setCurrentIndex(menu.findData(slug))
    menu.activated.emit(menu.currentIndex())
    desk.wait_idle()


def run(desk, scope):
    desk.panel.sections.get_mask.scopes[scope].click()
    desk.panel.sections.get_mask.runs.run_button.click()
    desk.wait_idle()


def said(desk):
    return desk.panel.sections.message.text


def doubts(desk):
    return [layer for layer in desk.viewer.layers if layer.metadata.get(ROLE) == "doubt"]


def test_tasks_for_images_like_this_come_first(knowing):
    menu = tasks(knowing)
    lines = [menu.itemText(row).strip() for row in range(menu.count())]
    assert lines == [
        "What to outline…",
        *("For images like this", "Liver and tumour · CT", "Skull · non-contrast CT"),
        *("Others", "Ventricle · cine MR"),
    ]
    assert not menu.model().item(1).isEnabled() and menu.isVisible()
    assert "liver_ct" in menu.model().item(2).toolTip()
    form = knowing.panel.sections.drawers._contents["settings"]
    form.widgets["level"].value = 7
    knowing.select_method("threshold")
    assert not menu.isVisible()
    knowing.select_method(seers.NAME)
    form = knowing.panel.sections.drawers._contents["settings"]
    assert form.widgets["level"].value == 7, "settings are shown as they were left"
    assert knowing.panel.enquiry.choice.settings == {"level": 7}


def test_one_press_outlines_the_volume_without_a_prompt(knowing, seer, phantom):
    pick(knowing, "heart_mr")
    run(knowing, "volume")
    assert said(knowing).text() == "No left ventricle found on these slices."
    assert said(knowing).property("alarm") == "false" and not knowing.work.pending
    pick(knowing, "liver_ct")
    work = knowing.work
    assert work.mask.names == ("liver", "liver tumour") and work.current == "liver"
    assert work.task.rules == LIVER.rules
    run(knowing, "volume")
    request = seer[0].requests[-1]
    assert request.task.slug == "liver_ct" and not request.prompts
    for name in ("liver", "liver tumour"):
        np.testing.assert_array_equal(knowing.work.proposal.of(name), phantom[1][name])
    knowing.key("Ctrl+Z")
    assert not knowing.work.pending, "one undo takes the run back"

    knowing.key("Ctrl+Shift+Z")
    knowing.wait_idle()
    pick(knowing, "head_ct")
    assert knowing.work.mask.names == ("liver", "liver tumour", "skull")
    pick(knowing, "heart_mr")
    assert knowing.work.mask.names == ("liver", "liver tumour", "left ventricle")
    assert tasks(knowing).chosen == HEART
    assert knowing.panel.sections.task.words["objective"].text() == "ventricle"
    knowing.key("Ctrl+Z")
    knowing.wait_idle()
    assert tasks(knowing).chosen == HEAD, "the menu follows an undo"


def test_a_run_shows_what_it_has_and_can_be_cancelled(knowing, seer):
    pick(knowing, "liver_ct")
    seer[0].foreign = True
    run(knowing, "slice")
    assert knowing.panel.sections.caution.isVisible(), "a foreign image is said for the whole case"
    knowing.key("Shift+D")
    held = seer[1]
    held.at = 6
    knowing.panel.sections.get_mask.scopes["volume"].click()
    knowing.key("G")
    knowing.wait(held.reached.is_set)
    knowing.wait(lambda: len(knowing.work.pending) > 0)
    bar = knowing.panel.sections.get_mask.runs
    knowing.wait(bar.cancel_button.isVisible)
    bar.cancel_button.click()
    held.go_on.set()
    knowing.wait_idle()
    assert said(knowing).text().startswith("Stopped after slice")
    assert {index for _, _, index in knowing.work.pending} <= set(range(6))


def test_the_doubt_is_a_layer_while_it_is_proposed(knowing, phantom):
    pick(knowing, "liver_ct")
    run(knowing, "volume")
    button = knowing.panel.sections.proposal.doubt_button
    assert not doubts(knowing) and button.isVisible(), "off until asked for"
    z = int(np.argmax(phantom[1]["liver"].sum(axis=(1, 2))))
    knowing.go_to(z)
    knowing.key("U")
    button.click()
    knowing.wait_idle()
    (layer,) = doubts(knowing)
    assert knowing.viewer.layers.selection.active.name == "proposal" and knowing.panel.canvas.tool == "brush"
    drawn = knowing.panel.canvas.display.stored(layer.data)
    knowing.wait(lambda: all((drawn[i] > 0).any() for i in knowing.work.waiting("axial")))
    edge = drawn[z] > 0
    assert 0 < edge.sum() < phantom[1]["liver"][z].sum(), "the whole run's doubt, not that of its parts"
    assert not (edge & ~(phantom[1]["liver"][z] | phantom[1]["liver tumour"][z])).any()
    knowing.key("A")
    assert not drawn[z].any(), "what is accepted is not doubted"
    knowing.key("Ctrl+Z")
    np.testing.assert_array_equal(drawn[z] > 0, edge)
    knowing.key("Shift+D")
    knowing.wait_idle()
    assert not doubts(knowing) and not button.isVisible()
    run(knowing, "slice")
    assert len(doubts(knowing)) == 1, "who asked for it sees it with the next proposal"
    knowing.key("Shift+H")
    assert not doubts(knowing) and not button.isChecked()
    assert_weakest(knowing)


def assert_weakest(knowing):
    """A key goes to the slice most worth correcting and says why."""
    knowing.key("Shift+D")
    knowing.wait_idle()
    knowing.key("Shift+N")
    assert "no proposed slice left" in said(knowing).text()
    run(knowing, "volume")
    waiting, position = knowing.work.waiting("axial"), knowing.panel.presenter.position
    knowing.go_to(waiting[2])
    knowing.key("Shift+N")
    last = waiting[-1]  # the expected Dice falls from slice to slice
    assert knowing.panel.bench.index == last
    assert said(knowing).text() == (
        f"Slice {position(last) + 1}: the expected Dice of liver is {0.9 - 0.03 * last:.2f}, "
        f"the weakest of {len(waiting)} slices not corrected yet."
    )
    knowing.panel.sections.proposal.weakest_button.click()
    assert knowing.panel.bench.index == waiting[-2]
    assert f"number 2 of {len(waiting)}" in said(knowing).text()
    knowing.key("A")
    knowing.key("Shift+N")
    assert knowing.panel.bench.index == last
    assert f"the weakest of {len(waiting) - 1}" in said(knowing).text()


def test_a_task_is_typed_and_kept(desk, phantom):
    desk.show(phantom[0])
    form = desk.panel.sections.task
    for name, word in {"objective": "Spleen", "modality": "CT", "site": "ward 3"}.items():
        form.words[name].setText(word)
    form.structures.setText("spleen, spleen , cyst")
    form.apply_button.click()
    desk.wait_idle()
    assert desk.work.mask.names == ("spleen", "cyst") and UNTITLED not in desk.work.mask.names
    assert (desk.work.task.slug, desk.work.task.site) == ("spleen", "ward 3")
    assert desk.panel.memory.session.task.structure_names == ("spleen", "cyst")
