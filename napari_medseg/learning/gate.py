"""Which accepted outlines teach nothing good, each with the reason in a sentence; nothing is deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.mask import Region
from napari_medseg.core.metrics import dice
from napari_medseg.session.accepted import Accepted
from napari_medseg.session.lessons import Key

TINY = 8  # pixels of one outline
AGREE = 0.7  # Dice below which two outlines of one picture contradict each other
_FEWEST_OTHERS = 8  # outlines before any of them can be called unlike the others
_FAR = 6.0  # robust standard deviations
_SPILLED = 0.9  # share of a slice that is outlined where colour ran out of an outline
_MOST_UNLIKE = 0.2  # share of outlines; with more of them the images differ, not the person
# The least that counts as one robust standard deviation: of log area, of a position, of a grey value.
_LEAST = np.array([0.35, 0.07, 0.07, 0.08])
_NEAR = 2.0  # robust standard deviations to another outline, which then stands by it
_LARGE, _ELSEWHERE = "is far larger than", "lies elsewhere or on other grey values than"


@dataclass(frozen=True)
class LeftOut:
    """One outline that a round goes without, and why; `structure` is "" for the whole slice."""

    case: str
    plane: str
    index: int
    structure: str
    why: str


@dataclass(frozen=True, eq=False)
class Sifted:
    """The slices to go on with, and what was left out."""

    kept: tuple[Accepted, ...]
    left_out: tuple[LeftOut, ...]


def sift(slices: Sequence[Accepted]) -> Sifted:
    """Leave out what is likely to be a slip; an empty slice is an answer unless both its neighbours show it.

    An outline that is left out makes its structure unknown on that slice; a slice on which nothing is known
    any more goes as a whole.
    """
    left: list[LeftOut] = []
    kept = [one for one in slices if not _refuse(left, one, "", _bad_picture(one))]
    kept = _once(kept, left)
    found: list[Accepted] = []
    by_place = {one.key: one for one in kept}
    for one in kept:
        for name in tuple(one.regions):
            if _refuse(left, one, name, _bad_outline(one, name, by_place)):
                one = one.without(name)
        found.append(one)
    for name in dict.fromkeys(name for one in found for name in one.regions):
        found = _like_the_others(found, name, left)
    return Sifted(tuple(one for one in found if one.regions), tuple(left))


def _refuse(left: list[LeftOut], one: Accepted, name: str, why: str) -> bool:
    """Note why something is left out, if there is a reason."""
    if why:
        left.append(LeftOut(one.case, one.plane, one.index, name, why))
    return bool(why)


def _title(one: Accepted) -> str:
    return f"{one.image.name}, {one.plane} slice {one.index}"


def _bad_picture(one: Accepted) -> str:
    """Why a picture cannot teach, "" if it can."""
    values = np.asarray(one.image.array)
    if not np.isfinite(values).all():
        return f"{_title(one)}: the image holds values that are no numbers."
    if values.min() == values.max():
        return f"{_title(one)}: the image has no contrast."
    if any(region.shape != one.image.geometry.shape for region in one.regions.values()):
        return f"{_title(one)}: the outline does not lie on the image's grid."
    return ""


def _bad_outline(one: Accepted, name: str, by_place: dict[Key, Accepted]) -> str:
    """Why an outline cannot teach, "" if it can."""
    region, where = one.regions[name], f"{_title(one)}: {name}"
    n = int(np.count_nonzero(region))
    if 0 < n < TINY:
        return f"{where} has {n} pixel{'s' * (n > 1)} only, which looks like a slip of the brush."
    if name in one.others and dice(region, one.others[name]) < AGREE:
        return f"{where} is outlined otherwise by another reader; agree on it and accept it again."
    if n == 0 and _passes_through(one, name, by_place):
        return f"{where} is empty, but it is there on the slices before and after."
    return ""


def _passes_through(one: Accepted, name: str, by_place: dict[Key, Accepted]) -> bool:
    """Whether the slices before and after show a structure at the same place."""
    sides = [by_place.get((one.case, one.plane, one.index + step)) for step in (-1, 1)]
    outlines = [side.regions[name] for side in sides if side is not None and name in side.regions]
    return len(outlines) == 2 and bool((outlines[0] & outlines[1]).any())


def _once(slices: Sequence[Accepted], left: list[LeftOut]) -> list[Accepted]:
    """Take each picture once; two that are the same with other outlines contradict each other."""
    first: dict[str, Accepted] = {}
    against: set[int] = set()
    copies: list[Accepted] = []
    for one in slices:
        values = np.ascontiguousarray(one.image.array)
        same = first.setdefault(
            hashlib.sha256(values.tobytes() + str(values.shape).encode()).hexdigest(), one
        )
        if same is one:
            continue
        copies.append(one)
        if _contradict(one, same):
            against |= {id(one), id(same)}
    for one in slices:
        if id(one) in against:
            why = "the same image was accepted with another outline; accept it once more in one of the cases."
            _refuse(left, one, "", f"{_title(one)}: {why}")
        elif one in copies:
            _refuse(left, one, "", f"{_title(one)}: the same image and outline are there already.")
    return [one for one in slices if id(one) not in against and one not in copies]


def _contradict(one: Accepted, other: Accepted) -> bool:
    """Whether two outlines of the same picture differ in a structure both were looked at for."""
    both = set(one.regions) & set(other.regions)
    return any(dice(one.regions[name], other.regions[name]) < AGREE for name in both)


def _like_the_others(slices: Sequence[Accepted], name: str, left: list[LeftOut]) -> list[Accepted]:
    """Leave out outlines whose area, position or grey value is far from those of all others."""
    shown = [one for one in slices if one.shows(name)]
    if len(shown) <= _FEWEST_OTHERS:
        return list(slices)
    features = np.stack([_features(one, one.regions[name]) for one in shown])
    middle = np.median(features, axis=0)
    spread = np.maximum(1.4826 * np.median(np.abs(features - middle), axis=0), _LEAST)
    far = (features - middle) / spread
    far[:, 1:] = np.abs(far[:, 1:])  # small areas are the ends of an organ; large ones are spills
    apart = np.abs(features[:, None] - features[None]) / spread  # (N, N, 4)
    alone = ((apart < _NEAR).all(axis=-1).sum(axis=1)) == 1  # like none but itself
    spilled = (features[:, 0] > np.log(_SPILLED)) & (middle[0] < np.log(_SPILLED / 2))
    far[spilled, 0] = np.inf
    unlike = ((far.max(axis=1) > _FAR) & alone) | spilled
    if unlike.mean() > _MOST_UNLIKE:
        return list(slices)
    why = {
        id(one): _LARGE if row[0] > _FAR else _ELSEWHERE
        for one, row, odd in zip(shown, far, unlike, strict=True)
        if odd
    }
    result = []
    for one in slices:
        if id(one) in why:
            _refuse(left, one, name, f"{_title(one)}: {name} {why[id(one)]} in all other accepted slices.")
            one = one.without(name)
        result.append(one)
    return result


def _features(one: Accepted, region: Region) -> NDArray[np.float64]:
    """Log of the share of the slice it takes, its middle (row, column) and its grey value, 0 to 1 each."""
    axis = one.grid.axis_of(one.plane)
    flat, values = region.squeeze(axis), one.image.array.squeeze(axis).astype(np.float64)
    if values.ndim == 3:
        values = values.mean(axis=-1)
    low, high = np.percentile(values, [1, 99])
    inside = np.clip((values[flat].mean() - low) / max(high - low, 1e-9), 0, 1)
    rows, columns = (at.mean() / n for at, n in zip(np.nonzero(flat), flat.shape, strict=True))
    return np.array([np.log(flat.mean()), rows, columns, inside])
