"""NIfTI files, by nibabel: read whole and checked, written with the header that was read."""

from __future__ import annotations

import gzip
import math
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

import nibabel as nib
import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling
from numpy.typing import NDArray

from napari_medseg.core.errors import GeometryError, MedsegError, ReadError
from napari_medseg.core.geometry import Geometry, from_spacing
from napari_medseg.core.volume import Volume, Window
from napari_medseg.imaging.checks import (
    check_size,
    chosen_frame,
    damaged,
    name_of,
    shown,
    without_alpha,
)
from napari_medseg.imaging.orientation import from_ras, to_ras

SUFFIXES = (".nii", ".nii.gz")
_KINDS = ((nib.Nifti1Image, b"n+1\0", 344), (nib.Nifti2Image, b"n+2\0", 4))
_LONGEST_HEADER = 540
_AT_ONCE = 2**26  # bytes of voxels read in one go
_MOST_PADDING = 2**20  # bytes after the voxels
_MM_PER_UNIT = {1: 1000.0, 3: 0.001}  # metres, micrometres
_DAMAGE = (OSError, EOFError, zlib.error, struct.error, ValueError, OverflowError, HeaderDataError)
_LABEL, _CONNECTIVITY = 1002, range(3000, 3100)  # intent codes


def read(path: Path, frame: int | None = None, labels: bool = False) -> Volume:
    """Open a NIfTI file.

    Parameters
    ----------
    frame : int, optional
        Which volume of a file that holds several, from 0, the dimensions after the third counted
        in the file's order.

    Raises
    ------
    ReadError
        If the file is damaged, too large, cannot be placed, or holds several volumes and none is chosen.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # what nibabel wonders about, we check
        try:
            image, raw = _load(path)
            array = _voxels(image, raw, chosen_frame(path, math.prod(image.shape[3:]), frame))
        except _DAMAGE:
            raise damaged(path, "NIfTI") from None
        geometry, placed = _place(image.header, image.shape, path)
    alpha: tuple[str, ...] = ()
    if array.ndim == 4:
        array, alpha = without_alpha(array)
    array, bad = shown(array, path)
    windows, notes = _windows(image.header, array), (*placed, *alpha, *bad)
    return Volume(array, geometry, name_of(path, SUFFIXES), windows=windows, notes=notes, header=image.header)


def write(
    array: NDArray[Any], path: Path, geometry: Geometry, header: Any = None, labels: bool = False
) -> None:
    """Write an array (Z, Y, X) or colours (Z, Y, X, 3) uint8, with the header that was read if there is one.

    sform, qform, their codes, units and extensions stay as they were, to the last bit.

    Raises
    ------
    MedsegError
        If NIfTI cannot hold the values.
    """
    if not geometry.regular:
        raise GeometryError("NIfTI cannot hold unevenly spaced slices; export DICOM SEG or a TIFF stack.")
    voxels = np.asarray(array).T if array.ndim == 3 else _packed(array)
    if header is not None and isinstance(header, Nifti1Header):
        header = header.copy()
    else:
        header = _new_header(geometry)
    header.set_data_shape(voxels.shape)
    header.set_data_dtype(voxels.dtype)
    header.set_slope_inter(1, 0)
    header["cal_min"], header["cal_max"] = 0, 0
    if labels:
        header["intent_code"] = _LABEL
    kind: Any = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    kind(voxels, None, header).to_filename(path)


def _opened(path: Path) -> BinaryIO:
    """Open for reading, through gzip where the content is (whatever the suffix says)."""
    with path.open("rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
    return cast(BinaryIO, gzip.open(path) if zipped else path.open("rb"))


def _load(path: Path) -> tuple[Any, NDArray[Any]]:
    """Read header, extensions and as many bytes of voxels as the header says, checksum included.

    Returns
    -------
    image, voxels
        An image of the header alone, and what the file stores, (X, Y, Z, ...), in the only copy there is.
    """
    with _opened(path) as stream:
        head = stream.read(_LONGEST_HEADER)
        kind: Any = next((kind for kind, magic, at in _KINDS if head[at : at + 4] == magic), None)
        if kind is None:
            raise damaged(path, "NIfTI")
        header = kind.header_class(head[: kind.header_class.sizeof_hdr])
        if int(header["intent_code"]) in _CONNECTIVITY:
            raise ReadError(f"{path.name} holds brain connectivity (CIFTI), not an image.")
        shape, offset = header.get_data_shape(), int(header["vox_offset"])
        stored = header.get_data_dtype()
        check_size(path, shape, stored.itemsize)
        check_size(path, (max(offset, 1),), 1)
        content = _content(stream, head, offset + math.prod(int(n) for n in shape) * stored.itemsize, path)
        rest = stream.read(_MOST_PADDING)
        if len(rest) == _MOST_PADDING:
            raise damaged(path, "NIfTI")
        stream.read(1)  # at its end gzip compares the checksum
    image = kind.from_bytes(content[: max(offset, _LONGEST_HEADER)].tobytes())
    return image, np.ndarray(shape, stored, content.data, offset, order="F")


def _content(stream: BinaryIO, head: bytes, size: int, path: Path) -> NDArray[np.uint8]:
    """The first bytes of a file whose beginning was read already."""
    content = np.empty(size, np.uint8)
    n = min(len(head), size)
    content[:n] = np.frombuffer(head, np.uint8, n)
    while n < size:
        n_more = stream.readinto(content[n : n + _AT_ONCE].data)  # type: ignore[attr-defined]
        if not n_more:
            raise ReadError(f"{path.name} is cut short: it holds {n} of {size} bytes; copy it again.")
        n += n_more
    return content


def _voxels(image: Any, raw: NDArray[Any], frame: int) -> NDArray[Any]:
    """Values of one volume, rescaled as the header says, as (Z, Y, X) or (Z, Y, X, C)."""
    shape = (*image.shape, 1, 1)[: max(3, len(image.shape))]
    array: NDArray[Any] = raw.reshape(*shape[:3], -1, order="F")[..., frame].T
    if raw.dtype.names:  # RGB24 or RGBA32
        values = np.ascontiguousarray(array).view(np.uint8)
        return np.asarray(values.reshape(*array.shape, len(raw.dtype.names)))
    slope, inter = (np.asanyarray(value) for value in (image.dataobj.slope, image.dataobj.inter))
    if (slope, inter) == (1, 0):
        return array
    kind = np.float32 if raw.dtype.kind in "iu" and raw.dtype.itemsize <= 2 else None
    scaled = np.empty(array.shape, kind or apply_read_scaling(array[:1], slope, inter).dtype)
    for part, out in zip(array, scaled, strict=True):  # a slice at a time: no whole volume in between
        out[...] = apply_read_scaling(part, slope, inter)
    return scaled


def _place(header: Any, file_shape: tuple[int, ...], path: Path) -> tuple[Geometry, tuple[str, ...]]:
    """Grid from sform, else qform, else voxel sizes alone, with what the person must know of it."""
    x, y, z = (*file_shape, 1, 1)[:3]
    shape = (z, y, x)
    unit = int(header["xyzt_units"]) & 7
    scale = np.diag([_MM_PER_UNIT.get(unit, 1.0)] * 3 + [1.0])
    notes = []
    if unit in _MM_PER_UNIT:
        units = "metres" if unit == 1 else "micrometres"
        notes.append(f"The file counts in {units}; lengths are shown in mm.")
    grids = {}
    for form in ("sform", "qform"):
        if int(header[f"{form}_code"]) > 0:
            try:
                affine = getattr(header, f"get_{form}")()
                grids[form] = Geometry(shape, from_ras(scale @ _thick(affine, shape)))
            except (ValueError, HeaderDataError, GeometryError):
                notes.append(f"The file's {form} places nothing and was not used.")
    if not grids:
        return _unplaced(header, shape, scale, unit, path, notes)
    used = next(iter(grids))
    if len(grids) == 2 and not grids["sform"].same_grid(grids["qform"], tolerance=0.1):
        notes.append("The file's sform and qform place the image differently; the sform is used.")
    return grids[used], tuple(notes)


def _unplaced(
    header: Any, shape: tuple[int, int, int], scale: NDArray[Any], unit: int, path: Path, notes: list[str]
) -> tuple[Geometry, tuple[str, ...]]:
    """Grid from the voxel sizes, axes as ITK and so 3D Slicer lay them: x to the left, y to the back."""
    sizes = np.abs(np.asarray(header["pixdim"][1:4], np.float64))
    affine = _thick(np.diag([-sizes[0], -sizes[1], sizes[2], 1.0]), shape)
    known = unit != 0 or bool(np.any(np.abs(np.diag(affine)) != 1.0))
    try:
        geometry = Geometry(shape, from_ras(scale @ affine), spacing_known=known, oriented=False)
    except GeometryError:
        raise ReadError(f"{path.name} gives no size for its voxels, so it cannot be placed.") from None
    notes.append("The file does not say how the patient lies, so left and right are not known.")
    return geometry, tuple(notes)


def _thick(affine: NDArray[Any], shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """Give a single slice without thickness one of 1, at right angles to it."""
    affine = np.array(affine, np.float64)
    if shape[0] == 1 and not np.any(affine[:3, 2]):
        normal = np.cross(affine[:3, 0], affine[:3, 1])
        affine[:3, 2] = normal / (np.linalg.norm(normal) or 1.0)
    return affine


def _windows(header: Any, array: NDArray[Any]) -> tuple[Window, ...]:
    """The display range of the header, where it says more than the smallest and largest value."""
    low, high = float(header["cal_min"]), float(header["cal_max"])
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or array.ndim == 4:
        return ()
    if low <= array.min() and high >= array.max():
        return ()
    return (Window((low + high) / 2, high - low, "as in the file"),)


def _packed(array: NDArray[Any]) -> NDArray[Any]:
    """Colours (Z, Y, X, 3) as NIfTI's RGB24, (X, Y, Z)."""
    if array.dtype != np.uint8 or array.shape[3] != 3:
        raise MedsegError("NIfTI holds colours only as 8-bit red, green, blue; write NRRD or TIFF instead.")
    dtype = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    return np.ascontiguousarray(array).view(dtype)[..., 0].T


def _new_header(geometry: Geometry) -> Any:
    """Header for an image that was no NIfTI file: float32 places, as the format has it."""
    header = nib.Nifti2Header() if max(geometry.shape) > 32767 else nib.Nifti1Header()
    header.set_data_shape(geometry.shape[::-1])
    if not geometry.spacing_known:
        return header
    header.set_xyzt_units("mm")
    if not geometry.oriented and np.array_equal(geometry.affine, from_spacing(geometry.spacing)):
        header.set_zooms(geometry.spacing[::-1])
        return header
    affine = to_ras(geometry.affine)
    header.set_qform(affine, code=0 if geometry.is_sheared else 1, strip_shears=True)
    header.set_sform(affine, code=1)
    return header
