"""One history for acts of every kind: whatever was done at random, taking all back gives the beginning."""

from dataclasses import replace

import numpy as np
import pytest

from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Geometry, from_spacing
from napari_medseg.core.prompts import Point
from napari_medseg.core.volume import Volume
from napari_medseg.gui import edits
from napari_medseg.gui.acts import Act, History, put
from napari_medseg.gui.work import Pending, Work, start

SHAPE = (4, 12, 10)


@pytest.fixture
def work() -> Work:
    """An empty case of four small slices, 1 x 1 x 2 mm."""
    return start(Volume(np.zeros(SHAPE, np.int16), Geometry(SHAPE, from_spacing((2.0, 1.0, 1.0)))))


def last(pieces):
    """What comes last of work done in pieces, None of nothing."""
    return next(iter(list(pieces)[-1:]), None)


def blob(rng):
    """A random rectangle on an axial slice."""
    region = np.zeros(SHAPE[1:], bool)
    r, c = rng.integers(0, 8, 2)
    region[r : r + 4, c : c + 4] = True
    return region


def picture(work):
    """All that a person could see of the work: regions, names, reviews, pending slices, prompts."""
    regions = {
        (kind, name): mask.of(name).tobytes()
        for kind, mask in (("mask", work.mask), ("proposal", work.proposal))
        for name in mask.names
    }
    reviewed = {plane: indices for plane, indices in work.mask.reviewed.items() if indices}
    return regions, work.mask.structures, reviewed, dict(work.pending), work.prompts, work.current


def random_act(work, rng, number):
    """One act of a random kind: label, (work, changes), renamed."""
    index, name = int(rng.integers(0, SHAPE[0])), str(rng.choice(work.mask.names))
    kind = int(rng.integers(0, 8))
    if kind == 0:
        return "prompt", (edits.prompt(work, Point(name, "axial", (float(index), 3.0, 3.0))), ()), None
    if kind == 1:
        return "proposal", edits.propose(work, (name, "axial", index), blob(rng), Pending(quality=0.9)), None
    if kind == 2:
        return "stroke", edits.stroke(work, "axial", index, blob(rng)), None
    if kind == 3:
        return "accept", edits.accept(work, "axial", index), None
    if kind == 4:
        return "discard", edits.discard(work, "axial", index), None
    if kind == 5:
        return "add", (edits.add_structure(work, f"new {number}"), ()), None
    if kind == 6:
        new = replace(work.mask.structure(name), name=f"called {number}")
        return "rename", (edits.change_structure(work, name, new), ()), (name, new.name)
    if len(work.mask.names) > 1:
        steps = list(edits.remove_structure(work, name))
        return "removal", (steps[-1][0], tuple(change for _, more in steps for change in more)), None
    return "prompt", (edits.prompt(work, Point(name, "axial", (float(index), 1.0, 1.0))), ()), None


@pytest.mark.parametrize("seed", range(8))
def test_sixty_random_acts_go_back_and_forth_exactly(work, seed):
    rng, history = np.random.default_rng(seed), History()
    seen = [picture(work)]
    for number in range(60):
        label, (after, changes), renamed = random_act(work, rng, number)
        history.push(Act(label, work, after, changes, renamed))
        work = after
        seen.append(picture(work))
    for expected in reversed(seen[:-1]):
        work = last(history.undo(work))
        assert picture(work) == expected
    assert last(history.undo(work)) is None
    for expected in seen[1:]:
        work = last(history.redo(work))
        assert picture(work) == expected
    assert last(history.redo(work)) is None


def test_an_act_holds_only_what_changed(work):
    region = np.zeros((1, 12, 10), bool)
    region[0, 5, 4:7] = True
    _, (change,) = put(work.mask, "mask", "untitled", work.slab("axial", 2), region)
    assert change.where == (slice(2, 3), slice(5, 6), slice(4, 7))
    assert change.before.size == change.after.size == change.growth == 3
    assert put(work.mask, "mask", "untitled", work.slab("axial", 2), region)[1] == ()


def test_what_came_of_an_act_goes_back_with_it(work):
    history, before = History(), picture(work)
    prompted = edits.prompt(work, Point("untitled", "axial", (1.0, 2.0, 2.0)))
    act = Act("prompt", work, prompted)
    history.push(act)
    answered, changes = edits.propose(prompted, ("untitled", "axial", 1), np.ones(SHAPE[1:], bool), Pending())
    assert history.extend(act, Act("proposal", prompted, answered, changes))
    assert picture(last(history.undo(answered))) == before
    assert not history.extend(act, act)


def test_a_stroke_is_a_hard_constraint_for_the_next_proposal(work):
    stroke = np.zeros(SHAPE[1:], bool)
    stroke[2, 2] = True
    work, _ = edits.stroke(work, "axial", 1, stroke)
    work, _ = edits.propose(work, ("untitled", "axial", 1), np.zeros(SHAPE[1:], bool), Pending())
    assert work.shown("untitled", "axial", 1)[2, 2]
    assert work.state("axial", 1) == "edited"
    work, _ = edits.stroke(work, "axial", 1, np.zeros(SHAPE[1:], bool))
    work, _ = edits.propose(work, ("untitled", "axial", 1), np.ones(SHAPE[1:], bool), Pending())
    shown = work.shown("untitled", "axial", 1)
    assert not shown[2, 2] and shown.sum() == shown.size - 1


def test_accepting_one_structure_leaves_the_others_open(work):
    work = edits.add_structure(work, "spleen")
    work, _ = edits.propose(work, ("spleen", "axial", 3), np.ones(SHAPE[1:], bool), Pending(method="m"))
    assert work.voxels_of("spleen") == 120
    work, _ = edits.accept(work, "axial", 3, seconds=4.0)
    assert work.voxels == {"untitled": 0, "spleen": 120}
    assert work.reviewed_for("spleen")["axial"] == {3} and not work.reviewed_for("untitled")["axial"]
    (record,) = work.mask.provenance
    assert (record.structure, record.index, record.method, record.seconds) == ("spleen", 3, "m", 4.0)
    work, _ = edits.accept(work, "axial", 0)
    assert work.reviewed_for("untitled")["axial"] == {0}


def test_a_locked_structure_refuses_prompts_and_strokes(work):
    work = edits.change_structure(work, "untitled", replace(work.mask.structure("untitled"), locked=True))
    with pytest.raises(TaskError, match="locked"):
        edits.prompt(work, Point("untitled", "axial", (0.0, 0.0, 0.0)))
    with pytest.raises(TaskError, match="locked"):
        edits.stroke(work, "axial", 0, np.ones(SHAPE[1:], bool))
    with pytest.raises(TaskError, match="last structure"):
        last(edits.remove_structure(work, "untitled"))


def test_states_say_how_far_each_slice_has_come(work):
    for index, facts in ((0, Pending(quality=0.9)), (1, Pending(quality=0.3)), (2, Pending())):
        work, _ = edits.propose(work, ("untitled", "axial", index), np.ones(SHAPE[1:], bool), facts)
    work, _ = edits.accept(work, "axial", 2)
    assert work.states("axial") == ("proposed", "doubtful", "accepted", "none")
    assert work.waiting("axial") == (0, 1)
    at_worst = Pending(quality=0.9, interval=(0.4, 0.95))
    work, _ = edits.propose(work, ("untitled", "axial", 0), np.ones(SHAPE[1:], bool), at_worst)
    assert work.state("axial", 0) == "doubtful" and not replace(at_worst, edited=True).doubtful
