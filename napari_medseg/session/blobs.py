"""Label arrays and images as NIfTI files that bear the SHA-256 of their bytes as their name."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterable, Iterator, Set
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row

from napari_medseg.core.errors import SessionError
from napari_medseg.core.geometry import Geometry, Plane
from napari_medseg.core.mask import Mask, slab
from napari_medseg.core.volume import Volume
from napari_medseg.session.durable import sync_folder, write_file
from napari_medseg.session.records import geometry_of, name_of

SUFFIX = ".nii.gz"
# A NIfTI's world is RAS and its axes are x, y, z; both changes only swap and negate, so they are exact.
_LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_ZYX_XYZ = np.eye(4)[[2, 1, 0, 3]]
_LONGEST = 32767  # NIfTI-1 counts voxels in 16 bits


def encode(array: NDArray[Any], geometry: Geometry) -> bytes:
    """Write an array (Z, Y, X) or (Z, Y, X, C) as compressed NIfTI; the same array gives the same bytes.

    NIfTI-1 keeps its affine in single precision, as every viewer reads it; the session's database
    keeps it exactly.
    """
    import nibabel

    data = _storable(array)
    data = data.T if data.ndim == 3 else data.transpose(2, 1, 0, 3)[:, :, :, None, :]  # channels are axis 5
    affine = _LPS_RAS @ geometry.affine @ _ZYX_XYZ
    small = max(data.shape) <= _LONGEST
    kind: Any = nibabel.Nifti1Image if small else nibabel.Nifti2Image
    image = kind(data, affine, dtype=data.dtype)
    image.header.set_xyzt_units("mm" if geometry.spacing_known else "unknown")
    return gzip.compress(image.to_bytes(), compresslevel=1, mtime=0)


def decode(data: bytes) -> NDArray[Any]:
    """Read what `encode` wrote: a writeable array (Z, Y, X) or (Z, Y, X, C)."""
    import nibabel

    raw = zlib.decompress(data, wbits=31)
    wide = raw[:4] == (540).to_bytes(4, "little")
    image = (nibabel.Nifti2Image if wide else nibabel.Nifti1Image).from_bytes(raw)
    values = np.asanyarray(image.dataobj)
    if values.ndim == 3:
        return np.require(values.T, requirements=["C", "W"])
    return np.require(values[:, :, :, 0, :].transpose(2, 1, 0, 3), requirements=["C", "W"])


def sha256(data: bytes) -> str:
    """Checksum of a file's bytes, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def put(folder: Path, data: bytes) -> str:
    """Keep bytes under their checksum, durably, and return it; what is there already is checked."""
    name = sha256(data)
    path = folder / f"{name}{SUFFIX}"
    if path.is_file() and sha256(path.read_bytes()) == name:
        sync_folder(folder)  # another process may have been killed before it did so
    else:
        write_file(path, data)
    return name


def get(folder: Path, name: str, case: str) -> NDArray[Any]:
    """Read an array by its checksum.

    Raises
    ------
    SessionError
        If the file is missing or its bytes have changed.
    """
    path = folder / f"{name}{SUFFIX}"
    advice = "put it back from a backup of the session's folder; other cases are not affected."
    if not path.is_file():
        raise SessionError(f"The file {path} of {case} is missing: {advice}")
    data = path.read_bytes()
    if sha256(data) != name:
        raise SessionError(f"The file {path} of {case} is damaged: {advice}")
    return decode(data)


def keep_only(folder: Path, names: Set[str]) -> None:
    """Remove every file but those of these checksums; nobody may be writing there."""
    for path in folder.iterdir():
        if path.name.removesuffix(SUFFIX) not in names:
            path.unlink()
    sync_folder(folder)


def encode_reviewed(
    mask: Mask, volume: Volume, kept: Iterable[Row[Any]]
) -> list[tuple[Plane, int, int, bytes]]:
    """Write the reviewed slices of an image that are not kept yet: plane, start, stop, bytes.

    Slices that follow each other share a file.
    """
    known = {(row.plane, index) for row in kept for index in range(row.start, row.stop)}
    result = []
    for plane, indices in mask.reviewed.items():
        for start, stop in runs(index for index in indices if (plane, index) not in known):
            where = slab(volume.geometry.axis_of(plane), start, stop)
            result.append(
                (plane, start, stop, encode(volume.array[where], _cut(volume.geometry, plane, start, stop)))
            )
    return result


def reviewed_images(
    folder: Path, case: Row[Any], kept: Iterable[Row[Any]]
) -> Iterator[tuple[Plane, int, Volume]]:
    """Read the slices that `encode_reviewed` wrote, each once."""
    geometry, seen = geometry_of(case.geometry), set()
    words = {"name": name_of(case.id), "modality": case.modality, "group": case.patient_group}
    for row in kept:
        array = get(folder, row.sha256, name_of(case.id))
        axis = geometry.axis_of(row.plane)
        for index in range(row.start, row.stop):
            if (row.plane, index) not in seen:
                seen.add((row.plane, index))
                one = array[slab(axis, index - row.start, index - row.start + 1)]
                yield row.plane, index, Volume(one, _cut(geometry, row.plane, index, index + 1), **words)


def runs(indices: Iterable[int]) -> list[tuple[int, int]]:
    """Stretches of numbers that follow each other, half-open, in order."""
    result: list[tuple[int, int]] = []
    for index in sorted(indices):
        if result and result[-1][1] == index:
            result[-1] = (result[-1][0], index + 1)
        else:
            result.append((index, index + 1))
    return result


def _cut(geometry: Geometry, plane: Plane, start: int, stop: int) -> Geometry:
    """The grid of some slices of a plane."""
    axis = geometry.axis_of(plane)
    first = [0, 0, 0]
    last = list(geometry.shape)
    first[axis], last[axis] = start, stop
    return geometry.crop((first[0], first[1], first[2]), (last[0], last[1], last[2]))


def _storable(array: NDArray[Any]) -> NDArray[Any]:
    """Give booleans and half precision a type that NIfTI has; no value changes."""
    if array.dtype == np.bool_:
        return array.view(np.uint8) if array.flags.c_contiguous else array.astype(np.uint8)
    if array.dtype == np.float16:
        return array.astype(np.float32)
    return array.astype(array.dtype.newbyteorder("<"), copy=False)
