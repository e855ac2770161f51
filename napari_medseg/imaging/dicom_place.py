"""Places a stack of DICOM slices in the patient, and says what is uneven about it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.geometry import Geometry, from_spacing
from napari_medseg.imaging.dicom_header import Frame
from napari_medseg.imaging.dicom_split import SAME_PLACE, depths, normal_of

_OFF = "it opens slice by slice, with the 3-D tools off."
_TILT = 0.1  # degrees


def place(frames: Sequence[Frame]) -> tuple[Geometry, tuple[str, ...]]:
    """Find the grid of slices in stack order, and what a person must know about it.

    Returns
    -------
    Geometry
        The affine maps (z, y, x) to LPS in mm. Tilted slices keep their shear. Where the distances are
        uneven `regular` is False and the step from slice to slice is the usual (median) one.
    tuple of str
        Sentences; slices are counted from 0, as on screen.
    """
    first, n = frames[0], len(frames)
    if first.position is None or first.orientation is None or first.pixel_spacing is None:
        return _unplaced(frames)
    positions = np.array([frame.position for frame in frames], float)
    uneven = _unevenness(positions, frames) if n > 1 else ""
    step = _step(positions, frames, bool(uneven))
    row, column = np.reshape(first.orientation, (2, 3))
    affine = np.eye(4)
    y, x = first.pixel_spacing
    affine[:3, :3] = np.stack([step, column * y, row * x], axis=1)
    affine[:3, 3] = positions[0]
    notes = [f"{uneven}: {_OFF}"] if uneven else []
    cosine = step @ normal_of(first) / np.linalg.norm(step)
    tilt = float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
    if tilt > _TILT:
        notes.append(f"The slices are tilted by {tilt:.1f} degrees (gantry); the grid keeps this shear.")
    return Geometry((n, *first.size[:2]), affine, regular=not uneven), tuple(notes)


def _unplaced(frames: Sequence[Frame]) -> tuple[Geometry, tuple[str, ...]]:
    """Pictures without a position: upright, in mm only where the file says so."""
    first, n = frames[0], len(frames)
    y, x = first.pixel_spacing or (1.0, 1.0)
    z = first.thickness or 1.0
    notes = []
    if n > 1:
        notes.append(f"The {n} pictures carry no position in the body and are no volume: {_OFF}")
    if first.pixel_spacing is None:
        z = 1.0
        notes.append("The file does not say how large a pixel is: lengths are in pixels.")
    elif first.at_detector:
        notes.append("Pixels were measured at the detector or film: in the body they are smaller.")
    geometry = Geometry(
        (n, *first.size[:2]),
        from_spacing((z, y, x)),
        spacing_known=first.pixel_spacing is not None,
        regular=n == 1,
        oriented=False,
    )
    return geometry, tuple(notes)


def _step(positions: NDArray[np.float64], frames: Sequence[Frame], is_uneven: bool) -> NDArray[np.float64]:
    """The (3,) way in mm from one slice to the next; the usual one where the distances differ."""
    normal, n = normal_of(frames[0]), len(frames)
    along = depths(frames)
    if n == 1 or along[-1] - along[0] <= SAME_PLACE:
        return normal * (frames[0].thickness or 1.0)
    step = (positions[-1] - positions[0]) / (n - 1)
    if not is_uneven:
        return np.asarray(step)
    distances = np.diff(along)
    usual = np.median(distances[distances > SAME_PLACE])
    return np.asarray(step / (step @ normal) * usual)


def _unevenness(positions: NDArray[np.float64], frames: Sequence[Frame]) -> str:
    """Say why slices do not make a regular volume; "" when they do."""
    distances, n = np.diff(depths(frames)), len(frames)
    if distances.max() <= SAME_PLACE:
        return f"All {n} slices lie at one place, as in a film"
    if distances.min() <= SAME_PLACE:
        at = int(np.argmin(distances))
        return f"Slices {at} and {at + 1} (and perhaps others) lie at one place and no tag tells them apart"
    step = (positions[-1] - positions[0]) / (n - 1)
    off = np.linalg.norm(positions - positions[0] - np.arange(n)[:, None] * step, axis=1)
    along = distances.mean()
    # A twentieth of a slice, or 0.1 mm for all but very thin slices: some write positions rounded to that.
    if off.max() <= max(0.05 * along, min(0.1, 0.2 * along)):
        return ""
    return _gap(distances)


def _gap(distances: NDArray[np.float64]) -> str:
    """Say where the distances between slices are not the usual one."""
    usual = float(np.median(distances))
    odd = np.flatnonzero(np.abs(distances - usual) > 0.05 * usual)
    if len(odd) == 0:
        return "The slices are shifted sideways against each other"
    at = int(odd[0])
    n_missing = float(distances[at]) / usual - 1
    if len(odd) == 1 and round(n_missing) > 0 and abs(n_missing - round(n_missing)) < 0.05:
        what = "One slice is" if round(n_missing) == 1 else f"{round(n_missing)} slices are"
        return f"{what} missing between slices {at} and {at + 1} ({distances[at]:.1f} mm apart)"
    which = f"{distances[at]:.1f} mm instead of {usual:.1f} mm"
    return f"The distance between slices varies, first between slices {at} and {at + 1} ({which})"
