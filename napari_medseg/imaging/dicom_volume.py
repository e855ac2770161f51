"""Reads the pixels of DICOM slices, in the order given, into one volume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from math import prod
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels import get_decoder, iter_pixels

from napari_medseg.core.errors import ReadError
from napari_medseg.core.volume import Volume, Window
from napari_medseg.imaging import dicom_codec
from napari_medseg.imaging.dicom_header import Frame, frames_of, is_complete, read_dataset
from napari_medseg.imaging.dicom_pixels import ValueStack, notes_of, values_of, windows_of
from napari_medseg.imaging.dicom_place import place
from napari_medseg.imaging.dicom_tags import BROKEN, quiet

_MOST_VALUES = 2**32  # 8 GiB of int16
Slice = tuple[Path, int]
Decoded = tuple[Frame, Dataset, NDArray[Any]]


@dataclass(frozen=True)
class DicomSource:
    """Where each slice of a volume came from, in order, for writing DICOM objects that refer to it."""

    uid: str
    files: tuple[Path, ...]
    indices: tuple[int, ...]
    sop_uids: tuple[str, ...]
    positions: tuple[tuple[float, ...] | None, ...]


def read_slices(slices: Sequence[Slice], title: str) -> Volume:
    """Read slices (file, frame) in stack order; `title` names them on screen and in errors.

    Raises
    ------
    ReadError
        If a file is gone, damaged, too large, or compressed in a way that needs another package.
    GeometryError
        If the slices cannot be placed in space.
    """
    dicom_codec.register()
    values = ValueStack(len(slices))
    frames: list[Frame] = []
    windows: tuple[Window, ...] = ()
    notes: tuple[str, ...] = ()
    with _in_one_sentence(title, frames), quiet():
        for frame, tags, stored in _decoded(slices, title):
            values.put(len(frames), *values_of(stored, tags))
            if len(frames) == len(slices) // 2:
                windows, notes = windows_of(tags, stored.dtype), notes_of(tags)
            frames.append(frame)
        array = values.finish()
    geometry, placing = place(frames)
    kind, region = frames[0].modality, frames[0].anatomy
    return Volume(array, geometry, title, kind, region, windows, (*placing, *notes), _source(frames))


@contextmanager
def _in_one_sentence(title: str, done: Sequence[Frame]) -> Iterator[None]:
    """Turn whatever a library says about a broken slice into one plain sentence.

    Raises
    ------
    ReadError
        Instead of it; `done` are the slices read so far.
    """
    try:
        yield
    except MemoryError:
        raise ReadError(f"'{title}' does not fit into this computer's memory.") from None
    except BROKEN:
        raise ReadError(
            f"Slice {len(done)} of '{title}' is damaged, cut short or changed since it was listed: "
            "copy the folder from its source again."
        ) from None


def _source(frames: Sequence[Frame]) -> DicomSource:
    """Remember where each slice came from."""
    return DicomSource(
        uid=frames[0].uid,
        files=tuple(frame.path for frame in frames),
        indices=tuple(frame.index for frame in frames),
        sop_uids=tuple(frame.sop_uid for frame in frames),
        positions=tuple(frame.position for frame in frames),
    )


def _decoded(slices: Sequence[Slice], title: str) -> Iterator[Decoded]:
    """Yield each slice with its tags and its pixels as stored, opening each file once."""
    for path, group in groupby(slices, key=lambda one: one[0]):
        indices = [index for _, index in group]
        with path.open("rb") as file:
            dataset = read_dataset(file)
        described = frames_of(dataset, path)
        _check(dataset, described[0][0], len(slices), title)
        for index, stored in zip(indices, iter_pixels(dataset, indices=indices), strict=True):
            yield *described[index], stored


def _check(dataset: FileDataset, frame: Frame, n_slices: int, title: str) -> None:
    """Refuse what is too large to be true, and what nothing here can decompress.

    Raises
    ------
    ReadError
        One sentence that says which.
    """
    if n_slices * prod(frame.size) > _MOST_VALUES or not is_complete(dataset, frame.path.stat().st_size):
        raise ReadError(f"'{title}' says it is larger than its files or this program can hold; not opened.")
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_compressed:
        return
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise ReadError(
            f"'{title}' is compressed as {syntax.name}, which cannot be read here: export it uncompressed."
        ) from None
    if not decoder.is_available:
        needed = decoder.missing_dependencies[-1].split("requires ")[-1]
        raise ReadError(f"'{title}' is compressed as {syntax.name}: reading it needs the packages {needed}.")
