"""Slices asked for without a proposal, in the panel; the disk's answer to which ones is replaced."""

import numpy as np
import pytest

from napari_medseg import workflow
from napari_medseg.core.task import task_of
from tests.gui import seer as seers
from tests.gui.test_automatic import pick, run, said

BLIND = {4, 7}
LIVER = task_of("liver_ct", ("liver",))


@pytest.fixture
def judged(monkeypatch, desk, phantom):
    """A volume outlined by a method that is judged, two slices of it blind."""
    monkeypatch.setattr(workflow, "tasks", lambda: [LIVER])
    monkeypatch.setattr(
        workflow, "is_blind", lambda session, case, plane, index: bool(case) and index in BLIND
    )
    seers.install(monkeypatch, phantom[1])
    desk.panel.sections.get_mask.set_menu(workflow.menu(), seers.NAME)
    desk.show(phantom[0])
    pick(desk, "liver_ct")
    run(desk, "volume")
    return desk


def states(desk):
    return desk.work.states("axial")


def test_the_proposal_is_withheld_until_the_person_has_outlined_the_slice(judged, phantom):
    section, numbers = judged.panel.sections.proposal, [judged.panel.presenter.position(i) + 1 for i in BLIND]
    assert [i for i, state in enumerate(states(judged)) if state == "blind"] == sorted(BLIND)
    told = f"slices {min(numbers)}, {max(numbers)} are asked for without its proposal."
    assert said(judged).text().endswith(told)
    assert not judged.work.proposal.on_slice("liver", "axial", 4).any()
    assert not section.blind.isVisible()
    judged.go_to(4)
    assert section.blind.isVisible() and section.reveal_button.isVisible()
    mine = np.zeros((96, 96), bool)
    mine[30:50, 30:50] = True
    judged.panel.bench.stroke("axial", 4, mine)
    assert states(judged)[4] == "edited"
    judged.key("A")
    judged.wait_idle()
    np.testing.assert_array_equal(judged.work.mask.on_slice("liver", "axial", 4), mine)
    assert judged.work.mask.provenance[-1].method == "by hand"
    assert not section.blind.isVisible() and not judged.work.is_blind("axial", 4)
    judged.key("Ctrl+Z")
    assert judged.work.is_blind("axial", 4), "undo makes it blind again"

    judged.go_to(7)
    judged.panel.sections.proposal.reveal_button.click()  # it can be looked at all the same
    judged.wait_idle()
    np.testing.assert_array_equal(judged.work.shown("liver", "axial", 7), phantom[1]["liver"][7])
    assert states(judged)[7] in ("proposed", "doubtful")
    assert not judged.panel.sections.proposal.blind.isVisible()
    judged.key("Ctrl+Z")
    assert states(judged)[7] == "blind" and not judged.work.proposal.on_slice("liver", "axial", 7).any()

    boxes = judged.panel.sections.drawers._contents["settings"].switches
    (box,) = [box for box in boxes if "blind" in box.text()]
    box.click()
    judged.key("Shift+D")
    judged.wait_idle()
    run(judged, "volume")
    assert judged.work.proposal.on_slice("liver", "axial", 7).any(), "the settings switch it off"
