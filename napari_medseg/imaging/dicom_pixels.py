"""Turns stored DICOM pixels into values: Hounsfield units, activity, grey or colour as shown."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels import apply_color_lut, apply_modality_lut

from napari_medseg.core.volume import Window
from napari_medseg.imaging.dicom_tags import number, text, value, whole

Array = NDArray[Any]
INVERTED = (
    "The file stores this picture inverted (MONOCHROME1): its values were flipped, so bright stays bright."
)
CURVE = "The file's own grey curve (VOI LUT) is not applied; a plain window is shown instead."


class ValueStack:
    """Slices gathered into one array of the smallest type that holds them all.

    Whole numbers become int16 where they fit (8-bit pictures stay uint8), all others float32. Padding, which
    was never measured, gets the lowest measured value, so that it stays background.
    """

    def __init__(self, n_slices: int) -> None:
        self._n_slices = n_slices
        self._array: Array | None = None
        self._low, self._high = math.inf, -math.inf
        self._padded: dict[int, NDArray[np.uint8]] = {}

    def put(self, z: int, values: Array, padding: NDArray[np.bool_] | None = None) -> None:
        """Put slice `z`, (Y, X) or (Y, X, C); `padding` (Y, X) marks what was not measured.

        Raises
        ------
        ValueError
            If the slice has another size than the first one.
        """
        if padding is not None and padding.any():
            self._padded[z] = np.packbits(padding)
            measured = values[~padding]
            values = values.copy()
            values[padding] = measured.min() if measured.size else 0
        if padding is None or not padding.all():
            self._low, self._high = min(self._low, float(values.min())), max(self._high, float(values.max()))
        dtype = self._dtype(values)
        if self._array is None:
            self._array = np.zeros((self._n_slices, *values.shape), dtype)
        elif dtype != self._array.dtype:
            self._array = self._array.astype(dtype)
        if values.shape != self._array.shape[1:]:
            raise ValueError("slices of different sizes")
        self._array[z] = values

    def finish(self) -> Array:
        """The array, its padding set to the lowest measured value of all slices.

        Raises
        ------
        ValueError
            If no slice was put.
        """
        if self._array is None:
            raise ValueError("no slices")
        lowest = self._low if math.isfinite(self._low) else 0
        for z, packed in self._padded.items():
            plane = self._array[z]
            plane[np.unpackbits(packed, count=plane.size).reshape(plane.shape).astype(bool)] = lowest
        return self._array

    def _dtype(self, values: Array) -> np.dtype[Any]:
        """The smallest type for everything put so far and for these values."""
        before = values.dtype if self._array is None else self._array.dtype
        if "f" in (values.dtype.kind, before.kind):
            return np.dtype(np.float32)
        if values.dtype == before == np.uint8:
            return before
        for dtype in (np.int16, np.uint16, np.int32):
            if np.iinfo(dtype).min <= self._low and self._high <= np.iinfo(dtype).max:
                return np.dtype(dtype)
        return np.dtype(np.int64)


def values_of(stored: Array, tags: Dataset) -> tuple[Array, NDArray[np.bool_] | None]:
    """Turn one frame as stored into values, and mark what is padding.

    Parameters
    ----------
    stored : (Y, X) or (Y, X, C)
        Pixels as decompressed; colour already red, green, blue.
    tags : Dataset
        The tags of this frame: rescale slope and intercept (or modality LUT) differ by slice in PET.

    Returns
    -------
    (Y, X) or (Y, X, 3), and (Y, X) bool or None
        MONOCHROME1, which means bright for low, is flipped within the range the file can store.
    """
    if text(tags, "PhotometricInterpretation") == "PALETTE COLOR":
        stored = apply_color_lut(stored, tags)[..., :3]
    if stored.ndim == 3:  # colour is only ever looked at: 8 bits
        return (stored >> 8 * (stored.itemsize - 1)).astype(np.uint8), None
    padding = _padding(stored, tags)
    values = _rescaled(stored, tags)
    if is_inverted(tags):
        total = _sum_of_ends(stored.dtype, tags)
        flipped = total - values.astype(np.float64 if values.dtype.kind == "f" else np.int64)
        values = flipped.astype(np.float32 if values.dtype.kind == "f" else _int_type(values))
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        lost = ~np.isfinite(values)
        padding = lost if padding is None else padding | lost
    return values, padding


def is_inverted(tags: Dataset) -> bool:
    """Whether low stored values are meant to be bright."""
    return text(tags, "PhotometricInterpretation") == "MONOCHROME1"


def windows_of(tags: Dataset, dtype: np.dtype[Any]) -> tuple[Window, ...]:
    """The windows a frame asks for, the first one first; `dtype` is that of its stored pixels."""
    centres, widths = _list(value(tags, "WindowCenter")), _list(value(tags, "WindowWidth"))
    names = _list(value(tags, "WindowCenterWidthExplanation"))
    total = _sum_of_ends(dtype, tags) if is_inverted(tags) else None
    windows = []
    for i, (centre, width) in enumerate(zip(centres, widths, strict=False)):
        try:
            middle, extent = float(centre), float(width)
        except (TypeError, ValueError):
            continue
        if math.isfinite(middle) and math.isfinite(extent) and extent > 0:
            name = str(names[i]).strip() if i < len(names) else ""
            windows.append(Window(middle if total is None else float(total) - middle, extent, name))
    return tuple(windows)


def notes_of(tags: Dataset) -> tuple[str, ...]:
    """What a person must know about these values."""
    notes = (INVERTED,) if is_inverted(tags) else ()
    return (*notes, CURVE) if value(tags, "VOILUTSequence") else notes


def _list(found: Any) -> list[Any]:
    """A tag's values as a list, whether it has none, one or many."""
    if found is None:
        return []
    return list(found) if isinstance(found, (MultiValue, list, tuple)) else [found]


