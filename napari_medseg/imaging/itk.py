"""NRRD, MHA and MHD files, by SimpleITK."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from napari_medseg.core.errors import GeometryError, MedsegError
from napari_medseg.core.geometry import Geometry
from napari_medseg.core.volume import Volume
from napari_medseg.imaging.checks import (
    check_size,
    chosen_frame,
    damaged,
    name_of,
    shown,
    without_alpha,
)
from napari_medseg.imaging.orientation import from_itk, to_itk

SUFFIXES = (".nrrd", ".mha", ".mhd")
_READERS = {".nrrd": "NrrdImageIO", ".mha": "MetaImageIO", ".mhd": "MetaImageIO"}
_PLACES = ("space", "space dimension", "space directions", "space origin", "space units")
_SIZES = ("spacings", "space directions", "elementspacing", "elementsize")
_TURNS = ("space", "transformmatrix", "rotation", "orientation", "anatomicalorientation")
_COLOURS = (sitk.sitkVectorUInt8, sitk.sitkVectorUInt16)


@dataclass(frozen=True)
class ItkHeader:
    """Where the file put its image: the numbers ITK read and, of NRRD, the text they were read from."""

    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]
    fields: Mapping[str, str]


def read(path: Path, frame: int | None = None, labels: bool = False) -> Volume:
    """Open an NRRD, MHA or MHD file.

    Raises
    ------
    ReadError
        If the file is damaged, too large, cannot be placed, or holds several volumes and none is chosen.
    """
    fields = _fields(path)
    try:
        reader = sitk.ImageFileReader()
        reader.SetImageIO(_READERS[path.suffix.lower()])
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        n_values = (*reader.GetSize(), reader.GetNumberOfComponents())
        check_size(path, n_values, _itemsize(reader.GetPixelID()))
        _check_compressed(path, fields, math.prod(n_values) * 8)
        image = reader.Execute()
        array, frame_notes = _voxels(path, image, frame)
        array, bad = shown(array, path)
        z, y, x = array.shape[:3]
        geometry, header = _place(image, (z, y, x), fields)
    except (RuntimeError, GeometryError, zlib.error, OSError):
        raise damaged(path, "NRRD" if path.suffix.lower() == ".nrrd" else "MetaImage") from None
    notes = (*_placing_notes(path, fields), *frame_notes, *bad)
    return Volume(array, geometry, name_of(path, SUFFIXES), notes=notes, header=header)


def write(
    array: NDArray[Any], path: Path, geometry: Geometry, header: Any = None, labels: bool = False
) -> None:
    """Write an array (Z, Y, X[, C]) with the placing that was read if there is one, else with the grid's.

    Raises
    ------
    MedsegError
        If the format cannot hold the grid, or the disk the file.
    """
    if not geometry.regular:
        raise GeometryError("This format cannot hold unevenly spaced slices; use DICOM SEG or a TIFF stack.")
    placed = header if isinstance(header, ItkHeader) else None
    flat = placed is not None and len(placed.spacing) == 2
    image = sitk.GetImageFromArray(array[0] if flat else array, isVector=array.ndim == 4)
    spacing, origin, direction = (
        (placed.spacing, placed.origin, placed.direction) if placed else to_itk(geometry.affine)
    )
    try:
        image.SetSpacing(spacing)
        image.SetOrigin(origin)
        image.SetDirection(direction)
        sitk.WriteImage(image, str(path), useCompression=True)
    except RuntimeError:
        raise MedsegError(f"The image could not be written as {path.suffix}; is the disk full?") from None
    if path.suffix.lower() == ".nrrd" and array.ndim == 3:
        if not geometry.spacing_known:
            _replace_text(path, {})
        elif placed:
            _keep_text(path, placed)


def _fields(path: Path) -> dict[str, str]:
    """The text header: NRRD's `field: value`, MetaImage's `Field = value`, fields in lower case."""
    with path.open("rb") as stream:
        head = stream.read(65536)
    fields: dict[str, str] = {}
    for line in head.split(b"\n"):
        found = re.match(rb"\s*([A-Za-z][A-Za-z ]*?)\s*(?::(?!=)|=)\s*(.*?)\s*$", line)
        if found:
            fields[found[1].decode().lower()] = found[2].decode("latin-1")
        if not line.strip() or b"ElementDataFile" in line:
            break
    return fields


def _check_compressed(path: Path, fields: Mapping[str, str], limit: int) -> None:
    """Check that a compressed MetaImage is whole: ITK shows what it could decompress and says nothing."""
    if path.suffix.lower() == ".nrrd" or fields.get("compresseddata", "").lower() != "true":
        return
    source = fields.get("elementdatafile", "LOCAL")
    if source == "LOCAL":
        content = re.split(rb"ElementDataFile\s*=\s*LOCAL\s*?\n", path.read_bytes(), maxsplit=1)[-1]
    else:
        content = (path.parent / source).read_bytes()
    stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    stream.decompress(content, limit)
    if not stream.eof:
        raise damaged(path, "MetaImage")


def _voxels(path: Path, image: sitk.Image, frame: int | None) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Values as (Z, Y, X), or (Z, Y, X, 3) where they are colours; other vectors are several volumes."""
    array = sitk.GetArrayFromImage(image)
    n_components = image.GetNumberOfComponentsPerPixel()
    is_colour = n_components in (3, 4) and image.GetPixelID() in _COLOURS
    if n_components > 1 and not is_colour:
        array = np.moveaxis(array, -1, 0)
    n_dims = min(image.GetDimension(), 3) + is_colour
    volumes = array.reshape(-1, *array.shape[-n_dims:])
    array = np.ascontiguousarray(volumes[chosen_frame(path, len(volumes), frame)])
    array = array[np.newaxis] if image.GetDimension() == 2 else array
    return without_alpha(array) if is_colour else (array, ())


