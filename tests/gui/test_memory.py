"""The session as the panel sees it, with a real session on the disk and no viewer."""

from dataclasses import replace

import numpy as np
import pytest

from napari_medseg.core.errors import SessionError
from napari_medseg.core.geometry import Geometry, from_spacing
from napari_medseg.core.volume import Volume
from napari_medseg.gui import edits
from napari_medseg.gui.memory import Memory
from napari_medseg.gui.work import Pending, touched
from napari_medseg.session.store import Session

SHAPE = (3, 8, 9)
FULL = np.ones(SHAPE[1:], bool)


class Window:
    """A window of the program: the case in hand and what it was told."""

    def __init__(self, qtbot, volume, path):
        self.memory, self.said, self.qtbot = Memory(), [], qtbot
        self.memory.failed.connect(self.said.append)
        self.opened = []
        self.memory.worker.start(lambda: self.memory.case_of(volume, path, ""), self.opened.append)
        self.wait()
        self.work = self.opened[0].work

    def wait(self):
        self.qtbot.waitUntil(lambda: not self.memory.worker.busy, timeout=60_000)

    def become(self, step, saved=False):
        """Go on as the bench does."""
        before, self.work = self.work, step[0]
        if saved:
            self.memory.save(self.work)
        self.memory.note(self.work, touched(before, self.work))
        self.wait()

    def propose(self, index):
        self.become(edits.propose(self.work, ("untitled", "axial", index), FULL, Pending()))

    def accept(self, index):
        self.become(edits.accept(self.work, "axial", index), saved=True)

    def die(self):
        """What is left on the disk when the process goes."""
        self.memory.close()


@pytest.fixture
def volume():
    return Volume(np.zeros(SHAPE, np.int16), Geometry(SHAPE, from_spacing((1.0, 1.0, 1.0))))


@pytest.fixture
def window(qtbot, home, volume, tmp_path):
    """Makes windows on one and the same image."""
    made = []

    def make():
        made.append(Window(qtbot, volume, tmp_path / "image.nii"))
        return made[-1]

    yield make
    for one in made:
        one.memory.close()


def fail(monkeypatch, sentence):
    """Let every attempt to accept a mask fail, as a full disk would."""

    def accept(*_args, **_words):
        raise SessionError(sentence)

    monkeypatch.setattr(Session, "accept", accept)


@pytest.fixture
def refused(window, monkeypatch):
    """A window with two slices proposed, the first of them accepted while the disk was full."""
    first = window()
    first.propose(0)
    first.propose(1)
    with monkeypatch.context() as patched:
        fail(patched, "The disk is full.")
        first.accept(0)
    return first


def test_accepted_and_nothing_left_to_recover(window):
    first = window()
    first.propose(0)
    first.accept(0)
    session = first.memory.session
    assert session.journal(first.memory.case_id).read() == []
    np.testing.assert_array_equal(session.load(first.memory.case_id).of("untitled")[0], FULL)
    assert first.said == []


def test_edits_stay_in_the_journal_when_the_mask_could_not_be_kept(window, refused):
    refused.become(edits.discard(refused.work, "axial", 1))
    assert refused.said == ["The disk is full."] and not refused.work.pending
    refused.die()

    second = window()
    assert ("untitled", "axial", 0) in second.work.pending
    np.testing.assert_array_equal(second.work.shown("untitled", "axial", 0), FULL)
    second.accept(0)
    second.die()
    third = window()
    assert third.work.mask.reviewed == {"axial": {0}}
    assert ("untitled", "axial", 0) not in third.work.pending


def test_the_next_mask_that_is_kept_forgets_what_waited(refused):
    refused.accept(1)
    session, case = refused.memory.session, refused.memory.case_id
    assert session.load(case).reviewed == {"axial": {0, 1}}
    assert session.journal(case).read() == []


def test_accepted_slices_do_not_come_back_beside_one_that_waits(window):
    first = window()
    for index in (0, 1):
        first.propose(index)
    first.accept(0)
    first.die()
    assert set(window().work.pending) == {("untitled", "axial", 1)}


def test_a_new_name_survives_a_mask_that_was_not_kept(window, monkeypatch):
    first = window()
    first.propose(0)
    fail(monkeypatch, "The disk is full.")
    spleen = replace(first.work.mask.structure("untitled"), name="spleen")
    before, first.work = first.work, edits.change_structure(first.work, "untitled", spleen)
    first.memory.save(first.work)
    first.memory.note(first.work, touched(before, first.work), afresh=True)
    first.wait()
    first.die()
    assert set(window().work.pending) == {("spleen", "axial", 0)}


def test_two_windows_keep_both_masks_and_say_so(window):
    first, second = window(), window()
    first.propose(0)
    first.accept(0)
    second.propose(1)
    second.accept(1)
    assert first.said == [] and len(second.said) == 1
    assert "both are kept" in second.said[0]
    session, case = second.memory.session, second.memory.case_id
    assert session.load(case, 1).reviewed == {"axial": {0}}
    assert session.load(case, 2).reviewed == {"axial": {1}}
    second.propose(2)
    second.accept(2)  # on top of its own: nothing more to say
    assert len(second.said) == 1 and session.load(case).reviewed == {"axial": {1, 2}}


def test_the_session_knows_what_structures_are_called(window):
    one = window()
    one.memory.keep_names(one.work.mask.structures, (replace(one.work.mask.structures[0], name="liver"),))
    one.wait()
    assert one.memory.session.task.structure_names == ("liver",) and not one.said
    one.die()
    assert window().work.mask.names == ("liver",), "the next image begins with it"
