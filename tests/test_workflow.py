"""The way from a scan to an accepted mask, step by step; truth from nibabel, pydicom and hand-made arrays."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from napari_medseg import workflow
from napari_medseg.core.errors import GeometryError, MedsegError, ReadError, TaskError, WeightsError
from napari_medseg.core.geometry import Geometry, Plane
from napari_medseg.core.mask import Mask
from napari_medseg.core.phantoms import ct_phantom
from napari_medseg.core.progress import Job, Progress, finish
from napari_medseg.core.request import Alternative, Request, Segmentation
from napari_medseg.core.task import Rule, Task, task_of
from napari_medseg.core.volume import Volume
from napari_medseg.session.store import Session
from napari_medseg.workflow.lookup import cache_folder
from tests.models import tiny_sam, tiny_segicl

SHAPE = (3, 4, 5)


class Everything:
    """A method that claims every voxel of the slab for every structure, whatever it is told."""

    def prepare(self, volume: Volume, plane: Plane, slices: tuple[int, ...]) -> Job[None]:
        yield Progress(1.0)

    def segment(self, request: Request) -> Job[Segmentation]:
        grid = request.volume.geometry
        start, stop = (request.slices[0], 0, 0), (request.slices[-1] + 1, grid.shape[1], grid.shape[2])
        mask = Mask.empty(grid.crop(start, stop))
        for structure in request.task.structures:
            mask = mask.add(structure).put(structure.name, np.ones(mask.geometry.shape, bool))
        answer = Segmentation(mask, start, alternatives=(Alternative(mask.copy(), 0.5),))
        yield Progress(0.5, "half", partial=answer)
        return answer


def request(task: Task, **words: Any) -> Request:
    volume = Volume(np.zeros(SHAPE, np.int16), Geometry.of_pixels(SHAPE))
    return Request(volume, "axial", (1, 2), task, **words)


def masks_of(asked: Request) -> Iterator[Mask]:
    """The partial mask, the answer and its alternative: all of them must obey."""
    partials: list[Any] = []
    answer = finish(workflow.segment(Everything(), asked), lambda step: partials.append(step.partial))
    yield from (partials[0].mask, answer.mask, answer.alternatives[0].mask)


def test_what_a_method_calculates_with_is_loaded_in_the_background() -> None:
    code = (
        "import sys, threading; from napari_medseg import workflow; workflow.load_ahead('threshold');"
        "n = threading.active_count(); workflow.load_ahead('sam');"
        "[t.join() for t in threading.enumerate() if t is not threading.main_thread()];"
        "print(n, 'napari_medseg.networks.sam' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "True"]
    ends_at_once = "from napari_medseg import workflow; workflow.load_ahead('sam')"
    done = subprocess.run([sys.executable, "-c", ends_at_once], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    with pytest.raises(TaskError, match="no method 'nothing'"):
        workflow.load_ahead("nothing")


def test_what_a_person_decided_outweighs_the_method() -> None:
    fixed = np.zeros(SHAPE, np.int8)
    fixed[1, 0, 0] = -1
    fixed[0] = -1  # not in the slab that was asked for
    for mask in masks_of(request(task_of("t", ("liver",)), fixed={"liver": fixed})):
        expected = np.ones((2, 4, 5), bool)
        expected[0, 0, 0] = False
        np.testing.assert_array_equal(mask.of("liver"), expected)


def test_rules_hold_between_structures_and_a_person_outweighs_the_rule() -> None:
    task = Task(
        "t", structures=task_of("t", ("disc", "cup")).structures, rules=(Rule("inside", "cup", "disc"),)
    )
    disc, cup = np.zeros(SHAPE, np.int8), np.zeros(SHAPE, np.int8)
    disc[:, 2:] = -1  # so the disc is rows 0 and 1
    cup[1, 3, 3] = 1  # painted outside the disc by the person
    for mask in masks_of(request(task, fixed={"disc": disc, "cup": cup})):
        expected = np.zeros((2, 4, 5), bool)
        expected[:, :2] = True
        np.testing.assert_array_equal(mask.of("disc"), expected)
        expected[0, 3, 3] = True
        np.testing.assert_array_equal(mask.of("cup"), expected)


def test_structures_that_exclude_each_other_do_not_overlap() -> None:
    rules = (Rule("excludes", "left", "right"),)
    task = Task("t", structures=task_of("t", ("left", "right")).structures, rules=rules)
    for mask in masks_of(request(task)):
        assert mask.of("right").all() and not mask.of("left").any()


def previous(name: str, region: Any) -> Mask:
    grid = Geometry.of_pixels(SHAPE)
    return Mask.empty(grid, task_of("t", (name,)).structures).put(name, region)


def test_rules_hold_with_a_structure_that_was_not_asked_for() -> None:
    old = np.zeros(SHAPE, bool)
    old[1, :, :2] = True  # outlined on slice 1 only
    inside = Task("t", structures=task_of("t", ("cup",)).structures, rules=(Rule("inside", "cup", "disc"),))
    for mask in masks_of(request(inside, previous=previous("disc", old))):
        cup = mask.of("cup")
        np.testing.assert_array_equal(cup[0], old[1])
        assert cup[1].all()  # nobody has outlined the disc there yet
    apart = Task("t", structures=inside.structures, rules=(Rule("excludes", "cup", "vessel"),))
    for mask in masks_of(request(apart, previous=previous("vessel", old))):
        np.testing.assert_array_equal(mask.of("cup"), ~old[1:])


def test_importing_the_workflow_loads_nothing_heavy() -> None:
    heavy = ("torch", "SimpleITK", "nibabel", "pydicom", "sqlalchemy", "monai", "scipy", "skimage", "napari")
    code = f"import sys, napari_medseg.workflow; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# Opening


def test_a_missing_file_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="There is no file or folder"):
        workflow.open_volume(tmp_path / "nothing.nii.gz")


def test_a_single_dicom_file_opens_as_pydicom_reads_it() -> None:
    path = Path(str(get_testdata_file("CT_small.dcm", download=False)))
    truth = pydicom.dcmread(path)
    values = truth.pixel_array * float(truth.RescaleSlope) + float(truth.RescaleIntercept)
    np.testing.assert_array_equal(workflow.open_volume(path).array[0], values)


@pytest.fixture
def two_series(tmp_path: Path) -> Path:
    """A folder with two series of one slice each."""
    folder = tmp_path / "study"
    folder.mkdir()
    for name in ("plain", "contrast"):
        dataset = pydicom.dcmread(str(get_testdata_file("CT_small.dcm", download=False)))
        dataset.SeriesInstanceUID, dataset.SOPInstanceUID = generate_uid(), generate_uid()
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.SeriesDescription = name
        dataset.save_as(folder / f"{name}.dcm")
    return folder


def test_a_series_is_chosen_and_never_guessed(two_series: Path) -> None:
    with pytest.raises(ReadError, match="2 series; choose one .* contrast") as problem:
        workflow.open_volume(two_series)
    assert "CompressedSamples" not in str(problem.value)  # the patient's name in this file
    listed = workflow.list_series(two_series)
    for number, series in enumerate(listed, start=1):
        names = (series, workflow.series_key(series), series.uid, series.description, str(number))
        shapes = {workflow.open_volume(two_series, name).geometry.shape for name in names}
        assert shapes == {(1, 128, 128)}
    with pytest.raises(ReadError, match="no one series 'venous'"):
        workflow.open_volume(two_series, "venous")


def test_a_volume_in_a_file_is_chosen_by_its_number() -> None:
    path = Path(nibabel.__file__).parent / "tests" / "data" / "example4d.nii.gz"
    truth = np.asarray(nibabel.load(path).dataobj)[..., 1].T  # type: ignore[attr-defined]
    np.testing.assert_array_equal(workflow.open_volume(path, "1").array, truth)
    with pytest.raises(ReadError, match="by its number"):
        workflow.open_volume(path, "late")


# Methods and models


def test_building_checks_settings_model_and_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("napari_medseg.workflow.lookup._shipped_folder", lambda: tmp_path / "none")
    with pytest.raises(TaskError, match="no setting 'colour'"):
        workflow.build("threshold", settings={"colour": "red"})
    with pytest.raises(TaskError, match="works without a model"):
        workflow.build("threshold", model="sam-compact-2")
    with pytest.raises(WeightsError, match="needs a model"):
        workflow.build("sam")
    with pytest.raises(TaskError, match="no device"):
        workflow.build("threshold", device="abacus")
    with pytest.raises(TaskError, match="no method 'magic'"):
        workflow.build("magic")


def test_the_users_models_come_before_shipped_ones_and_a_sessions_where_it_is_in_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("napari_medseg.workflow.lookup._shipped_folder", lambda: tmp_path / "shipped")
    assert workflow.models() == [] and workflow.model_for("sam") is None
    assert workflow.model_for("threshold") is None
    task = task_of("t", ("liver",))
    with workflow.create_session(tmp_path / "session", task) as session:
        for folder, origin in (
            (tmp_path / "shipped", "shipped"),
            (cache_folder(), "cache"),
            (session.versions, "session"),
        ):
            tiny_sam(folder)
            found = workflow.model_for("sam", session=session)
            assert found is not None and found.origin == {"session": "cache"}.get(origin, origin)
        shutil.copytree(tmp_path / "shipped" / "tiny-sam", tmp_path / "shipped" / "other")
        chosen = workflow.model_for("sam", "other", session)
        assert chosen is not None and chosen.origin == "shipped"
        session.use("sam", task, "other")
        in_use = workflow.model_for("sam", session=session, task=task)
        assert in_use is not None and in_use.name == "other"
        session.use("sam", task, "tiny-sam")
        in_use = workflow.model_for("sam", session=session, task=task)
        assert in_use is not None and in_use.origin == "session"
    with pytest.raises(WeightsError, match="There is no model 'lost'"):
        workflow.model_for("sam", "lost")


def test_a_model_is_imported_from_a_folder_once(tmp_path: Path) -> None:
    source = tiny_sam(tmp_path / "from").folder
    model = finish(workflow.import_model(source))
    assert (model.name, model.origin) == ("tiny-sam", "cache")
    assert "tiny-sam" in [found.name for found in workflow.models()]
    with pytest.raises(WeightsError, match="already"):
        finish(workflow.import_model(source))


def archive(source: Path, target: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(target, "w") as packed:
        for file in source.iterdir():
            packed.write(file, f"{prefix}{file.name}")
    return target


def test_an_archive_cannot_write_anywhere_else(tmp_path: Path) -> None:
    source = tiny_sam(tmp_path / "from").folder
    (source / "extra.py").write_text("print('run me')")
    packed = archive(source, tmp_path / "small.zip", "../../escaped/")
    model = finish(workflow.import_model(packed))
    assert sorted(file.name for file in model.folder.iterdir()) == [
        "card.md",
        "model.json",
        "weights.safetensors",
    ]
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("size", [None, 0, 100])
def test_what_is_no_model_is_refused_in_one_sentence(tmp_path: Path, size: int | None) -> None:
    source = tiny_sam(tmp_path / "from").folder
    packed = archive(source, tmp_path / "broken.zip")
    if size is not None:
        packed.write_bytes(packed.read_bytes()[:size])
    else:
        (source / "weights.safetensors").write_bytes(b"other")
        packed = archive(source, packed)
    with pytest.raises(WeightsError, match="^[^\n]+$"):
        finish(workflow.import_model(packed))
    assert not cache_folder().exists() or not list(cache_folder().iterdir())


def test_a_changed_bit_is_found(tmp_path: Path) -> None:
    weights = tiny_sam(cache_folder()).folder / "weights.safetensors"
    assert finish(workflow.verify_models())["cache/tiny-sam"] == ""
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert "not those it was released with" in finish(workflow.verify_models())["cache/tiny-sam"]


def test_tasks_come_from_data_sets(tmp_path: Path) -> None:
    folder = tmp_path / "discs"
    folder.mkdir()
    about = {"classes": {"0": "background", "1": "rim", "2": "cup"}, "regions": {"disc": [1, 2], "cup": [2]}}
    (folder / "dataset.json").write_text(json.dumps(about))
    (folder / "index.csv").write_text("file,group,split\na.png,1,test\n")
    for part in ("images", "masks"):
        (folder / part).mkdir()
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(folder / part / "a.png")
    assert workflow.task("discs", tmp_path).structure_names == ("disc", "cup")
    with pytest.raises(TaskError, match="no task 'nothing'"):
        workflow.task("nothing", tmp_path)


# Sessions


@pytest.fixture
def scan(tmp_path: Path) -> tuple[Path, Path, np.ndarray[Any, Any]]:
    """An oblique NIfTI made by nibabel, and a label map on its grid."""
    affine = np.array([[-1.9, 0.2, 0, 10], [0.2, 1.9, 0, -20], [0, 0, 4.0, 5], [0, 0, 0, 1]])
    labels = np.zeros((6, 5, 4), np.uint8)
    labels[1:3, 2:4, 1:3], labels[4, 4, :] = 1, 2
    nibabel.save(
        nibabel.Nifti1Image(np.arange(120, dtype=np.int16).reshape(6, 5, 4), affine), tmp_path / "scan.nii.gz"
    )  # type: ignore[no-untyped-call]
    nibabel.save(nibabel.Nifti1Image(labels, affine), tmp_path / "labels.nii.gz")  # type: ignore[no-untyped-call]
    return tmp_path / "scan.nii.gz", tmp_path / "labels.nii.gz", labels


@pytest.mark.parametrize("gone", [False, True])
def test_what_was_accepted_is_handed_over_as_nibabel_reads_it(
    scan: tuple[Path, Path, np.ndarray[Any, Any]], tmp_path: Path, gone: bool
) -> None:
    image, labels, truth = scan
    with workflow.create_session(tmp_path / "session", task_of("t", ("liver", "tumour"))) as session:
        case = workflow.add_case(session, image)
        with pytest.raises(TaskError, match="nothing to hand over"):
            finish(workflow.export_session(session, tmp_path / "none"))
        assert workflow.accept_file(session, "1", labels, range(3)) == 1
        assert workflow.find_case(session, "case 1").id == case
    affine = nibabel.load(image).affine  # type: ignore[attr-defined]
    if gone:
        image.unlink()
    with workflow.open_session(tmp_path / "session") as session:
        written = finish(workflow.export_session(session, tmp_path / "out"))
    assert [path.name for path in written] == ["case_1.nii.gz", "case_1.json", "volumes.csv"]
    found = nibabel.load(written[0])
    np.testing.assert_array_equal(np.asarray(found.dataobj), truth)  # type: ignore[attr-defined]
    np.testing.assert_allclose(found.affine, affine, atol=1e-6)  # type: ignore[attr-defined]
    account = json.loads(written[1].read_text())
    assert account["not_reviewed"] == {"axial": [3]}
    assert {item["method"] for item in account["provenance"]} == {"file"}
    with written[2].open() as file:
        rows = list(csv.DictReader(file))
    voxel = abs(np.linalg.det(affine[:3, :3])) / 1000
    assert [float(row["ml"]) for row in rows] == pytest.approx([8 * voxel, 4 * voxel], abs=1e-4)


def test_a_session_says_what_it_cannot_do(
    scan: tuple[Path, Path, np.ndarray[Any, Any]], tmp_path: Path
) -> None:
    image, labels, _ = scan
    with workflow.create_session(tmp_path / "session", task_of("t", ("liver", "tumour"))) as session:
        workflow.add_case(session, image)
        with pytest.raises(TaskError, match="no case '7'"):
            workflow.accept_file(session, "7", labels)
        with pytest.raises(GeometryError, match="0 to 3"):
            workflow.accept_file(session, "1", labels, range(9))
        with pytest.raises(TaskError, match="not '.jpg'"):
            finish(workflow.export_session(session, tmp_path / "out", ".jpg"))
        assert session.load("case-1") is None


def test_a_dicom_case_groups_by_patient_and_names_nobody(two_series: Path, tmp_path: Path) -> None:
    with workflow.create_session(tmp_path / "session", task_of("t", ("liver",))) as session:
        ids = [workflow.add_case(session, two_series, str(number)) for number in (1, 2)]
        groups = {workflow.find_case(session, one).group for one in ids}
        volumes = [workflow.open_volume(*session.source(one)) for one in ids]
    assert len(set(ids)) == 2 and len(groups) == 1 and len(volumes) == 2
    patient = pydicom.dcmread(next(two_series.iterdir())).PatientID
    kept = b"".join(path.read_bytes() for path in (tmp_path / "session").rglob("*") if path.is_file())
    assert str(patient).encode() not in kept


def test_session_is_the_store() -> None:
    assert Session.__module__ == "napari_medseg.session.store"


# From end to end


def test_the_demo_writes_pictures_masks_and_a_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a model, so that it is quick; the spinal canal lies where the box is."""
    monkeypatch.setattr("napari_medseg.workflow.lookup._shipped_folder", lambda: tmp_path / "none")
    written = finish(workflow.demo(tmp_path / "demo", "cpu"))
    names = {path.name for path in written}
    assert {"index.html", "fundus.png", "fundus_mask.png", "brain_mask.nii.gz", "spine.png"} <= names
    page = (tmp_path / "demo" / "index.html").read_text()
    assert all(f'src="{name}.png"' in page for name in ("fundus", "brain", "spine", "phantom"))
    canal = np.asarray(nibabel.load(tmp_path / "demo" / "spine_mask.nii.gz").dataobj)  # type: ignore[attr-defined]
    assert canal.any() and not canal[:47].any() and not canal[70:].any()