def _place(
    image: sitk.Image, shape: tuple[int, int, int], fields: Mapping[str, str]
) -> tuple[Geometry, ItkHeader]:
    """Grid and header of an image; of four dimensions the first three."""
    n = min(image.GetDimension(), 3)
    direction = np.reshape(image.GetDirection(), (image.GetDimension(),) * 2)[:n, :n]
    header = ItkHeader(
        image.GetSpacing()[:n], image.GetOrigin()[:n], tuple(direction.ravel().tolist()), fields
    )
    affine = from_itk(header.spacing, header.origin, header.direction)
    known, oriented = (any(field in fields for field in named) for named in (_SIZES, _TURNS))
    return Geometry(shape, affine, spacing_known=known, oriented=oriented and n == 3), header


def _placing_notes(path: Path, fields: Mapping[str, str]) -> tuple[str, ...]:
    """What the header leaves open."""
    notes = []
    if not any(field in fields for field in _SIZES):
        notes.append("The file gives no voxel size: lengths are shown in pixels.")
    elif not any(field in fields for field in _TURNS):
        notes.append("The file does not say how the patient lies, so left and right are not known.")
    if set(re.findall(r'"([^"]+)"', fields.get("space units", ""))) - {"mm"}:
        notes.append(f"The file counts in {fields['space units']}; lengths are shown as if in mm.")
    return tuple(notes)


def _keep_text(path: Path, header: ItkHeader) -> None:
    """Put the placing into an NRRD header as it was read: ITK would round its last digit."""
    fields, n_dims = header.fields, len(header.spacing)
    vectors = re.findall(r"\([^)]*\)", fields.get("space directions", ""))
    if [vector.count(",") for vector in vectors] != [n_dims - 1] * n_dims:
        return  # time among the directions, or none at all: what ITK wrote stands
    _replace_text(path, {**fields, "space directions": " ".join(vectors)})


def _replace_text(path: Path, fields: Mapping[str, str]) -> None:
    """Replace what an NRRD header says about the placing by what `fields` say about it."""
    head, _, voxels = path.read_bytes().partition(b"\n\n")
    lines = [line for line in head.decode("latin-1").split("\n") if line.split(":")[0] not in _PLACES]
    lines += [f"{field}: {fields[field]}" for field in _PLACES if field in fields]
    path.write_bytes("\n".join(lines).encode("latin-1") + b"\n\n" + voxels)


def _itemsize(pixel_id: int) -> int:
    """Bytes of one value, from ITK's words for its type, such as "vector of 16-bit signed integer"."""
    found = re.search(r"(\d+)-bit", sitk.GetPixelIDValueAsString(pixel_id))
    return int(found[1]) // 8 if found else 8
