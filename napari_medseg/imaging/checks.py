"""What every reader checks: the file is there, of a bearable size, and its values can be shown."""

from __future__ import annotations

import math
import stat
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.errors import ReadError

LARGEST = 4 * 1024**3  # bytes of voxels that one image may take in memory


def name_of(path: Path, suffixes: Sequence[str]) -> str:
    """File name without its suffix, `.nii.gz` being one suffix."""
    for suffix in sorted(suffixes, key=len, reverse=True):
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)] or path.name
    return path.stem


def check_file(path: Path) -> None:
    """Check that there is a file with something in it.

    Raises
    ------
    ReadError
        If it is missing, a folder, empty or not ours to read.
    """
    try:
        if path.is_dir():
            raise ReadError(f"{path.name} is a folder, not an image file; choose a file in it.")
        with path.open("rb") as stream:
            if not stream.read(1):
                raise ReadError(f"{path.name} is empty; copy it again from where it came from.")
    except FileNotFoundError:
        raise ReadError(f"There is no file {path.name} in {path.parent}.") from None
    except OSError as error:
        raise ReadError(f"{path.name} could not be opened: {error.strerror}.") from None


def is_dicom(path: Path) -> bool:
    """Whether a file begins like DICOM: with the preamble, or at once with a sensible first element."""
    try:
        if path.name.upper() == "DICOMDIR" or not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as file:
            start = file.read(132)
    except OSError:
        return False
    if start[128:] == b"DICM":
        return True
    return len(start) == 132 and (_begins_sensibly(start, "<") or _begins_sensibly(start, ">"))


def _begins_sensibly(start: bytes, order: str) -> bool:
    """Whether bytes could be the first element of a data set without preamble."""
    group, element, length = struct.unpack(f"{order}HHI", start[:8])
    if group not in (0x0002, 0x0008) or element > 0x0100:
        return False
    is_explicit = start[4:6].isalpha() and start[4:6].isupper()
    return is_explicit or (group == 0x0008 and length <= 128)


def damaged(path: Path, kind: str) -> ReadError:
    """The sentence for a file that its library cannot make sense of."""
    return ReadError(
        f"{path.name} could not be read: it is not a {kind} file, or it is damaged or incomplete; "
        "copy or export it again."
    )


def check_size(path: Path, shape: Sequence[int], itemsize: int) -> None:
    """Refuse an image without voxels, or with more than `LARGEST` bytes of them, before reading it.

    Raises
    ------
    ReadError
        In either case.
    """
    sizes = [int(n) for n in shape]
    if not sizes or min(sizes) < 1:
        raise ReadError(f"{path.name} holds no voxels: its size is {' x '.join(map(str, sizes))}.")
    if math.prod(sizes) * itemsize > LARGEST:
        raise ReadError(
            f"{path.name} says it holds {' x '.join(map(str, sizes))} values, more than the "
            f"{LARGEST // 1024**3} GiB that can be opened; crop it, or check that it is not damaged."
        )


def chosen_frame(path: Path, n: int, frame: int | None) -> int:
    """Which of `n` volumes of a file to open, counted from 0; it is never guessed.

    Raises
    ------
    ReadError
        If there are several and none was chosen, or there is no such one.
    """
    if frame is None and n == 1:
        return 0
    if frame is None:
        raise ReadError(f"{path.name} holds {n} volumes, not one; choose one, frame 0 to {n - 1}.")
    if not 0 <= frame < n:
        raise ReadError(f"{path.name} has no frame {frame}; it has 0 to {n - 1}.")
    return frame


def shown(array: NDArray[Any], path: Path) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Bring values into a type that can be shown: native byte order, real, finite.

    Booleans become 0 and 1, half precision becomes single. Values that are not finite become the
    smallest (NaN, minus infinity) or largest (infinity) finite one, and a note says how many they were.

    Raises
    ------
    ReadError
        If the values are complex, or none is finite.
    """
    if array.dtype.kind not in "biuf":
        raise ReadError(f"{path.name} holds {array.dtype.name} values; save its magnitude as real numbers.")
    kinds = {"b": np.dtype(np.uint8), "f": np.dtype(f"f{min(max(array.dtype.itemsize, 4), 8)}")}
    array = array.astype(kinds.get(array.dtype.kind, array.dtype.newbyteorder("=")), copy=False)
    if array.dtype.kind != "f":
        return array, ()
    finite = np.isfinite(array)
    n_bad = int(array.size - np.count_nonzero(finite))
    if n_bad == 0:
        return array, ()
    if n_bad == array.size:
        raise ReadError(f"{path.name} holds no finite value, so there is nothing to show.")
    low, high = array[finite].min(), array[finite].max()
    array = np.nan_to_num(array, nan=low, neginf=low, posinf=high)
    return array, (f"{n_bad} values are infinite or no numbers; they are shown as the darkest or brightest.",)


def without_alpha(array: NDArray[Any]) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Leave out the transparency of (..., 2) grey or (..., 4) colour; a note says so where it mattered."""
    if array.shape[-1] not in (2, 4):
        return array, ()
    alpha, colour = array[..., -1], array[..., :-1]
    notes = () if np.all(alpha == alpha.max()) else ("The picture's transparency was left out.",)
    return np.ascontiguousarray(colour[..., 0] if colour.shape[-1] == 1 else colour), notes
