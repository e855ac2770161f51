"""Drawers, themes and handing over, in a real viewer; truth for the grid is nibabel's reading of the file."""

import nibabel
import numpy as np
from qtpy.QtGui import QColor

from napari_medseg.core.structure import UNTITLED
from napari_medseg.core.task import task_of
from napari_medseg.gui.form import SettingsForm


def test_a_changed_setting_reaches_the_method(desk, phantom):
    desk.show(phantom[0])
    desk.panel.sections.drawers.open("settings")
    form = next(w for w in desk.panel.findChildren(SettingsForm) if "rule" in w.widgets)
    form.widgets["rule"].value = "range"
    form.widgets["low"].value = -2000.0
    assert desk.panel.enquiry.choice.settings["rule"] == "range"
    assert desk.panel.enquiry.choice.settings["low"] == -2000.0
    desk.go_to(6)
    desk.click((6, 48, 48))
    desk.wait_idle()
    told = next(iter(desk.work.pending.values())).settings
    assert (told["rule"], told["low"], told["bright"]) == ("range", -2000.0, True)


def test_a_task_brings_its_structures_and_keeps_the_work(desk, liver):
    before = desk.work.shown(UNTITLED, "axial", liver).copy()
    desk.panel.bench.set_task(task_of("abdomen", ("liver", "spleen"), modality="CT"))
    assert desk.work.task.slug == "abdomen"
    assert {"liver", "spleen"} <= set(desk.work.mask.names)
    np.testing.assert_array_equal(desk.work.shown(UNTITLED, "axial", liver), before)


def test_the_panel_follows_the_theme(desk, phantom):
    """The icons are drawn in the theme's text colour: light on dark, dark on light, on a scale to 255."""
    desk.show(phantom[0])
    drawn = []
    for theme in ("dark", "light"):
        desk.viewer.theme = theme
        drawn.append(QColor(desk.panel.sections.tools.colours[0]).lightness())
    assert drawn[0] > 160 > 100 > drawn[1]


def test_the_mask_is_handed_over_on_the_image_s_grid(desk, liver, phantom, tmp_path):
    desk.key("A")
    desk.wait_idle()
    out = tmp_path / "mask.nii.gz"
    desk.panel.sections.case.export_requested.emit(out)
    desk.wait(out.exists)
    desk.wait_idle()
    written = nibabel.load(out)
    lps = phantom[0].geometry.affine
    ras = np.diag([-1, -1, 1, 1]) @ lps[:, [2, 1, 0, 3]]  # index (x, y, z), world RAS
    np.testing.assert_array_equal(written.affine, ras)
    labels = np.asarray(written.dataobj).T
    np.testing.assert_array_equal(labels > 0, desk.work.mask.of(UNTITLED))
