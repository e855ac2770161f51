"""One file in, one file out: every format by its library, and the placing as it was."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.errors import GeometryError, MedsegError, ReadError
from napari_medseg.core.geometry import Geometry
from napari_medseg.core.mask import Mask
from napari_medseg.core.volume import Volume
from napari_medseg.imaging.checks import check_file, shown
from napari_medseg.imaging.orientation import align

_FORMATS = {
    ".nii": "nifti", ".nii.gz": "nifti",
    ".nrrd": "itk", ".mha": "itk", ".mhd": "itk",
    ".png": "pictures", ".jpg": "pictures", ".jpeg": "pictures", ".tif": "pictures", ".tiff": "pictures",
}  # fmt: skip
SUFFIXES: tuple[str, ...] = tuple(_FORMATS)
WRITABLE: tuple[str, ...] = (".nii", ".nii.gz", ".nrrd", ".mha", ".png", ".tif", ".tiff")
_MOST_CLASSES = 65535


def read_volume(path: Path, frame: int | None = None) -> Volume:
    """Open one image file: NIfTI, NRRD, MHA, MHD, PNG, JPEG or TIFF.

    Parameters
    ----------
    frame : int, optional
        Which volume of a file that holds several over time or direction, counted from 0.

    Raises
    ------
    ReadError
        If there is no such file, it is damaged, too large or of another kind, it cannot be placed, or
        it holds several volumes and none is chosen.
    """
    path = Path(path)
    room = _format_of(path, SUFFIXES)
    check_file(path)
    volume: Volume = room.read(path, frame)
    return volume


def read_mask(path: Path, geometry: Geometry | None = None, names: Mapping[int, str] | None = None) -> Mask:
    """Open a label map whose values are class numbers, 0 being background.

    Parameters
    ----------
    geometry : Geometry, optional
        The image's grid. A mask of the same voxels in another order of axes is turned onto it, exactly.
    names : Mapping, optional
        Class number to name; classes without one are called by number.

    Raises
    ------
    ReadError
        If the file cannot be read or is not a label map.
    GeometryError
        If the mask does not lie on `geometry`.
    """
    path = Path(path)
    room = _format_of(path, SUFFIXES)
    check_file(path)
    volume = room.read(path, labels=True)
    labels = _class_numbers(path, volume.array)
    if geometry is not None:
        labels = _placed(path, labels, volume.geometry, geometry)
    return Mask.from_labels(labels, geometry or volume.geometry, names)


def write_mask(mask: Mask, path: Path, volume: Volume, names: Sequence[str] | None = None) -> Path:
    """Write a mask as a flat label map: the n-th structure has value n, the later one wins.

    The format is the suffix's. The placing is that of the file `volume` was read from, to the last bit
    where the format is the same; the file appears whole or not at all.

    Parameters
    ----------
    names : sequence of str, optional
        Which structures, in which order; all of the mask by default.

    Raises
    ------
    GeometryError
        If the mask does not lie on the volume's grid, or the format cannot hold that grid.
    MedsegError
        If the file cannot be written.
    """
    if not mask.geometry.same_grid(volume.geometry):
        raise GeometryError("The mask does not lie on the image's grid, so it was not written.")
    labels = mask.flat(names)
    if len(mask.names if names is None else names) <= np.iinfo(np.uint8).max:
        return _write(labels.astype(np.uint8), Path(path), volume, labels=True)
    return _write(labels, Path(path), volume, labels=True)


def write_volume(volume: Volume, path: Path) -> Path:
    """Write an image in the format of the suffix, placed as it was read; whole or not at all.

    Raises
    ------
    GeometryError
        If the format cannot hold its grid.
    MedsegError
        If the format cannot hold its values, or the file cannot be written.
    """
    return _write(volume.array, Path(path), volume, labels=False)


def _write(array: NDArray[Any], path: Path, volume: Volume, labels: bool) -> Path:
    """Write an array on a volume's grid with the volume's header."""
    room = _format_of(path, WRITABLE)
    array, _ = shown(array, path)
    with _whole_file(path) as temporary:
        room.write(array, temporary, volume.geometry, volume.header, labels)
    return path


@contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    """Let a file be written under another name and give it its own when it is safely on the disk."""
    suffix = next(s for s in sorted(WRITABLE, key=len, reverse=True) if path.name.lower().endswith(s))
    temporary = path.with_name(f".{uuid4().hex}{suffix}")
    try:
        yield temporary
        _to_disk(temporary)
        os.replace(temporary, path)
        if os.name == "posix":
            _to_disk(path.parent)
    except OSError as error:
        raise MedsegError(f"{path.name} could not be written to {path.parent}: {error.strerror}.") from None
    finally:
        temporary.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _format_of(path: Path, suffixes: Sequence[str]) -> Any:
    """The file of this room that reads and writes a suffix."""
    for suffix in sorted(suffixes, key=len, reverse=True):
        if path.name.lower().endswith(suffix):
            return import_module(f"napari_medseg.imaging.{_FORMATS[suffix]}")
    raise ReadError(f"{path.name} is of no kind that can be used here; there are: {', '.join(suffixes)}.")


def _class_numbers(path: Path, array: NDArray[Any]) -> NDArray[np.uint16]:
    """Check that values are class numbers and give them as (Z, Y, X) uint16.

    A colour picture whose channels are equal is a grey one.
    """
    if array.ndim == 4:
        if np.any(array != array[..., :1]):
            raise ReadError(f"{path.name} is a colour picture; a mask has one class number a pixel.")
        array = array[..., 0]
    if array.min() < 0 or array.max() > _MOST_CLASSES or (array.dtype.kind == "f" and np.any(array % 1)):
        raise ReadError(f"{path.name} is no mask: its values are not class numbers 0, 1, 2 and so on.")
    return array.astype(np.uint16)


def _placed(path: Path, labels: NDArray[Any], own: Geometry, geometry: Geometry) -> NDArray[Any]:
    """Bring labels onto a grid without resampling; a file that knows no mm need only have its size."""
    if own.spacing_known and geometry.spacing_known:
        turned = align(labels, own, geometry)
        if turned is not None:
            return turned
    elif own.shape == geometry.shape:
        return labels
    raise GeometryError(
        f"{path.name} does not lie on the image: its grid is {_words(own)}, the image's {_words(geometry)}; "
        "choose the mask of this image, or resample it first."
    )


def _words(geometry: Geometry) -> str:
    """A grid in words, (z, y, x)."""
    size = " x ".join(str(n) for n in geometry.shape)
    spacing = " x ".join(f"{s:.4g}" for s in geometry.spacing)
    origin = ", ".join(f"{v:.4g}" for v in geometry.affine[:3, 3])
    return f"{size} at {spacing} mm from ({origin})" if geometry.spacing_known else f"{size} pixels"
