"""Flat label maps: one class number a voxel, 0 being background."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_medseg.core.errors import TaskError

_TABLED = (np.uint8, np.uint16)  # kinds of label maps with few enough values to look them up in a table


def numbers_in(labels: NDArray[Any]) -> list[int]:
    """List the class numbers above 0 that a label map holds, in ascending order.

    Raises
    ------
    TaskError
        If it holds anything but whole numbers.
    """
    labels = _narrowed(labels)
    if labels.dtype in _TABLED:
        counts = np.zeros(np.iinfo(labels.dtype).max + 1, np.int64)
        for part in labels:  # a slice at a time: indices of the whole volume would take much memory
            counts += np.bincount(part.ravel(), minlength=len(counts))
        return [int(number) for number in np.flatnonzero(counts) if number > 0]
    found = np.unique(labels)
    if not np.all(np.isfinite(found)) or np.any(found != np.rint(found)):
        raise TaskError("The mask holds values that are not whole numbers, so it is not a label map.")
    return [int(number) for number in found if number > 0]


def renumber(labels: NDArray[Any], numbers: Mapping[int, int], dtype: DTypeLike) -> NDArray[Any]:
    """Give every voxel the number its class is mapped to; classes that are not named become 0.

    Parameters
    ----------
    labels : (Z, Y, X)
        Class numbers.
    numbers : Mapping
        Old to new class number; the new ones fit `dtype`.
    """
    labels = _narrowed(labels)
    result = np.zeros(labels.shape, dtype)
    if labels.dtype not in _TABLED:
        for old, new in numbers.items():
            result[labels == old] = new
        return result
    table = np.zeros(np.iinfo(labels.dtype).max + 1, dtype)
    for old, new in numbers.items():
        if 0 <= old < len(table):
            table[old] = new
    for part, source in zip(result, labels, strict=True):
        np.take(table, source, out=part)
    return result


def _narrowed(labels: NDArray[Any]) -> NDArray[Any]:
    """A label map as uint16 or less, if its numbers allow it."""
    if labels.dtype in _TABLED or labels.dtype.kind not in "biu" or labels.size == 0:
        return labels
    if labels.min() < 0 or labels.max() > np.iinfo(np.uint16).max:
        return labels
    return labels.astype(np.uint16)
