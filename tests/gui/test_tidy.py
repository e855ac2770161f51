"""Repairs of an outline: a person's own stroke, taken back like one."""

import numpy as np

from napari_medseg.core.structure import UNTITLED
from napari_medseg.gui.tidy import TIDY


def test_each_repair_does_what_its_name_says() -> None:
    """Truth: counted by hand on a 6 x 6 square with a hole, beside a piece of four pixels."""
    region = np.zeros((20, 20), bool)
    region[4:10, 4:10] = True
    region[6, 6] = False
    region[15:17, 15:17] = True
    pixel = (0.5, 0.5)
    counts = {name: int(repair(region, pixel).sum()) for name, repair in TIDY.items()}
    assert counts["Fill holes"] == 36 + 4
    assert counts["Keep the largest piece"] == 35
    assert counts["Remove specks"] == 35
    assert counts["Grow by a pixel"] == 36 + 24 + 4 + 8
    assert counts["Shrink by a pixel"] == 16 - 5
    assert not TIDY["Smooth"](region, pixel)[15:17, 15:17].any()


def test_a_repair_is_one_stroke_and_undone_as_one(desk, liver) -> None:
    before = desk.work.shown(UNTITLED, "axial", liver).copy()
    names = [action.text() for action in desk.panel.sections.tools.tidy.menu().actions()]
    assert names == list(TIDY)
    desk.panel.sections.tools.tidy.menu().actions()[names.index("Grow by a pixel")].trigger()
    after = desk.work.shown(UNTITLED, "axial", liver)
    assert after.sum() > before.sum()
    assert after[before].all()
    assert desk.work.state("axial", liver) == "edited"
    desk.key("Ctrl+Z")
    np.testing.assert_array_equal(desk.work.shown(UNTITLED, "axial", liver), before)
