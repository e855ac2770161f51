"""Killed without warning: what was accepted is there, what was painted is offered back."""

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np

from napari_medseg.gui.memory import home as sessions
from napari_medseg.session.store import Session

ROOT = Path(__file__).resolve().parents[2]


def test_a_killed_process_loses_nothing(desk, qtbot, tmp_path):
    image, marker = tmp_path / "image.nii.gz", tmp_path / "marker"
    voxels = np.random.default_rng(0).normal(size=(64, 60, 5)).astype(np.float32)
    nib.save(nib.Nifti1Image(voxels, np.diag([-1.0, -1.0, 3.0, 1.0])), image)
    child = subprocess.Popen([sys.executable, "-m", "tests.gui.dying", str(image), str(marker)], cwd=ROOT)
    try:
        qtbot.waitUntil(lambda: marker.exists() or child.poll() is not None, timeout=200_000)
    finally:
        child.kill()
        child.wait()
    assert marker.exists()

    with Session.open(sessions() / "untitled") as session:
        (record,) = session.cases()
        accepted = session.load(record.id)
    assert accepted.reviewed["axial"] == {1} and accepted.of("untitled")[1, 20, 30]

    panel = desk.panel
    panel.deeds.look_around()
    message = panel.sections.message
    desk.wait(lambda: message.isVisible() and message.button.isVisible())
    assert "was not accepted" in message.text.text()
    message.button.click()
    desk.wait(lambda: panel.bench.work is not None)
    desk.wait_idle()
    work = desk.work
    np.testing.assert_array_equal(work.mask.of("untitled"), accepted.of("untitled"))
    assert set(work.pending) == {("untitled", "axial", 2)}
    assert work.shown("untitled", "axial", 2)[30, 30]
    assert work.corrections[("untitled", "axial", 2)].painted[30, 30]
    desk.go_to(2)
    panel.sections.proposal.accept_button.click()
    desk.wait_idle()
    with Session.open(sessions() / "untitled") as session:
        assert session.load(record.id).reviewed["axial"] == {1, 2}
        assert session.recoverable() == ()
