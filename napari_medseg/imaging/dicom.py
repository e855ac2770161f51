"""DICOM folders: the series they hold, and each series as a volume."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_medseg.core.errors import GeometryError, ReadError
from napari_medseg.core.volume import Volume
from napari_medseg.imaging.dicom_files import Found, find
from napari_medseg.imaging.dicom_header import Frame, read_dataset
from napari_medseg.imaging.dicom_place import place
from napari_medseg.imaging.dicom_split import Stack, split
from napari_medseg.imaging.dicom_tags import BROKEN, patient, quiet
from napari_medseg.imaging.dicom_volume import read_slices

__all__ = ["Listing", "Series", "list_folder", "list_series", "patient_key", "read_series"]


@dataclass(frozen=True)
class Series:
    """One stack of slices that can be opened as a volume.

    Parameters
    ----------
    uid : str
        SeriesInstanceUID; made up, but stable, where the files have none.
    description, modality, anatomy, date : str
        For the list on screen; the description never names the patient, the date is YYYY-MM-DD.
    n_slices, size : int, (rows, columns)
        Number of slices and pixels of each.
    spacing : (z, y, x) in mm, or None
        Distance between voxels; None when the files do not say.
    stack : str
        What tells it from other stacks of the same series, such as "b=1000"; "" when it is the only one.
    files, indices : tuple of Path, tuple of int
        The file of each slice in order along the normal, and the frame in it counted from 0.
    note : str
        What is uneven about it, "" when nothing is.
    """

    uid: str
    description: str
    modality: str
    anatomy: str
    date: str
    n_slices: int
    size: tuple[int, int]
    spacing: tuple[float, float, float] | None
    stack: str
    files: tuple[Path, ...]
    indices: tuple[int, ...]
    note: str = ""

    @property
    def title(self) -> str:
        """What to call it on screen."""
        return f"{self.description}, {self.stack}" if self.stack else self.description


@dataclass(frozen=True)
class Listing:
    """What a folder holds: series to open, other objects (kind and file), and sentences about the rest."""

    series: tuple[Series, ...]
    others: tuple[tuple[str, Path], ...]
    notes: tuple[str, ...]


def list_series(folder: Path) -> tuple[Series, ...]:
    """List what can be opened in a folder (or one file), by reading headers only.

    Raises
    ------
    ReadError
        If there is nothing to open; the sentence says what was found instead.
    """
    listing = list_folder(folder)
    if not listing.series:
        raise ReadError(" ".join(["There are no DICOM images here that can be opened.", *listing.notes]))
    return listing.series


def list_folder(folder: Path) -> Listing:
    """List everything in a folder (or one file): series, other DICOM objects, and what was left out.

    Raises
    ------
    ReadError
        If there is no such folder.
    """
    found = find(Path(folder))
    groups: dict[tuple[str, str], list[Frame]] = defaultdict(list)
    for frame in found.frames:
        groups[frame.uid, frame.patient].append(frame)  # one patient a series, whatever the UIDs say
    ordered = sorted(groups.values(), key=lambda g: (g[0].date, g[0].series_number, g[0].description))
    series = []
    seen: Counter[str] = Counter()
    for group in ordered:
        uid = group[0].uid
        seen[uid] += 1
        name = uid if seen[uid] == 1 else f"{uid}-{seen[uid]}"
        note = _damage(found.damaged.count(uid), "of this series ")
        series += [_series(name, stack, note) for stack in split(group)]
    return Listing(tuple(series), found.others, _notes(found))


def read_series(series: Series) -> Volume:
    """Read the pixels of one listed stack.

    Returns
    -------
    Volume
        Rescaled values on the grid of the slices; `notes` say what is uneven, `header` where each slice
        came from. It never holds a patient's name or identifier.

    Raises
    ------
    ReadError
        If a file is gone, damaged, too large, or compressed in a way that needs another package.
    GeometryError
        If the slices cannot be placed in space.
    """
    slices = tuple(zip(series.files, series.indices, strict=True))
    return read_slices(slices, series.title)


def patient_key(series: Series) -> str:
    """What identifies the patient: only to be hashed, never to be shown or stored; "" when unknown.

    Raises
    ------
    ReadError
        If the series' first file cannot be read any more.
    """
    try:
        with quiet(), series.files[0].open("rb") as file:
            return patient(read_dataset(file, header_only=True))
    except BROKEN:
        raise ReadError(
            f"A file of '{series.title}' cannot be read any more: list the folder again."
        ) from None


def _series(uid: str, stack: Stack, note: str) -> Series:
    """Describe one stack for the list."""
    first = stack.frames[0]
    try:
        geometry, notes = place(stack.frames)
        spacing = geometry.spacing if geometry.spacing_known else None
    except GeometryError as error:
        spacing, notes = None, (str(error),)
    return Series(
        uid=uid,
        description=first.description,
        modality=first.modality,
        anatomy=first.anatomy,
        date=first.date,
        n_slices=len(stack.frames),
        size=first.size[:2],
        spacing=spacing,
        stack=stack.label,
        files=tuple(frame.path for frame in stack.frames),
        indices=tuple(frame.index for frame in stack.frames),
        note=" ".join(filter(None, (*notes, note))),
    )


def _damage(n: int, where: str = "") -> str:
    """Say how many files were left out because they are damaged."""
    if n == 0:
        return ""
    return f"{n} file{'s' if n > 1 else ''} {where}left out: damaged or cut short."


def _notes(found: Found) -> tuple[str, ...]:
    """Sentences about what is in the folder but not in the list."""
    kinds: Sequence[tuple[str, int]] = sorted(Counter(kind for kind, _ in found.others).items())
    notes = []
    if kinds:
        what = ", ".join(f"{n} {kind}" for kind, n in kinds)
        notes.append(f"Not images, so not listed: {what}.")
    return tuple(filter(None, (*notes, _damage(len(found.damaged)))))
