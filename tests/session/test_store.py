"""A session's way: cases in, masks kept and loaded, images kept and forgotten, and no name anywhere."""

import errno
import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_medseg.core.errors import GeometryError, SessionError
from napari_medseg.core.geometry import Geometry
from napari_medseg.core.mask import Mask, Provenance
from napari_medseg.core.phantoms import CT_TASK, MR_TASK, ct_phantom, mr_phantom, slice_phantom
from napari_medseg.core.structure import Code, Structure
from napari_medseg.core.volume import Volume
from napari_medseg.session.store import Session


@pytest.fixture
def session(tmp_path):
    with Session.create(tmp_path / "session", MR_TASK) as session:
        yield session


def same(mask, other):
    """Whether two masks are equal in all they know, and the grid to the last bit."""
    return (
        mask.geometry.affine.tobytes() == other.geometry.affine.tobytes()
        and mask.geometry.shape == other.geometry.shape
        and len(mask.arrays) == len(other.arrays)
        and all(np.array_equal(a, b) for a, b in zip(mask.arrays, other.arrays, strict=True))
        and mask.structures == other.structures
        and dict(mask.places) == dict(other.places)
        and dict(mask.reviewed) == dict(other.reviewed)
        and mask.provenance == other.provenance
    )


def test_an_accepted_mask_comes_back_as_it_was(session, tmp_path):
    volume, mask = mr_phantom((6, 20, 20))  # oblique; the tumour lies in the brain
    tumour = Structure("tumour", (9, 8, 7), True, "completed", Code("SCT", "126952004", "Neoplasm of brain"))
    mask = mask.update("tumour", tumour).review("sagittal", [2, 3]).review("axial", [7])
    mask = mask.record(
        Provenance("tumour", "sagittal", 2, "sam", "compact-1", {"threshold": 0.5}, 4, 17, 8.5)
    )
    assert len(mask.arrays) > 1
    case = session.add_case(tmp_path / "brain.nii.gz", volume)
    assert session.accept(case, mask, volume) == 1
    session.close()
    with Session.open(session.folder) as again:
        loaded = again.load(case)
        assert same(loaded, mask)
        loaded.put("brain", ~loaded.of("brain"))  # may be edited in place
        assert same(again.load(case), mask)
        (record,) = again.cases()
        assert (record.revision, record.n_reviewed, record.state, record.modality) == (
            1,
            3,
            "in progress",
            "MR",
        )


def test_every_revision_stays(session, tmp_path):
    volume, mask = mr_phantom((4, 16, 16))
    case = session.add_case(tmp_path / "brain.nii.gz", volume)
    first = mask.copy()
    assert session.accept(case, mask) == 1
    mask = mask.put("brain", ~mask.of("brain"))
    assert session.accept(case, mask) == 2
    assert same(session.load(case), mask)
    assert same(session.load(case, 1), first)


def test_another_window_accepted_meanwhile(session, tmp_path):
    volume, mask = mr_phantom((4, 16, 16))
    case = session.add_case(tmp_path / "brain.nii.gz", volume)
    with Session.open(session.folder) as other:
        assert other.accept(case, mask, expected_revision=0) == 1
        with pytest.raises(SessionError, match="Another window accepted a mask of case 1 meanwhile"):
            session.accept(case, mask, expected_revision=0)
        assert session.cases()[0].revision == 1
        assert session.accept(case, mask, expected_revision=1) == 2
        assert other.cases()[0].revision == 2


def test_a_mask_of_another_grid_is_refused(session, tmp_path):
    volume, mask = mr_phantom((4, 16, 16))
    case = session.add_case(tmp_path / "brain.nii.gz", volume)
    moved, _ = slice_phantom(16)
    for wrong in (
        lambda: session.accept(case, Mask.empty(moved.geometry)),
        lambda: session.accept(case, mask, moved),
    ):
        with pytest.raises(GeometryError, match="does not lie on the grid of case 1"):
            wrong()
    assert session.load(case) is None


