"""The manifest and what it names; nibabel and pydicom are the truth about files."""

import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import npe2
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.settings import get_plugin_settings
from pydicom.data import get_testdata_file
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_medseg.core.errors import GeometryError, TaskError
from napari_medseg.core.volume import Volume
from napari_medseg.gui import hooks
from napari_medseg.gui.series_dialog import SeriesDialog

MANIFEST = Path(hooks.__file__).parents[1] / "napari.yaml"


@pytest.fixture
def nifti(tmp_path):
    """A NIfTI file in LAS, turned by 20 degrees, as nibabel writes it."""
    c, s = np.cos(np.radians(20)), np.sin(np.radians(20))
    rotation = np.array([[c, -s, 0, 11.0], [s, c, 0, -7.0], [0, 0, 1, 3.0], [0, 0, 0, 1]])
    affine = rotation @ np.diag([-0.75, 0.75, 2.5, 1.0])
    data = np.random.default_rng(0).integers(-100, 900, (9, 8, 7), dtype=np.int16)
    path = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(data, affine), path)
    return path


def dicom_folder(tmp_path, *names):
    """A folder with some of pydicom's own files."""
    folder = tmp_path / "study"
    folder.mkdir()
    for name in names:
        shutil.copy(get_testdata_file(name), folder)
    return folder


def test_the_manifest_is_valid_and_all_it_names_can_be_imported():
    manifest = npe2.PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    assert manifest.name == "napari-medseg"
    link = MANIFEST.parents[1] / "napari.yaml"
    assert link.resolve() == MANIFEST.resolve()


def test_menus_are_those_that_plugins_may_add_to():
    rooms = ("visualize", "annotate", "data", "layer_type", "transform", "measure", "filter", "register")
    rooms += ("project", "segment", "track", "classify")  # napari's documentation of contributable menus
    manifest = npe2.PluginManifest.from_file(MANIFEST)
    assert manifest.contributions.menus
    assert set(manifest.contributions.menus) <= {f"napari/layers/{room}" for room in rooms}


def test_the_settings_page_has_its_defaults(npe2pm, plugin_settings):
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        settings = get_plugin_settings("napari-medseg").general
        assert (settings.device, settings.cache_mb, settings.reader) == ("auto", 2048, "")
        assert settings.research_line is True


def test_hooks_load_nothing_heavy():
    heavy = ("torch", "SimpleITK", "nibabel", "pydicom", "skimage", "qtpy", "napari")
    code = f"import sys, napari_medseg.gui.hooks; print([m for m in {heavy} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_only_what_is_ours_gets_a_reader(tmp_path, nifti):
    assert hooks.get_reader(str(nifti)) is hooks.read
    assert hooks.get_reader([str(nifti), "SCAN.NRRD"]) is hooks.read
    assert hooks.get_reader(str(dicom_folder(tmp_path, "CT_small.dcm"))) is hooks.read
    for other in ("photo.png", "notes.txt", [str(nifti), "photo.png"], [], ""):
        assert hooks.get_reader(other) is None
    empty = tmp_path / "empty"
    empty.mkdir()
    assert hooks.get_reader(str(empty)) is None
    (empty / "notes.txt").write_text("no image")
    assert hooks.get_reader(str(empty)) is None


def test_a_file_is_read_into_a_layer_that_is_ours(npe2pm, nifti):
    viewer = ViewerModel()
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        (layer,) = viewer.open(nifti, plugin="napari-medseg")
    volume = layer.metadata["medseg"]
    assert isinstance(volume, Volume) and np.shares_memory(layer.data, volume.array)
    np.testing.assert_allclose(layer.scale, (2.5, 0.75, 0.75), rtol=1e-6)
    assert layer.axis_labels == ("axial", "coronal", "sagittal")
    canonical = nib.as_closest_canonical(nib.load(nifti)).get_fdata()  # towards R, A, S
    np.testing.assert_array_equal(layer.data, canonical[::-1, ::-1, ::-1].T)


