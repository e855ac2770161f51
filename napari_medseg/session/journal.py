"""Work that nobody has accepted yet, written down act by act, so that a crash takes none of it."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from napari_medseg.session.durable import (
    BINARY,
    make_folder,
    plain_errors,
    sync,
    sync_folder,
    write_all,
    write_file,
)
from napari_medseg.session.records import plain

_MARK = b"act1"
_FRAME = struct.Struct("<4sQ32s")  # mark, length of the body, its SHA-256


@dataclass(frozen=True, eq=False)
class Entry:
    """One act: what it was, its plain values, and its arrays by name."""

    kind: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class Journal:
    """The acts of one process on one case since the last accepted mask, oldest first.

    It begins with the acts that a process which no longer lives has left behind: `read` them before
    the first `append`. Each file is locked for the life of its process, so nobody takes over the
    journal of a living one. May be used from several threads.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._guard = Lock()
        self._end = 0  # bytes of whole entries in our own file
        with plain_errors(folder):
            make_folder(folder)
            begun = max((int(log.name[:6]) for log in _logs(folder)), default=0)
            self._log = folder / f"{begun + 1:06d}-{uuid4().hex}.log"
            self._locks = _take_over(folder)  # what others left, then our own
            self._n = sum(len(_frames(log)) for log in self._locks)

    def append(
        self, kind: str, payload: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]] | None = None
    ) -> int:
        """Write down an act, durably, and return how many there are now.

        A 512 x 512 slice takes some milliseconds, most of them the disk's: not for the GUI thread.

        Raises
        ------
        SessionError
            If the disk is full or gone; the acts before stay.
        """
        with self._guard, plain_errors(self._folder):
            frame = _pack(Entry(kind, payload, arrays or {}))
            self._hold()
            descriptor = os.open(self._log, os.O_RDWR | os.O_CREAT | BINARY, 0o666)
            try:
                os.ftruncate(descriptor, self._end)  # drop what a failed append left
                os.lseek(descriptor, self._end, os.SEEK_SET)
                write_all(descriptor, frame)
                sync(descriptor)
            finally:
                os.close(descriptor)
            if self._end == 0:
                sync_folder(self._folder)
            self._end += len(frame)
            self._n += 1
            return self._n

    def read(self) -> list[Entry]:
        """All acts, oldest first; a torn last one is left out."""
        with self._guard, plain_errors(self._folder):
            return [_unpack(body) for log in self._locks for body in _frames(log)]

    def clear(self, upto: int | None = None) -> None:
        """Forget all acts, or the first `upto`: those that an accepted mask now holds."""
        with self._guard, plain_errors(self._folder):
            bodies = [body for log in self._locks for body in _frames(log)]
            rest = [_frame(body) for body in bodies[upto:]] if upto is not None else []
            data = b"".join(rest)
            if self._log in self._locks or rest:
                self._hold()
                write_file(self._log, data)
            self._end, self._n = len(data), len(rest)
            for log in [log for log in self._locks if log != self._log]:
                _drop(log, self._locks.pop(log))

    def close(self) -> None:
        """Let go of the journal; acts that are left come back at the next start."""
        with self._guard:
            if self._end == 0 and self._log in self._locks:
                _drop(self._log, self._locks.pop(self._log))
            for lock in self._locks.values():
                lock.release()
            self._locks = {}

    def _hold(self) -> None:
        """Lock our own file before there is something in it that others could take for left behind."""
        if self._log not in self._locks:
            lock = FileLock(_lock_of(self._log), thread_local=False)
            lock.acquire()
            self._locks[self._log] = lock


def has_left_behind(folder: Path) -> bool:
    """Whether a process that no longer lives has left acts in a case's folder."""
    for log in _logs(folder):
        lock = _claim(log)
        if lock is not None:
            found = bool(_frames(log))
            lock.release()
            if found:
                return True
    return False


def _logs(folder: Path) -> list[Path]:
    """Journal files in a folder in the order they were begun: their names start with a number."""
    return sorted(folder.glob(f"{'[0-9]' * 6}-*.log"))


def _lock_of(log: Path) -> Path:
    """The file whose lock says that the process of a journal lives."""
    return log.with_suffix(".lock")


def _take_over(folder: Path) -> dict[Path, FileLock]:
    """Lock the journals of processes that no longer live, oldest first; those without acts go."""
    locks = {log: lock for log in _logs(folder) if (lock := _claim(log))}
    for log in [log for log in locks if not _frames(log)]:
        _drop(log, locks.pop(log))
    return locks


def _claim(log: Path) -> FileLock | None:
    """Lock a journal, or None when its process lives or has just removed it."""
    lock = FileLock(_lock_of(log), thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    if log.exists():
        return lock
    lock.release()
    return None


def _drop(log: Path, lock: FileLock) -> None:
    """Remove a journal and let go of it."""
    log.unlink(missing_ok=True)
    lock.release()
    with suppress(OSError):  # Windows: another process is just looking at it
        _lock_of(log).unlink(missing_ok=True)


def _frames(log: Path) -> list[bytes]:
    """Bodies of the whole entries of a file, up to the first that is torn."""
    if not log.exists():
        return []
    data, at, bodies = log.read_bytes(), 0, []
    while at + _FRAME.size <= len(data):
        mark, length, checksum = _FRAME.unpack_from(data, at)
        body = data[at + _FRAME.size : at + _FRAME.size + length]
        if mark != _MARK or hashlib.sha256(body).digest() != checksum:
            break
        bodies.append(body)
        at += _FRAME.size + length
    return bodies


def _frame(body: bytes) -> bytes:
    """Put the mark, the length and the checksum before a body."""
    return _FRAME.pack(_MARK, len(body), hashlib.sha256(body).digest()) + body


def _pack(entry: Entry) -> bytes:
    """Make an entry a frame: a line of JSON, then each array's bytes, compressed."""
    packed, shapes = [], []
    for name, array in entry.arrays.items():
        if array.dtype.hasobject:
            raise TypeError(f"The array '{name}' holds Python objects, which a journal does not keep.")
        packed.append(zlib.compress(array.tobytes(), 1))
        shapes.append([name, array.dtype.str, array.shape, len(packed[-1])])
    line = json.dumps([entry.kind, dict(entry.payload), shapes], default=plain).encode()
    return _frame(b"\n".join([line, b"".join(packed)]))


def _unpack(body: bytes) -> Entry:
    """Read an entry back; its arrays may be written to."""
    line, packed = body.split(b"\n", 1)
    kind, payload, shapes = json.loads(line)
    arrays, at = {}, 0
    for name, dtype, shape, length in shapes:
        raw = bytearray(zlib.decompress(packed[at : at + length]))
        arrays[name] = np.frombuffer(raw, np.dtype(dtype)).reshape(shape)
        at += length
    return Entry(kind, payload, arrays)
