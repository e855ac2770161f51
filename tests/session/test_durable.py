"""Files whole or not at all, and the words for what the disk refuses."""

import errno
import os
import sqlite3

import pytest

from napari_medseg.core.errors import SessionError
from napari_medseg.session import durable


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, step):
    path = tmp_path / "sources.json"
    durable.write_file(path, b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space"):
        durable.write_file(path, b"new and longer")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


def test_a_write_that_stops_short_goes_on(tmp_path, monkeypatch):
    really_write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: really_write(descriptor, data[:3]))
    durable.write_file(tmp_path / "file", b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_folders_are_made_with_those_above_them(tmp_path):
    assert durable.make_folder(tmp_path / "a" / "b" / "c").is_dir()
    assert durable.make_folder(tmp_path / "a").is_dir()


def test_a_private_file_is_readable_by_its_owner_only(tmp_path):
    durable.write_file(tmp_path / "file", b"", mode=0o600)
    if os.name != "nt":
        assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def sqlite_error(name):
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "is full: all before this is saved; free some space",
        ),
        (OSError(errno.EDQUOT, "Quota exceeded"), "is full"),
        (sqlite_error("SQLITE_FULL"), "is full"),
        (PermissionError(errno.EACCES, "Permission denied"), "is read-only for you: copy"),
        (OSError(errno.EROFS, "Read-only file system"), "is read-only"),
        (sqlite_error("SQLITE_READONLY_DIRECTORY"), "is read-only"),
        (sqlite_error("SQLITE_BUSY"), "Another program is busy with"),
        (sqlite_error("SQLITE_CORRUPT_VTAB"), "session.db in .* is damaged: put back a copy"),
        (sqlite_error("SQLITE_NOTADB"), "is damaged"),
        (OSError(errno.EIO, "Input/output error"), r"\(Input/output error\): check its disk and try again"),
    ],
)
def test_every_refusal_is_one_sentence(tmp_path, error, words):
    with pytest.raises(SessionError, match=words) as caught, durable.plain_errors(tmp_path):
        raise error
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
