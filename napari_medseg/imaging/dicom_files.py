"""Finds the DICOM files of a folder and reads their headers."""

from __future__ import annotations

import filecmp
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_medseg.core.errors import ReadError
from napari_medseg.imaging.checks import is_dicom
from napari_medseg.imaging.dicom_header import Frame, frames_of, is_complete, is_image, read_dataset
from napari_medseg.imaging.dicom_tags import BROKEN, modality, quiet, text


@dataclass(frozen=True)
class Found:
    """What lies in a folder: slices, other objects (kind and file), and the series of damaged files."""

    frames: tuple[Frame, ...]
    others: tuple[tuple[str, Path], ...]
    damaged: tuple[str, ...]


def find(folder: Path) -> Found:
    """Read the headers of a file, or of all DICOM files in a folder and those below it.

    Raises
    ------
    ReadError
        If there is no such file or folder.
    """
    if not folder.exists():
        raise ReadError("This file or folder does not exist (any more): choose another.")
    frames: list[Frame] = []
    others: list[tuple[str, Path]] = []
    damaged: list[str] = []
    with quiet():
        for path in [folder] if folder.is_file() else _files_below(folder):
            if is_dicom(path):
                _read_header(path, frames, others, damaged)
    return Found(tuple(_without_copies(frames)), tuple(others), tuple(damaged))


def _files_below(folder: Path) -> Iterator[Path]:
    """All files of a folder and those below it, each folder once, however links run in circles."""
    seen = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        status = os.stat(root)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort()
        yield from (Path(root, name) for name in sorted(names))


def _read_header(path: Path, frames: list[Frame], others: list[tuple[str, Path]], damaged: list[str]) -> None:
    """Read one header and put the file where it belongs."""
    try:
        with path.open("rb") as file:
            dataset = read_dataset(file, header_only=True)
            n_left = path.stat().st_size - file.tell()
        if not is_image(dataset):
            kind = modality(dataset)
            has_content = kind or text(dataset, "SOPClassUID")
            if text(dataset.file_meta, "MediaStorageSOPClassUID") == "1.2.840.10008.1.3.10":
                return  # a DICOMDIR under another name
            if has_content:
                others.append((kind or "other", path))
            elif "MediaStorageSOPClassUID" in dataset.file_meta:
                damaged.append("")
        elif not is_complete(dataset, n_left):
            damaged.append(text(dataset, "SeriesInstanceUID"))
        else:
            frames += [frame for frame, _ in frames_of(dataset, path)]
    except BROKEN:
        damaged.append("")


def _without_copies(frames: list[Frame]) -> list[Frame]:
    """Leave out slices whose file is a copy of another one."""
    kept: dict[tuple[str, int], list[Frame]] = defaultdict(list)
    result = []
    for frame in frames:
        earlier = kept[frame.sop_uid, frame.index]
        if frame.sop_uid and any(filecmp.cmp(frame.path, other.path, shallow=False) for other in earlier):
            continue
        earlier.append(frame)
        result.append(frame)
    return result