def test_the_same_image_is_the_same_case(session, tmp_path):
    volume, _ = mr_phantom((4, 16, 16))
    finer, _ = mr_phantom((4, 20, 20))
    series = [
        session.add_case(tmp_path / "scan", volume, one, patient="p") for one in ("1.2 b=0", "1.2 b=1000")
    ]
    assert session.add_case(tmp_path / "scan", volume, "1.2 b=0") == series[0]
    replaced = session.add_case(tmp_path / "scan", finer, "1.2 b=0", patient="q")
    assert [*series, replaced] == ["case-1", "case-2", "case-3"]
    assert session.source("case-2") == (tmp_path / "scan", "1.2 b=1000")
    groups = [case.group for case in session.cases()]
    assert groups[0] == groups[1] != groups[2]
    with Session.create(tmp_path / "other", MR_TASK) as other:  # another salt
        other.add_case(tmp_path / "scan", volume, patient="p")
        assert other.cases()[0].group not in groups
        assert len(groups[0]) == len(other.cases()[0].group) == 16


def test_no_name_enters_the_session(tmp_path):
    name = "MUSTERMANN"
    volume, mask = ct_phantom((4, 16, 16))
    volume = replace(volume, name=f"{name}^ERIKA", header={"PatientName": name}, group=f"{name} 1964")
    with Session.create(tmp_path / "session", CT_TASK) as session:
        case = session.add_case(
            tmp_path / name / f"{name}.nii.gz", volume, series=f"1.2.{name}", patient=name
        )
        session.journal(case).append("brush", {"n": 1}, {"labels": mask.arrays[0]})
        session.accept(case, mask.review("axial", [1]), volume)
        session.log_effort(case, 1, 2, 3)
        with pytest.raises(SessionError) as caught:
            session.load(case, 7)
        assert name not in str(caught.value)
        files = [file for file in session.folder.rglob("*") if file.is_file()]
        assert len(files) > 6  # the database's log and the journal among them
        for file in files:
            assert name not in file.name
            assert file.name == "sources.json" or name.encode() not in file.read_bytes()
    for file in session.folder.rglob("*.nii.gz"):
        content = subprocess.run(["gzip", "-dc", file], capture_output=True, check=True).stdout
        assert name.encode() not in content


def picture():
    """A colour picture with a mask."""
    grid = Geometry.of_pixels((1, 9, 10))
    array = np.random.default_rng(0).integers(0, 255, (1, 9, 10, 3), np.uint8)
    return Volume(array, grid, modality="fundus"), Mask.empty(grid, MR_TASK.structures)


@pytest.mark.parametrize("phantom", [lambda: mr_phantom((5, 9, 10)), lambda: ct_phantom((5, 9, 10)), picture])
def test_reviewed_slices_are_kept_once_and_can_be_forgotten(session, tmp_path, phantom):
    volume, mask = phantom()
    case = session.add_case(tmp_path / "image", volume)
    planes = ("axial",) if volume.geometry.is_2d else ("axial", "coronal", "sagittal")
    for indices in ([0], [0] if volume.geometry.is_2d else [0, 2, 3]):
        for plane in planes:
            mask = mask.review(plane, indices)
        session.accept(case, mask, volume)
    kept = {(plane, index): part for plane, index, part in session.reviewed_images(case)}
    assert set(kept) == {(plane, index) for plane in planes for index in mask.reviewed[plane]}
    for (plane, index), part in kept.items():
        axis = volume.geometry.axis_of(plane)
        assert part.array.dtype == volume.array.dtype and part.array.shape[axis] == 1
        np.testing.assert_array_equal(part.slice(plane, 0), volume.slice(plane, index))
        at = [0, 0, 0]
        at[axis] = index
        np.testing.assert_allclose(
            part.geometry.index_to_world((0, 0, 0)), volume.geometry.index_to_world(at)
        )
    session.forget_images(case)
    assert list(session.reviewed_images(case)) == []
    assert list((session.folder / "images").iterdir()) == []
    assert same(session.load(case), mask)


def test_forgetting_one_case_leaves_the_others(session, tmp_path):
    for seed in range(2):
        volume, mask = ct_phantom((4, 12, 12), seed)
        session.accept(session.add_case(tmp_path / f"{seed}", volume), mask.review("axial", [seed]), volume)
    session.forget_images("case-1")
    assert list(session.reviewed_images("case-1")) == []
    assert [index for _, index, _ in session.reviewed_images("case-2")] == [1]
    session.forget_images()
    assert list(session.reviewed_images("case-2")) == []


