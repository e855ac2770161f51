"""What becomes of structures when the task changes; the truth is written out by hand."""

import numpy as np

from napari_medseg.core.geometry import Geometry
from napari_medseg.core.structure import UNTITLED, Structure
from napari_medseg.core.task import Task, task_of
from napari_medseg.core.volume import Volume
from napari_medseg.gui import edits
from napari_medseg.gui.task_edits import drop_unused, named, set_task
from napari_medseg.gui.work import start

SHAPE = (1, 8, 8)
VOLUME = Volume(np.zeros(SHAPE, np.uint8), Geometry.of_pixels(SHAPE))


def structures(*names):
    return tuple(Structure(name) for name in names)


def test_a_task_brings_its_structures_and_takes_the_empty_ones_of_the_one_before():
    work = set_task(start(VOLUME), task_of("a", ("liver", "cyst")))
    assert work.mask.names == ("liver", "cyst") and work.current == "liver"
    work, _ = edits.stroke(work, "axial", 0, np.ones(SHAPE[1:], bool))
    work = set_task(edits.add_structure(work, "mine"), task_of("b", ("spleen",)))
    assert work.mask.names == ("liver", "mine", "spleen"), "outlined ones and a person's own stay"
    assert work.proposal.names == work.mask.names and work.task.slug == "b"


def test_nothing_goes_where_nothing_comes():
    work = start(VOLUME)
    assert drop_unused(work, (UNTITLED,)) is work
    assert set_task(work, Task("empty")).mask.names == (UNTITLED,)


def test_the_sessions_task_learns_names_and_forgets_none():
    task = Task("s", structures=structures("liver", "spleen"))
    added = named(task, structures("liver"), structures("liver", "cyst"))
    assert added.structure_names == ("liver", "spleen", "cyst")
    renamed = named(task, structures("liver", UNTITLED), structures("Liver", UNTITLED))
    assert renamed.structure_names == ("Liver", "spleen")
    removed = named(task, structures("liver", "spleen"), structures("liver"))
    assert removed == task
    first = named(Task(UNTITLED), structures(UNTITLED), structures("liver"))
    assert first.structure_names == ("liver",)
    assert named(Task(UNTITLED), (), structures(UNTITLED)).structure_names == ()
