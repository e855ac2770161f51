"""Open a scan, and write its outlines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_medseg.core.errors import ReadError
from napari_medseg.core.mask import Mask
from napari_medseg.core.volume import Volume

if TYPE_CHECKING:
    from napari_medseg.imaging.dicom import Series


def list_series(folder: Path) -> tuple[Series, ...]:
    """List the series of a DICOM folder; only headers are read.

    Raises
    ------
    ReadError
        If there is no such folder.
    """
    from napari_medseg.imaging import dicom

    _exists(folder)
    return dicom.list_series(Path(folder))


def series_key(series: Series) -> str:
    """What finds a series, or one stack of it, again in its folder, whatever else is put there."""
    return f"{series.uid} {series.stack}".strip()


def open_volume(path: Path, series: Series | str | None = None) -> Volume:
    """Open an image file or one series of a DICOM folder.

    Parameters
    ----------
    series : Series or str
        Which series of a folder: one of `list_series`, its `series_key`, its description, or its number
        in that list, from 1. Which volume of a file that holds several: its number, from 0. Not needed
        where there is only one.

    Raises
    ------
    ReadError
        If the file cannot be read, or there are several series or volumes and none was chosen.
    """
    found = find_series(path, series)
    if found is not None:
        from napari_medseg.imaging.dicom import read_series

        return read_series(found)
    from napari_medseg.imaging.files import read_volume

    if series and not str(series).isdecimal():
        raise ReadError(f"'{Path(path).name}' is no DICOM folder; choose a volume of it by its number.")
    return read_volume(path, int(str(series)) if series else None)


def find_series(path: Path, series: Series | str | None = None) -> Series | None:
    """Which series of a DICOM folder is meant, as in `open_volume`; None for an image file."""
    from napari_medseg.imaging.checks import is_dicom

    if series is not None and not isinstance(series, str):
        return series
    path = _exists(path)
    if not path.is_dir() and not is_dicom(path):
        return None
    return _choose(list_series(path), series or None, path)


def open_mask(path: Path, volume: Volume, names: Sequence[str] | None = None) -> Mask:
    """Open a label map that lies on an image's grid; `names` are those of values 1, 2, ...

    Raises
    ------
    ReadError, GeometryError
        If it cannot be read or does not lie on the image's grid.
    """
    from napari_medseg.imaging.files import read_mask

    by_value = dict(enumerate(names, start=1)) if names is not None else None
    return read_mask(_exists(path), volume.geometry, by_value)


def save_mask(mask: Mask, volume: Volume, path: Path, names: Sequence[str] | None = None) -> Path:
    """Write outlines as a flat label map, placed exactly as the image was read."""
    from napari_medseg.imaging.files import write_mask

    return write_mask(mask, Path(path), volume, names)


def _exists(path: Path) -> Path:
    if not Path(path).exists():
        raise ReadError(f"There is no file or folder '{path}'.")
    return Path(path)


def _choose(found: Sequence[Series], wanted: str | None, path: Path) -> Series:
    """Find the one series that was asked for."""
    if wanted is None and len(found) == 1:
        return found[0]
    names = {str(number): series for number, series in enumerate(found, start=1)}
    if wanted is not None:
        word = wanted.strip().casefold()
        fitting = [
            s
            for n, s in names.items()
            if word in (n, s.description.casefold(), s.uid.casefold(), series_key(s).casefold())
        ]
        if len(fitting) == 1:
            return fitting[0]
    listed = "; ".join(f"{number}: {_words(series)}" for number, series in names.items())
    what = f"holds {len(found)} series" if wanted is None else f"has no one series '{wanted}'"
    raise ReadError(f"'{path.name}' {what}; choose one by its number or description: {listed}.")


def _words(series: Series) -> str:
    """A series in a few words, without anything that names the patient."""
    rows, columns = series.size
    words = (series.description, series.stack, series.modality, f"{series.n_slices} x {rows} x {columns}")
    return ", ".join(word for word in words if word)
