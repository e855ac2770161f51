"""Unaccepted work written to a real session's journal and read back in another life."""

from dataclasses import replace

import numpy as np

from napari_medseg.core.geometry import Geometry, from_spacing
from napari_medseg.core.prompts import Box, Lasso, MaskPrompt, Point, Scribble
from napari_medseg.core.task import Task
from napari_medseg.core.volume import Volume
from napari_medseg.gui import edits
from napari_medseg.gui.journal import KIND, pack, unpack
from napari_medseg.gui.work import Pending, start
from napari_medseg.session.store import Session

SHAPE = (3, 8, 9)


def test_everything_pending_comes_back(tmp_path):
    volume = Volume(np.zeros(SHAPE, np.int16), Geometry(SHAPE, from_spacing((1.0, 1.0, 1.0))))
    region, path = np.zeros(SHAPE[1:], bool), np.array([[1.0, 2.0], [3.5, 4.0], [2.0, 6.0]])
    region[2:5, 3:6] = True
    work = edits.add_structure(start(volume), "liver")
    with Session.create(tmp_path / "session", Task("untitled")) as session:
        case = session.add_case(tmp_path / "image.nii", volume)
        journal = session.journal(case)
        for given in (
            Point("liver", "axial", (1.0, 2.0, 3.0), False),
            Box("liver", "axial", 1, (0.0, 1.0), (4.0, 5.0)),
            Scribble("liver", "axial", 1, path),
            Lasso("untitled", "axial", 1, path, False),
            MaskPrompt("liver", "axial", 2, region),
        ):
            work = edits.prompt(work, given)
        work, _ = edits.propose(
            work, ("liver", "axial", 1), region, Pending(quality=0.5, interval=(0.3, 0.8), settings={"a": 1})
        )
        journal.append(KIND, *pack(work, [("liver", "axial", 1)]))
        work, _ = edits.stroke(work, "axial", 2, ~region)
        journal.append(KIND, *pack(work, [("liver", "axial", 2)]))
    with Session.open(tmp_path / "session") as session:
        back = unpack(start(volume), session.journal(case).read())
    assert back.mask.names == ("untitled", "liver") and back.current == "liver"
    assert back.pending == work.pending
    np.testing.assert_array_equal(back.proposal.of("liver"), work.proposal.of("liver"))
    spot = ("liver", "axial", 2)
    np.testing.assert_array_equal(back.corrections[spot].painted, work.corrections[spot].painted)
    for here, there in zip(back.prompts, work.prompts, strict=True):
        assert type(here) is type(there)
        for name, value in vars(there).items():
            np.testing.assert_array_equal(getattr(here, name), value)


def test_a_discarded_slice_and_an_old_name_stay_away():
    volume = Volume(np.zeros(SHAPE, np.int16), Geometry(SHAPE, from_spacing((1.0, 1.0, 1.0))))
    full = np.ones(SHAPE[1:], bool)
    work, entries = start(volume), []

    class Entry:
        def __init__(self, packed):
            self.payload, self.arrays = packed

    for index in (0, 1):
        work, _ = edits.propose(work, ("untitled", "axial", index), full, Pending())
    entries.append(Entry(pack(work, work.pending)))
    work, _ = edits.discard(work, "axial", 0)
    entries.append(Entry(pack(work, [("untitled", "axial", 0)])))
    work = edits.change_structure(work, "untitled", replace(work.mask.structure("untitled"), name="spleen"))
    entries.append(Entry(pack(work, work.pending, afresh=True)))
    back = unpack(start(volume), entries)
    assert back.mask.names == ("spleen",) and set(back.pending) == {("spleen", "axial", 1)}
    np.testing.assert_array_equal(back.proposal.of("spleen"), work.proposal.of("spleen"))