def test_one_damaged_mask_leaves_the_others_readable(session, tmp_path):
    for seed in range(2):
        volume, mask = ct_phantom((4, 12, 12), seed)
        session.accept(session.add_case(tmp_path / f"{seed}", volume), mask)
        if seed == 0:
            file = next((session.folder / "masks").iterdir())
            file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(SessionError, match=rf"{file.name} of case 1 is damaged: put it back from a backup"):
        session.load("case-1")
    assert same(session.load("case-2"), mask)
    assert len(session.cases()) == 2


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
@pytest.mark.parametrize("nth", [0, 1, 2])
def test_a_disk_that_fills_up_keeps_everything_before(session, tmp_path, monkeypatch, step, nth):
    volume, mask = mr_phantom((4, 16, 16))
    case = session.add_case(tmp_path / "brain.nii.gz", volume)
    session.accept(case, mask, volume)
    before, files = mask.copy(), set(session.folder.rglob("*.nii.gz"))
    mask = mask.put("brain", ~mask.of("brain")).put("tumour", ~mask.of("tumour")).review("axial", [1, 3])
    really, left = getattr(os, step), [nth]

    def full(*arguments):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return really(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, step, full)
        with pytest.raises(
            SessionError, match="is full: all before this is saved; free some space and try again"
        ):
            session.accept(case, mask, volume)
    assert same(session.load(case), before) and session.cases()[0].revision == 1
    assert files <= set(session.folder.rglob("*.nii.gz")) and not list(session.folder.rglob("*.part"))
    assert session.accept(case, mask, volume) == 2
    assert same(session.load(case), mask)


def test_a_disk_that_is_really_full(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("No small disk can be made here; the other tests fill it in pretence.")
    try:
        accepted = fill(disk)
        with Session.open(disk / "session") as session:  # 32 KiB that SQLite needs were left by `fill`
            assert session.cases()[0].revision == len(accepted)
            assert all(same(session.load("case-1", n + 1), mask) for n, mask in enumerate(accepted))
    finally:
        subprocess.run(["umount", disk], check=True)


def fill(disk):
    """Accept masks, each larger than the one before, until the disk is full; return what was accepted."""
    accepted, rng = [], np.random.default_rng(0)
    grid = Geometry.of_pixels((1, 300, 300))
    spare = disk / "spare"
    spare.write_bytes(bytes(200_000))
    with Session.create(disk / "session", MR_TASK) as session:
        session.add_case(Path("picture.png"), Volume(np.zeros(grid.shape), grid))
        with pytest.raises(SessionError, match="is full"):
            while True:
                mask = Mask.empty(grid, [Structure("brain")]).put("brain", rng.random(grid.shape) < 0.5)
                session.accept("case-1", mask)
                accepted.append(mask)
        spare.unlink()
    assert len(accepted) > 5
    return accepted


def test_unaccepted_work_of_a_closed_viewer_comes_back(session, tmp_path):
    volume, mask = mr_phantom((4, 16, 16))
    cases = [session.add_case(tmp_path / f"{n}", volume) for n in range(3)]
    journal = session.journal(cases[1])
    assert session.journal(cases[1]) is journal
    journal.append("brush", {"n": 1}, {"labels": mask.arrays[0][2]})
    with Session.open(session.folder) as other:
        assert other.recoverable() == session.recoverable() == ()
    session.close()
    with Session.open(session.folder) as again:
        assert again.recoverable() == (cases[1],)
        (entry,) = again.journal(cases[1]).read()
        np.testing.assert_array_equal(entry.arrays["labels"], mask.arrays[0][2])
        again.accept(cases[1], mask)
        again.journal(cases[1]).clear()
        assert again.recoverable() == ()


@pytest.mark.slow
def test_a_large_mask_is_kept_within_two_seconds_and_a_slice_within_twenty_milliseconds(session, tmp_path):
    """Of this process's own time, so that a busy machine does not fail it; the disk's is on top."""
    grid = Geometry((400, 512, 512), np.diag([0.7, 0.7, 1.0, 1.0])[[2, 1, 0, 3]])
    z, y, x = np.ogrid[:400, :512, :512]
    liver = ((z - 200) / 150) ** 2 + ((y - 256) / 100) ** 2 + ((x - 200) / 120) ** 2 < 1
    mask = Mask.empty(grid, [Structure("liver")]).put("liver", liver)
    case = session.add_case(tmp_path / "large.nii.gz", Volume(mask.arrays[0], grid))
    session.accept(case, mask)
    mask.arrays[0][200:203, 250:260, 190:210] = 0
    start = time.process_time()
    session.accept(case, mask)
    assert time.process_time() - start < 2.0
    journal = session.journal(case)
    start = time.process_time()
    for n in range(20):
        journal.append("brush", {"n": n}, {"labels": mask.arrays[0][n + 190]})
    assert (time.process_time() - start) / 20 < 0.020