def test_the_demo_goes_on_from_examples_where_there_is_a_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own_models: Path
) -> None:
    monkeypatch.setattr("napari_medseg.workflow.lookup._shipped_folder", lambda: tmp_path / "none")
    tiny_segicl(own_models)
    written = {path.name for path in finish(workflow.demo(tmp_path / "demo", "cpu"))}
    assert {"examples.png", "examples_mask.nii.gz"} <= written
    assert "From three examples" in (tmp_path / "demo" / "index.html").read_text()
    lies = nibabel.load(tmp_path / "demo" / "examples_mask.nii.gz")  # type: ignore[attr-defined]
    assert lies.shape == (192, 192, 24)


def test_training_and_scoring_refuse_nonsense(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no recipe 'alchemy'"):
        finish(workflow.train([tmp_path], "alchemy", tmp_path / "out"))
    with pytest.raises(TaskError, match="more than 0 minutes"):
        finish(workflow.train([tmp_path], "pretrain", tmp_path / "out", minutes=float("nan")))
    with pytest.raises(TaskError, match="no setting 'colour'"):
        finish(workflow.train([tmp_path], "pretrain", tmp_path / "out", settings={"colour": "1"}))
    with pytest.raises(MedsegError, match="^[^\n]+$"):
        finish(workflow.evaluate(tmp_path / "a.png", tmp_path / "b.png"))


def test_a_phantom_goes_all_the_way(tmp_path: Path) -> None:
    """Open, prompt, outline, write, score: Dice against the phantom's exact liver."""
    volume, mask = ct_phantom()
    workflow.save_mask(mask, volume, tmp_path / "truth.nii.gz", ("liver",))
    method = workflow.build("threshold", settings={"rule": "range", "low": "80", "high": "140"})
    from napari_medseg.core.prompts import Point

    liver = mask.of("liver")
    z, y, x = (int(round(float(at))) for at in np.argwhere(liver).mean(axis=0))
    slices = tuple(np.flatnonzero(liver.any(axis=(1, 2))).tolist())
    task = task_of("t", ("liver",))
    prompts = tuple(Point("liver", "axial", (index, y, x)) for index in slices)
    answer = finish(workflow.segment(method, Request(volume, "axial", slices, task, prompts)))
    found = Mask.empty(volume.geometry, task.structures).paste(answer.mask, answer.start)
    workflow.save_mask(found, volume, tmp_path / "found.nii.gz")
    table = finish(workflow.evaluate(tmp_path / "found.nii.gz", tmp_path / "truth.nii.gz"))
    assert table.mean("dice").mean > 0.8
