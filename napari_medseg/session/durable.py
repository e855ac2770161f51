"""Bytes that are on the disk when a function returns, and one plain sentence where they cannot be."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy.exc import DBAPIError

from napari_medseg.core.errors import SessionError

BINARY = getattr(os, "O_BINARY", 0)  # Windows would else translate line ends
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


def sync(descriptor: int) -> None:
    """Wait until the disk itself has what was written to an open file."""
    os.fsync(descriptor)
    if sys.platform == "darwin":  # its fsync stops at the drive's cache, which a power cut empties
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names of the files in a folder."""
    if os.name == "nt":  # Windows opens no folders, and keeps their names in its own journal
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes to an open file; a single `os.write` may stop short."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def write_file(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write a file so that at any moment there is the old one or the new one, whole.

    Raises
    ------
    OSError
        If it cannot be written; a file of that name that was there before is untouched.
    """
    temporary = path.with_name(f".{uuid4().hex}.part")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY, mode)
        try:
            write_all(descriptor, data)
            sync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def make_folder(folder: Path) -> Path:
    """Make a folder that a power cut does not take away; one that is there is left as it is."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)
    return folder


@contextmanager
def plain_errors(folder: Path) -> Iterator[None]:
    """Say what the disk or the database could not do in one sentence.

    Raises
    ------
    SessionError
        In place of any error of the operating system or of SQLite.
    """
    try:
        yield
    except (OSError, sqlite3.Error, DBAPIError, json.JSONDecodeError) as error:
        raise SessionError(_sentence(folder, error)) from error


def _sentence(folder: Path, error: Exception) -> str:
    """What happened in this folder and what to do, from the number or name of an error."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    number = getattr(cause, "errno", None)
    name = getattr(cause, "sqlite_errorname", "")
    if number in _FULL or name == "SQLITE_FULL":
        return f"The disk with {folder} is full: all before this is saved; free some space and try again."
    if number in _READ_ONLY or name.startswith("SQLITE_READONLY"):
        return read_only(folder)
    if name.startswith("SQLITE_BUSY") or name.startswith("SQLITE_LOCKED"):
        return f"Another program is busy with {folder}: nothing was changed; wait a moment and try again."
    if name in ("SQLITE_NOTADB", "SQLITE_ERROR") or name.startswith("SQLITE_CORRUPT"):
        return damaged(folder)
    if isinstance(cause, json.JSONDecodeError):
        return damaged(folder)
    reason = getattr(cause, "strerror", None) or str(cause)
    return f"{folder} could not be read or written ({reason}): check its disk and try again."


def damaged(folder: Path) -> str:
    """The sentence for a database that cannot be trusted."""
    return (
        f"The file session.db in {folder} is damaged: put back a copy of it from a backup; "
        "the masks beside it are whole NIfTI files."
    )


def read_only(folder: Path) -> str:
    """The sentence for a place where nothing may be written."""
    return f"{folder} is read-only for you: copy the session's folder to a place where you may write."