def test_what_cannot_be_read_is_told_in_a_sentence(tmp_path):
    from napari.utils.notifications import notification_manager

    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"no image at all")
    told = []
    notification_manager.notification_ready.connect(lambda note: told.append(note.message))
    try:
        assert hooks.read(str(broken)) == [(None,)]
    finally:
        notification_manager.notification_ready.disconnect()
    assert len(told) == 1 and "broken.nii.gz" in told[0] and "\n" not in told[0]


def test_of_several_series_the_person_chooses(tmp_path, qtbot):
    folder = dicom_folder(tmp_path, "CT_small.dcm", "MR_small.dcm")
    seen = []

    def choose_mr():
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, SeriesDialog)
        words = [dialog.table.topLevelItem(row).text(1) for row in range(2)]
        seen.extend(words)
        dialog.table.setCurrentItem(dialog.table.topLevelItem(words.index("MR")))
        dialog.accept()

    QTimer.singleShot(0, choose_mr)
    ((data, words, kind),) = hooks.read(str(folder))
    assert sorted(seen) == ["CT", "MR"] and kind == "image"
    assert words["metadata"]["medseg"].modality == "MR" and data.shape == (1, 64, 64)

    QTimer.singleShot(0, lambda: QApplication.activeModalWidget().reject())
    assert hooks.read(str(folder)) == [(None,)]


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_mask_is_written_where_its_image_lies(npe2pm, nifti, tmp_path, suffix):
    viewer = ViewerModel()
    path = tmp_path / f"mask{suffix}"
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        (image,) = viewer.open(nifti, plugin="napari-medseg")
        labels = viewer.add_labels(
            (image.data > 700).astype(np.uint8) * 3, metadata=image.metadata, scale=image.scale
        )
        assert labels.save(str(path), plugin="napari-medseg") == [str(path)]
    original = nib.load(nifti)
    expected = (np.asarray(original.dataobj) > 700) * 3  # (i, j, k)
    if suffix == ".nii.gz":
        written = nib.load(path)
        np.testing.assert_array_equal(written.affine, original.affine)
        np.testing.assert_array_equal(np.asarray(written.dataobj), expected)
    else:
        import SimpleITK as sitk

        written = sitk.ReadImage(str(path))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(written), expected.T)
        lps = np.diag([-1, -1, 1, 1]) @ original.affine
        np.testing.assert_allclose(written.GetOrigin(), lps[:3, 3], atol=1e-5)
        np.testing.assert_allclose(written.TransformIndexToPhysicalPoint((2, 3, 4)),
                                   (lps @ (2, 3, 4, 1))[:3], atol=1e-5)  # fmt: skip


def test_a_mask_of_nowhere_is_not_written(tmp_path):
    path = tmp_path / "mask.nii.gz"
    with pytest.raises(GeometryError, match="open its image"):
        hooks.write_labels(str(path), np.zeros((3, 4, 5), np.uint8), {"name": "drawing"})
    assert not path.exists()


def test_labels_a_mask_cannot_keep_are_refused(tmp_path, nifti):
    ((data, words, _),) = hooks.read(str(nifti))
    with pytest.raises(TaskError, match="0 to 255"):
        hooks.write_labels(str(tmp_path / "mask.nii.gz"), np.full(data.shape, 256), words)


def test_a_layer_made_by_hand_lies_on_the_image_in_front(make_napari_viewer_proxy, nifti, tmp_path):
    viewer = make_napari_viewer_proxy()
    ((data, words, _),) = hooks.read(str(nifti))
    viewer.add_image(data, **words)
    path = tmp_path / "mask.nii.gz"
    hooks.write_labels(str(path), np.ones(data.shape, np.uint8), {"name": "drawing"})
    np.testing.assert_array_equal(nib.load(path).affine, nib.load(nifti).affine)


@pytest.mark.parametrize(("key", "kinds"), [("ct", ["Image", "Labels", "Labels"]), ("retina", ["Image"])])
def test_samples_open(npe2pm, key, kinds):
    viewer = ViewerModel()
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        layers = viewer.open_sample("napari-medseg", key)
    assert [type(layer).__name__ for layer in layers] == kinds
    assert all(isinstance(layer.metadata["medseg"], Volume) for layer in layers)
