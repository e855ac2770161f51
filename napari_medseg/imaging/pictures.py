"""PNG, JPEG and TIFF: pictures and stacks of them, which know no millimetres."""

from __future__ import annotations

import math
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_medseg.core.errors import GeometryError, MedsegError, ReadError
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

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_TIFF = (".tif", ".tiff")
_PNG_16_BIT_COLOUR = {(16, 2), (16, 4), (16, 6)}  # (bit depth, colour type) that Pillow would round to 8 bit
_PNG_GREY_STEPS = {(2, 0): 85, (4, 0): 17}  # how far Pillow spreads 2 and 4 bit greys
_UNPACKED = (1, 8, 32773, 32946)  # TIFF compressions that tifffile opens by itself: none, deflate, packbits
_EXIF_ORIENTATION = 274
_DAMAGE = (
    *(OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, TypeError),
    *(struct.error, zlib.error, Image.DecompressionBombError),
)


def read(path: Path, frame: int | None = None, labels: bool = False) -> Volume:
    """Open a picture, or a TIFF stack whose pages are slices.

    Parameters
    ----------
    labels : bool
        Whether it is a label map: class numbers are then taken as stored, without palette or inversion.

    Raises
    ------
    ReadError
        If the file is damaged or too large, or holds several stacks and none is chosen.
    """
    is_tiff = path.suffix.lower() in _TIFF
    try:
        array, notes = _tiff(path, frame, labels) if is_tiff else _picture(path, frame, labels)
    except _DAMAGE:
        raise damaged(path, "TIFF" if is_tiff else "PNG or JPEG") from None
    array, bad = shown(array, path)
    z, y, x = array.shape[:3]
    geometry = Geometry.of_pixels((z, y, x))
    return Volume(array, geometry, name_of(path, SUFFIXES), notes=(*notes, *bad))


def write(
    array: NDArray[Any], path: Path, geometry: Geometry, header: Any = None, labels: bool = False
) -> None:
    """Write an array (Z, Y, X[, 3]): one slice as PNG, one or more as the pages of a TIFF.

    Raises
    ------
    GeometryError
        If a PNG is asked to hold more than one slice.
    MedsegError
        If a PNG cannot hold the values.
    """
    if path.suffix.lower() in _TIFF:
        import tifffile

        colour = array.ndim == 4
        page = array[0] if len(array) == 1 else array
        photometric = "rgb" if colour else "minisblack"
        tifffile.imwrite(path, page, photometric=photometric, compression="zlib")
        return
    if len(array) > 1:
        raise GeometryError(f"A PNG holds one slice, not {len(array)}; write .nii.gz, .nrrd or .tif instead.")
    if array.dtype not in (np.uint8, np.uint16) or (array.ndim == 4 and array.dtype != np.uint8):
        raise MedsegError(f"A PNG cannot hold {array.dtype.name} values here; write .tif or .nii.gz instead.")
    Image.fromarray(np.ascontiguousarray(array[0])).save(path, format="PNG")


def _picture(path: Path, frame: int | None, labels: bool) -> tuple[NDArray[Any], tuple[str, ...]]:
    """One PNG or JPEG as (1, Y, X) or (1, Y, X, 3)."""
    chosen_frame(path, 1, frame)
    depth = _png_depth(path)
    if depth in _PNG_16_BIT_COLOUR:
        import SimpleITK as sitk

        array, notes = without_alpha(sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="PNGImageIO")))
        return array[np.newaxis], notes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `check_size` decides
        file = Image.open(path, formats=("PNG", "JPEG"))
    with file:
        check_size(path, (*file.size, len(file.getbands())), 1)
        turned = file.getexif().get(_EXIF_ORIENTATION, 1) != 1
        if file.mode == "P" and not labels:
            array = np.array(file.convert("RGBA" if "transparency" in file.info else "RGB"))
        elif file.mode in ("1", "L", "LA", "P", "I", "I;16", "F", "RGB", "RGBA"):
            array = np.array(file)
        else:
            array = np.array(file.convert("RGB"))
    if labels and depth in _PNG_GREY_STEPS:
        array = array // _PNG_GREY_STEPS[depth]
    notes = ("The camera marked this picture as turned; it is shown as stored.",) if turned else ()
    array, alpha = without_alpha(array) if array.ndim == 3 else (array, ())
    return array[np.newaxis], (*notes, *alpha)


