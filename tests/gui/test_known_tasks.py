"""The menu of known tasks, alone; in the panel it is in test_automatic.py."""

import numpy as np
import pytest

from napari_medseg.core.geometry import Geometry
from napari_medseg.core.task import Task, task_of
from napari_medseg.core.volume import Volume
from napari_medseg.gui.known_tasks import KnownTasks, grouped, title_of

SHAPE = (1, 8, 8)
CT = task_of("liver_ct_msd", ("liver (incl. tumour)",))  # as a model's card has it: no words but its name
MR = task_of("cardiac_mr_acdc", ("right ventricle", "myocardium", "left ventricle", "atrium"))
CHEST = task_of("cxr_opacity", ("opacity",))
US = task_of("lesion_a", ("breast lesion",), modality="B-mode ultrasound", anatomy="breast")
TWIN = task_of("lesion_b", ("breast lesion",), modality="B-mode ultrasound", anatomy="breast")


def image(modality="", anatomy=""):
    return Volume(np.zeros(SHAPE, np.uint8), Geometry.of_pixels(SHAPE), "x", modality, anatomy)


@pytest.mark.parametrize(
    ("modality", "likely"),
    [("CT", [CT]), ("MR", [MR]), ("US", [US, TWIN]), ("DX", [CHEST]), ("", []), ("OP", [])],
)
def test_the_words_of_the_image_find_its_tasks(modality, likely):
    assert grouped([CT, MR, CHEST, US, TWIN], image(modality))[0] == likely


def test_titles_are_short_and_tell_two_alike_apart(qtbot):
    menu = KnownTasks()
    qtbot.addWidget(menu)
    menu.show_tasks([CT, MR, US, TWIN], image())
    lines = [menu.itemText(row) for row in range(1, menu.count())]
    assert lines == [
        "Breast lesion · B-mode ultrasound (lesion_a)",
        "Breast lesion · B-mode ultrasound (lesion_b)",
        "Liver",
        "Right ventricle, myocardium and 2 more",
    ]
    assert title_of(Task("nothing")) == "Nothing"


def test_what_is_chosen_stays_while_the_list_changes(qtbot):
    menu = KnownTasks()
    qtbot.addWidget(menu)
    assert not menu.isEnabled() and menu.chosen is None
    menu.show_tasks([CT, MR], image("CT"))
    menu.show_chosen("liver_ct_msd")
    menu.show_tasks([MR, CT, US], image("CT"))
    assert menu.chosen == CT and "liver_ct_msd" in menu.toolTip()
    menu.show_chosen("unheard of")
    assert menu.chosen is None and menu.currentIndex() == 0
