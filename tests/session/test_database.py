"""Opening what is no session, or one that cannot be trusted, says so in a sentence."""

import os
import sqlite3
import subprocess

import pytest

from napari_medseg.core.errors import SessionError
from napari_medseg.core.phantoms import CT_TASK, ct_phantom
from napari_medseg.session.store import Session


@pytest.fixture
def folder(tmp_path):
    """A closed session with two cases and a mask each."""
    with Session.create(tmp_path / "session", CT_TASK) as session:
        for seed in range(2):
            volume, mask = ct_phantom((4, 16, 16), seed)
            session.accept(session.add_case(tmp_path / f"{seed}.nii", volume), mask, volume)
    return tmp_path / "session"


def refusal(folder):
    with pytest.raises(SessionError) as caught:
        Session.open(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_newer_session_asks_for_an_update(folder):
    with sqlite3.connect(folder / "session.db") as database:
        database.execute("UPDATE meta SET value = '3' WHERE name = 'schema'")
    database.close()
    assert "newer version of this program (its form is 3, this one knows 2): update napari-medseg" in refusal(
        folder
    )


def test_there_is_none(tmp_path):
    assert f"There is no session in {tmp_path}" in refusal(tmp_path)


def test_there_is_one_already(folder):
    with pytest.raises(SessionError, match="There is a session in .* already"):
        Session.create(folder, CT_TASK)
    with Session.open(folder) as session:
        assert len(session.cases()) == 2


def test_one_that_was_never_finished_can_be_created_again(tmp_path):
    (tmp_path / "session.db").write_bytes(b"")  # killed between the file and its tables
    assert "never finished: create it again" in refusal(tmp_path)
    with Session.create(tmp_path, CT_TASK) as session:
        assert session.task == CT_TASK


@pytest.mark.parametrize("harm", ["no database", "a page overwritten", "cut in half", "no salt"])
def test_a_damaged_database_says_so(folder, harm):
    path = folder / "session.db"
    data = path.read_bytes()
    if harm == "no database":
        path.write_bytes(b"Dear diary, " * 1000)
    elif harm == "a page overwritten":
        path.write_bytes(data[:4096] + b"\xff" * 4096 + data[8192:])
    elif harm == "cut in half":
        path.write_bytes(data[: len(data) // 2])
    else:
        with sqlite3.connect(path) as database:
            database.execute("DELETE FROM meta WHERE name = 'salt'")
        database.close()
    assert "session.db in" in refusal(folder)
    assert "is damaged: put back a copy of it from a backup" in refusal(folder)


def test_a_torn_log_takes_nothing_that_was_acknowledged(folder):
    """What follows the last whole commit in the log is a write that nobody acknowledged."""
    session = Session.open(folder)
    volume, mask = ct_phantom((4, 16, 16), 5)
    case = session.add_case(folder / "third.nii", volume)
    session.accept(case, mask)
    copies = {file.name: file.read_bytes() for file in folder.glob("session.db*")}
    session.close()
    for file in folder.glob("session.db*"):
        file.unlink()
    for name, data in copies.items():
        if not name.endswith("shm"):
            (folder / name).write_bytes(data + (b"\x13" * 5000 if name.endswith("wal") else b""))
    with Session.open(folder) as session:
        assert [record.revision for record in session.cases()] == [1, 1, 1]
        assert session.load(case).places == mask.places


def test_a_full_database_keeps_what_is_there(folder):
    with Session.open(folder) as session:
        with session._database.reading() as db:  # the one connection of the pool
            pages = db.exec_driver_sql("PRAGMA page_count").scalar()
            db.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        with pytest.raises(SessionError, match="is full: all before this is saved"):
            for _ in range(200):
                session.log_effort("case-1", 1.0, 1, 1)
        assert [record.revision for record in session.cases()] == [1, 1]
        assert session.load("case-1") is not None


def test_a_read_only_place_says_so(folder):
    """A mount where this process may make one, else the rights of the folder."""
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        folder.chmod(0o555)
        assert "is read-only for you: copy the session's folder" in refusal(folder)
        folder.chmod(0o755)
        return
    made = subprocess.run(["mount", "--bind", "-o", "ro", folder, folder], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("The superuser may write everywhere, and no read-only mount can be made here.")
    try:
        assert "is read-only for you: copy the session's folder" in refusal(folder)
    finally:
        subprocess.run(["umount", folder], check=True)
