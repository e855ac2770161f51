"""The Learn chip and its drawer against values made by hand; a real round is in test_rounds.py."""

import pytest

from napari_medseg.gui.learn_drawer import LearnDrawer
from napari_medseg.gui.learn_section import LearnSection, minutes
from napari_medseg.gui.rounds import Learning
from napari_medseg.workflow import Change, Readiness, RoundRecord, Verdict

READY = Readiness(14, 6.2, True, "14 new accepted slices; training takes about 6 minutes.")
BUSY = Readiness(14, 6.2, False, "A round is training now.")
LIVER = Change("liver", 0.91, 0.93, 0.004, 0.035, 14, 2, 20, 6, "better")
CYST = Change("cyst", None, 0.72, None, None, 0, 0, 8, 4, "first")
TOLD = "Liver 0.91 to 0.93 on 20 held-back slices of 6 patients: 14 better, 2 worse."
BETTER = Verdict("better", TOLD, (LIVER, CYST), 20, 6)
WORSE = Verdict("worse", "Liver 0.91 to 0.80. The new version is worse and is not used.", (LIVER,), 20, 6)
DONE = RoundRecord(3, "hsp_sam", "finished", 1.0, "", 0.0, "hsp-sam-round-3", BETTER,
                   left_out=("case 3, axial slice 4: liver has 3 pixels only.",))  # fmt: skip


@pytest.fixture
def chip(qtbot):
    section = LearnSection()
    qtbot.addWidget(section)
    section.show()
    return section


@pytest.fixture
def drawer(qtbot):
    found = LearnDrawer()
    qtbot.addWidget(found)
    found.show()
    return found


def buttons(chip):
    """What can be pressed."""
    names = ("train", "pause", "cancel", "use", "back", "details", "dismiss")
    return {name for name in names if getattr(chip, f"{name}_button").isVisible()}


def test_it_offers_to_train_once_there_is_enough(chip, qtbot):
    chip.show_accepted(3)
    assert chip.text.text() == "3 slices accepted" and not buttons(chip)
    few = "Accept 2 more slices: training needs at least 5."
    chip.show_learning(Learning(Readiness(3, 2.0, False, few)))
    assert chip.text.text() == few and not buttons(chip)
    chip.show_learning(Learning(READY))
    assert chip.train_button.text() == "14 new corrections: train now (6 min)"
    with qtbot.waitSignal(chip.train_requested):
        chip.train_button.click()
    assert not chip.train_button.isEnabled(), "one press, one round"


def test_a_round_is_watched_paused_and_cancelled(chip):
    asked = []
    chip.steer_requested.connect(lambda wish, number: asked.append((wish, number)))
    running = RoundRecord(3, "hsp_sam", "running", 0.4, "Training", 3.6)
    chip.show_learning(Learning(BUSY, (running,)))
    assert buttons(chip) == {"pause", "cancel"} and not chip.text.isVisible()
    assert (chip.bar.value(), chip.bar.format()) == (40, "Learning: 4 min left")
    chip.pause_button.click()
    chip.show_learning(Learning(BUSY, (RoundRecord(3, "hsp_sam", "paused", 0.4),)))
    assert chip.bar.format() == "Paused" and chip.pause_button.text() == "Go on"
    chip.pause_button.click()
    chip.cancel_button.click()
    assert asked == [("pause", 3), ("resume", 3), ("cancel", 3)]


def test_a_better_version_is_used_and_given_back_with_one_press_each(chip, qtbot):
    chip.show_learning(Learning(READY, (DONE,)))
    assert chip.verdict.text() == BETTER.sentence and chip.verdict.property("alarm") == "false"
    assert buttons(chip) == {"use", "details", "dismiss"}
    with qtbot.waitSignal(chip.use_requested) as asked:
        chip.use_button.click()
    assert asked.args == [3]
    used = RoundRecord(3, "hsp_sam", "finished", 1.0, "", 0.0, "hsp-sam-round-3", BETTER, True)
    chip.show_learning(Learning(READY, (used,)))
    assert buttons(chip) == {"back", "details", "dismiss"}
    chip.dismiss_button.click()
    assert buttons(chip) == {"train"} and not chip.verdict.isVisible()


@pytest.mark.parametrize(
    ("record", "told", "alarm"),
    [
        (RoundRecord(1, "hsp_sam", "finished", verdict=WORSE), WORSE.sentence, "true"),
        (RoundRecord(1, "hsp_sam", "failed", error="The disk is full."), "The disk is full.", "true"),
        (RoundRecord(1, "hsp_sam", "lost", error="Its process ended."), "Its process ended.", "true"),
        (RoundRecord(1, "hsp_sam", "cancelled", error="It was stopped."), "It was stopped.", "false"),
    ],
)
def test_what_came_to_nothing_says_so_and_cannot_be_used(chip, record, told, alarm):
    chip.show_learning(Learning(BUSY, (RoundRecord(1, "hsp_sam", "running"),)))
    chip.show_learning(Learning(READY, (record,)))
    assert chip.verdict.text() == told and chip.verdict.property("alarm") == alarm
    assert buttons(chip) == {"details", "dismiss"}
    chip.set_elsewhere(True)
    assert buttons(chip) == {"train"}, "what the drawer shows is not shown twice"


def test_what_was_settled_before_the_panel_opened_is_no_news(chip):
    used = RoundRecord(3, "hsp_sam", "finished", 1.0, "", 0.0, "hsp-sam-round-3", BETTER, True)
    chip.show_learning(Learning(READY, (used,)))
    assert buttons(chip) == {"train"}


def test_the_drawer_lists_structures_reasons_and_rounds(drawer, qtbot):
    old = RoundRecord(2, "hsp_sam", "finished", verdict=WORSE)
    drawer.show_learning(Learning(READY, (old, DONE)))
    row = drawer.rows.topLevelItem(0)
    assert [row.text(column) for column in range(3)] == ["liver", "0.91 → 0.93", "+0.00 to +0.04"]
    assert row.toolTip(1) == "liver: better; 14 better, 2 worse of 20 held-back slices of 6 patients"
    assert [drawer.rows.topLevelItem(1).text(c) for c in range(3)] == ["cyst", "0.72", ""]
    assert drawer.left_out.item(0).text() == "case 3, axial slice 4: liver has 3 pixels only."
    assert [drawer.rounds.topLevelItem(n).text(1) for n in range(2)] == ["better", "worse"]
    with qtbot.waitSignal(drawer.use_requested) as asked:
        drawer.use_button.click()
    assert asked.args == [3] and not drawer.back_button.isEnabled()
    drawer.rounds.setCurrentItem(drawer.rounds.topLevelItem(1))
    assert not drawer.use_button.isEnabled() and not drawer.left_out.isVisible()
    drawer.show_learning(Learning(BUSY, (old, DONE)))
    assert drawer.rounds.currentItem().text(0) == "2", "a look at an old round is not interrupted"


@pytest.mark.parametrize(("n", "said"), [(0.3, "less than 1 min"), (0.8, "1 min"), (6.2, "6 min")])
def test_minutes_are_said_as_one_waits(n, said):
    assert minutes(n) == said
