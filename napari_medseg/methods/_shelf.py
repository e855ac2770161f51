"""Prepared slices on disk: files named by hashes, held to a size, the least recently used removed first."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from napari_medseg import __version__

SHELF_HELP = (
    "0 keeps none. What is made of the images lies in the user's cache folder (MEDSEG_CACHE names another) "
    "under names that tell nothing; 'medseg info' says where, 'medseg info --clear-cache' empties it"
)
Parts = Mapping[str, NDArray[Any]]
_SUFFIX, _UNFINISHED = ".safetensors", ".part"
_COUNT_EVERY = 16  # the folder is counted again when this part of its limit was written ...
_LEAVE = 0.75  # ... and so much of the limit left in it: then four programs at once stay below it


class Shelf:
    """Arrays on disk under a key; whatever goes wrong here costs time, never an answer.

    What lies here is made of patients' images: names are hashes, and only the user may open the folder.

    Parameters
    ----------
    folder : Path
        Holds nothing else.
    limit : int
        How much may lie there, in MB; 0 reads and writes nothing.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit * 2**20
        self._uncounted = self.limit  # the first file written has the folder counted
        self._notes: list[str] = []

    def told(self) -> list[str]:
        """Sentences for the person since the last time they were asked for."""
        notes, self._notes = self._notes, []
        return notes

    def take(self, key: str) -> dict[str, NDArray[Any]] | None:
        """What lies under a key, None if nothing; a damaged file is removed."""
        from safetensors import SafetensorError, safe_open

        path = self.folder / f"{key}{_SUFFIX}"
        if not self.limit or not path.is_file():
            return None
        try:
            with safe_open(path, framework="np") as file:
                parts = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
                if file.metadata() == {"check": _checksum(parts)}:
                    with suppress(OSError):  # a folder that may only be read
                        os.utime(path)
                    return parts
        except (SafetensorError, OSError):
            pass  # damaged, or removed by another program at this moment
        self._remove(path)
        return None

    def put(self, key: str, parts: Parts) -> None:
        """Lay arrays under a key; if that cannot be done it is said once and not tried again."""
        from safetensors.numpy import save

        path = self.folder / f"{key}{_SUFFIX}"
        if not self.limit or path.is_file():
            return
        aside = self.folder / f"{uuid4().hex}{_UNFINISHED}"
        ordered = {name: np.ascontiguousarray(part) for name, part in parts.items()}  # as `save` expects
        content = save(ordered, {"check": _checksum(ordered)})
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_room(len(content))
            aside.write_bytes(content)
            os.replace(aside, path)
        except OSError as error:
            self.limit = 0
            self._remove(aside)
            self._notes.append(
                f"Prepared slices cannot be kept in {self.folder} ({error.strerror}); "
                "all works as before, but a case opened again is prepared again."
            )

    def _make_room(self, size: int) -> None:
        """Remove the least recently used files where the limit asks for it."""
        self._uncounted += size
        if self._uncounted <= self.limit // _COUNT_EVERY:
            return
        total, left = size + total_of(self.folder), int(self.limit * _LEAVE)
        if total > left + self.limit // _COUNT_EVERY:
            for _, used, path in sorted(_files(self.folder), key=lambda file: file[0]):
                if total <= left:
                    break
                self._remove(path)
                total -= used
        self._uncounted = size

    def _remove(self, path: Path) -> None:
        with suppress(OSError):  # in a folder that cannot be written to, or open elsewhere
            path.unlink(missing_ok=True)


def shelf_folder() -> Path:
    """Where prepared slices lie: in the folder MEDSEG_CACHE, else in the user's cache."""
    from platformdirs import user_cache_path

    return Path(os.environ.get("MEDSEG_CACHE") or user_cache_path("napari-medseg")) / "prepared"


def clear_shelf() -> int:
    """Remove all prepared slices from the disk; how many bytes they took."""
    folder = shelf_folder()
    total = total_of(folder)
    for _, _, path in _files(folder):
        path.unlink(missing_ok=True)
    return total


def total_of(folder: Path) -> int:
    """Bytes of prepared slices in a folder."""
    return sum(size for _, size, _ in _files(folder))


def key_of(canvas: NDArray[np.uint8], *about: object) -> str:
    """Name what a network makes of a canvas by all that it depends on: the pixels, and whatever is told."""
    words = repr((__version__, canvas.shape, *about)).encode()
    return hashlib.sha256(words + b"\0" + np.ascontiguousarray(canvas).tobytes()).hexdigest()


def _checksum(parts: Parts) -> str:
    """What tells a file whose bits changed on the disk from a sound one."""
    check = 0
    for name in sorted(parts):
        check = zlib.crc32(np.ascontiguousarray(parts[name]).data, zlib.crc32(name.encode(), check))
    return str(check)


def _files(folder: Path) -> list[tuple[float, int, Path]]:
    """When each file of ours was last used, its bytes and its path; none where there is no folder."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return []
    found = []
    for entry in entries:
        with suppress(OSError):  # removed by another program at this moment
            if entry.name.endswith((_SUFFIX, _UNFINISHED)) and entry.is_file(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                found.append((status.st_mtime, status.st_size, Path(entry.path)))
    return found