def _png_depth(path: Path) -> tuple[int, int]:
    """Bit depth and colour type of a PNG, from its first chunk."""
    with path.open("rb") as stream:
        head = stream.read(26)
    return (head[24], head[25]) if head[:8] == b"\x89PNG\r\n\x1a\n" and len(head) == 26 else (0, 0)


def _tiff(path: Path, frame: int | None, labels: bool) -> tuple[NDArray[Any], tuple[str, ...]]:
    """A TIFF as (Z, Y, X) or (Z, Y, X, C)."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        if len(file.series) != 1:
            n = len(file.series)
            raise ReadError(f"{path.name} holds {n} pictures of different sizes; save one of them alone.")
        series = file.series[0]
        page = series.keyframe
        check_size(path, series.shape, series.dtype.itemsize)
        unpacked = int(page.compression) in _UNPACKED
        array = series.asarray() if unpacked else _unpack_tiff(path, series.shape, series.dtype)
        if page.colormap is not None and not labels and array.dtype.kind == "u":
            array = np.moveaxis(np.take(page.colormap >> 8, array, axis=1), 0, -1).astype(np.uint8)
            axes = series.axes + "S"
        else:
            axes = series.axes
        if int(page.photometric) == 0 and unpacked and not labels and array.dtype.kind in "ub":
            array = ~array  # white is zero
    return _in_order(path, array, axes, frame)


def _unpack_tiff(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Voxels of a TIFF packed by LZW, JPEG or CCITT: Pillow brings these decoders along.

    Raises
    ------
    ReadError
        If Pillow would have to change the values.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        pages = Image.open(path, formats=("TIFF",))
    with pages:
        arrays = []
        for position in range(getattr(pages, "n_frames", 1)):
            pages.seek(position)
            arrays.append(np.array(pages))
    array = np.stack(arrays)
    if array.dtype.newbyteorder("=") != dtype.newbyteorder("=") or array.size != math.prod(shape):
        raise ReadError(f"{path.name} is packed in a way that cannot be opened; save it uncompressed.")
    return array.reshape(shape)


def _in_order(
    path: Path, array: NDArray[Any], axes: str, frame: int | None
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Bring a TIFF's axes into (Z, Y, X[, C]): colour or channels last, one axis of pages."""
    last = [i for i, axis in enumerate(axes) if axis in "SC" and array.shape[i] > 1]
    pages = [i for i, axis in enumerate(axes) if axis not in "SCYX" and array.shape[i] > 1]
    if len(last) > 1 or "Y" not in axes or "X" not in axes:
        raise ReadError(f"{path.name} has the axes {axes}, which cannot be opened; save one channel alone.")
    kept = [*pages, axes.index("Y"), axes.index("X"), *last]
    rest = [i for i in range(array.ndim) if i not in kept]
    array = array.transpose([*rest, *kept]).reshape([array.shape[i] for i in kept])
    notes: tuple[str, ...] = ()
    if last and axes[last[0]] == "S":
        array, notes = without_alpha(array)
    n_planes = array.ndim - len(pages)
    if len(pages) > 1:
        shape = array.shape[-n_planes - 1 :]
        array = array.reshape(-1, *shape)
        array = array[chosen_frame(path, len(array), frame)]
    else:
        chosen_frame(path, 1, frame)
    if len(pages) == 0:
        array = array[np.newaxis]
    return np.ascontiguousarray(array), notes
