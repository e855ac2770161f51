"""Kill the process anywhere: what was acknowledged is there, byte for byte, and all else still opens."""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import event

from napari_medseg.core.phantoms import CT_TASK
from napari_medseg.session import durable
from napari_medseg.session.store import Session

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("killed.py")
spec = importlib.util.spec_from_file_location("killed", SCRIPT)
killed = importlib.util.module_from_spec(spec)
spec.loader.exec_module(killed)

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="The children are forked, which Windows cannot."
)


@pytest.fixture
def place(tmp_path):
    """An empty folder, in memory where possible: a killed process leaves the same files there, sooner."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory)) if memory.is_dir() else tmp_path
    yield folder
    shutil.rmtree(folder)


def lives(place, *how):
    """Run the script and yield what each life had acknowledged, after a look at what it left."""
    template = place / "template"
    volume, mask = killed.phantom(0)
    with Session.create(template, CT_TASK) as session:
        assert session.accept(session.add_case(place / "first.nii", volume), mask, volume) == 1
    (place / "lives").mkdir()
    command = [sys.executable, str(SCRIPT), str(template), str(place / "lives"), *how]
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            life = json.loads(line)
            check(Path(life["folder"]), life["acts"])
            shutil.rmtree(life["folder"])
            yield life["acts"]
    assert process.returncode == 0


def check(folder, acts):
    """Everything acknowledged is there; everything listed can be read; every file is what its name says."""
    accepted = {("case-1", 1): 0} | {(act[1], act[2]): act[3] for act in acts if act[0] == "accept"}
    with Session.open(folder) as session:
        newest = {case.id: case.revision for case in session.cases()}
        for (case, number), seed in accepted.items():
            assert newest[case] >= number
            mask, truth = session.load(case, number), killed.phantom(seed)[1]
            assert all(np.array_equal(a, b) for a, b in zip(mask.arrays, truth.arrays, strict=True))
            assert (mask.reviewed, mask.places) == (truth.reviewed, truth.places)
        for case, last in newest.items():
            shown = {index for _, index, _ in session.reviewed_images(case)}
            for number in range(1, last + 1):
                assert session.load(case, number).reviewed["axial"] <= shown
            session.source(case)
        for act in acts:
            if act[0] == "case":
                assert act[1] in newest
        if acts and acts[-1][0] == "append":  # neither accepted nor cleared as far as the process knew
            entries = session.journal(acts[-1][1]).read()
            assert [entry.payload["seed"] for entry in entries] == [acts[-1][2]]
            assert acts[-1][1] in session.recoverable() or entries
    for file in (*(folder / "masks").glob("*.gz"), *(folder / "images").glob("*.gz")):
        assert hashlib.sha256(file.read_bytes()).hexdigest() == file.name.removesuffix(".nii.gz")


@pytest.mark.parametrize(
    "stride", ["7", pytest.param("1", marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
def test_killed_at_every_step(place, stride):
    acts = list(lives(place, "steps", stride))
    assert len(acts) > 150 // int(stride)  # each is one place to die
    assert [act[0] for act in acts[-1]].count("accept") == 2  # the last one lived


def test_killed_at_any_time(place):
    acts = list(lives(place, "times", "20"))
    assert sum(len(each) for each in acts) >= 20


def test_a_power_cut_finds_every_file_before_the_row_that_names_it(tmp_path, monkeypatch):
    """SIGKILL leaves the disk's cache; so the order of write, fsync, rename, fsync of the folder counts."""
    events = []
    true_sync, true_replace, true_folder = durable.sync, os.replace, durable.sync_folder
    monkeypatch.setattr(durable, "sync", lambda fd: (events.append("sync"), true_sync(fd))[1])
    monkeypatch.setattr(
        os, "replace", lambda a, b: (events.append(f"rename {Path(b).parent.name}"), true_replace(a, b))[1]
    )

    def sync_folder(folder):
        true_folder(folder)
        events[-1] = f"folder {folder.name}"

    monkeypatch.setattr(durable, "sync_folder", sync_folder)
    volume, mask = killed.phantom(1)
    with Session.create(tmp_path / "session", CT_TASK) as session:
        case = session.add_case(tmp_path / "image.nii", volume)
        event.listen(session._database._engine, "commit", lambda _: events.append("commit"))
        events.clear()
        session.accept(case, mask, volume)
        with (
            session._database.reading() as db
        ):  # 2 is FULL: https://sqlite.org/pragma.html#pragma_synchronous
            assert db.exec_driver_sql("PRAGMA synchronous").scalar() == 2
            assert db.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    one_file = ["sync", "rename masks", "folder masks"]
    assert events == one_file * len(mask.arrays) + ["sync", "rename images", "folder images", "commit"]