def _rescaled(stored: Array, tags: Dataset) -> Array:
    """Apply the modality's slope and intercept, or its table; whole numbers stay whole."""
    if value(tags, "ModalityLUTSequence"):
        return np.asarray(apply_modality_lut(stored, tags))
    slope = number(tags, "RescaleSlope") or 1.0  # 0 would wipe the picture out: it was not filled in
    intercept = number(tags, "RescaleIntercept") or 0.0
    if stored.dtype.kind == "f" or slope != int(slope) or intercept != int(intercept):
        real: NDArray[Any] = stored.astype(np.float64 if stored.itemsize > 2 else np.float32)
        return (real * slope + intercept).astype(np.float32)
    if (slope, intercept) == (1.0, 0.0):
        return stored
    is_wide = stored.itemsize > 2 or abs(slope) > 2**14 or abs(intercept) > 2**30
    return stored.astype(np.int64 if is_wide else np.int32) * int(slope) + int(intercept)


def _sum_of_ends(dtype: np.dtype[Any], tags: Dataset) -> Any:
    """Lowest plus highest value the file can hold: a value is flipped by taking it from this sum."""
    bits = min(whole(tags, "BitsStored"), 8 * dtype.itemsize) or 8 * dtype.itemsize
    is_signed = dtype.kind == "i"
    low = -(2 ** (bits - 1)) if is_signed else 0
    ends = _rescaled(np.array([low, low + 2**bits - 1]).astype(dtype), tags)
    return ends.sum(dtype=np.float64) if ends.dtype.kind == "f" else int(ends.sum(dtype=np.int64))


def _int_type(values: Array) -> type[np.generic]:
    """8-bit pictures stay 8-bit when flipped."""
    return np.uint8 if values.dtype == np.uint8 else np.int64


def _padding(stored: Array, tags: Dataset) -> NDArray[np.bool_] | None:
    """Mark (Y, X) where the file stores its padding value, or one in its padding range; None without."""
    found = value(tags, "PixelPaddingValue")
    if found is None or stored.dtype.kind == "f" or not isinstance(found, int):
        return None
    limit = value(tags, "PixelPaddingRangeLimit")
    unsigned = np.dtype(f"u{stored.itemsize}")
    # The same bits, whichever sign the tag was written with.
    ends = [np.array(int(end) % 2 ** (8 * stored.itemsize), unsigned).view(stored.dtype)
            for end in (found, found if limit is None else limit)]  # fmt: skip
    return np.asarray((stored >= min(ends)) & (stored <= max(ends)))
