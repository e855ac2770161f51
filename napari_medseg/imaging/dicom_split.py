"""Sorts the slices of a DICOM series into stacks: one orientation, one size, one slice at each place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medseg.imaging.dicom_header import Frame
from napari_medseg.imaging.dicom_tags import ATTRIBUTES, Attribute

SAME_PLACE = 0.005  # mm along the normal
_SAME_DIRECTION = 1e-3  # of a direction cosine: 0.5 mm over half a metre
_OFFSET = Attribute("offset", (), "part {k} of {n}")


@dataclass(frozen=True)
class Stack:
    """Slices that go together, in order along their normal, and what tells them from other stacks."""

    frames: tuple[Frame, ...]
    label: str = ""


def split(frames: Iterable[Frame]) -> list[Stack]:
    """Sort the slices of one series into stacks, each with a label of its own ("" for a single one).

    Slices are ordered by their position along the normal of their plane, never by name or number; slices
    without a position keep the order of their numbers. Slices at one place go to stacks by b-value, echo,
    phase, type of image or time; where no tag tells them apart they stay together.
    """
    stacks = []
    grids = _by_grid(frames)
    for group, label in zip(grids, _grid_labels(grids), strict=True):
        stacks += _separate(group, label)
    return _with_unique_labels(stacks)


def normal_of(frame: Frame) -> NDArray[np.float64]:
    """(3,) unit vector along which the slices of a frame's stack are ordered."""
    row, column = np.reshape(frame.orientation or (1, 0, 0, 0, 1, 0), (2, 3))
    normal = np.cross(row, column)
    return np.asarray(normal / np.linalg.norm(normal))


def depths(frames: Sequence[Frame]) -> NDArray[np.float64]:
    """(n,) position of placed slices along their normal in mm."""
    return np.array([frame.position for frame in frames], float) @ normal_of(frames[0])


def most_at_one_place(frames: Sequence[Frame]) -> int:
    """How many slices lie at one place where there are most of them."""
    return max(len(group) for group in _places(frames))


def _by_grid(frames: Iterable[Frame]) -> list[list[Frame]]:
    """Group slices of equal size, pixel size and orientation."""
    groups: list[list[Frame]] = []
    for frame in frames:
        for group in groups:
            if _same_grid(frame, group[0]):
                group.append(frame)
                break
        else:
            groups.append([frame])
    return groups


def _same_grid(one: Frame, other: Frame) -> bool:
    """Whether two slices could be neighbours in one volume."""
    if one.size != other.size or (one.orientation is None) != (other.orientation is None):
        return False
    if (one.pixel_spacing is None) != (other.pixel_spacing is None):
        return False
    pairs = zip(
        (*(one.pixel_spacing or ()), *(one.orientation or ())),
        (*(other.pixel_spacing or ()), *(other.orientation or ())),
        strict=True,
    )
    return all(abs(a - b) <= _SAME_DIRECTION for a, b in pairs)


def _grid_labels(groups: Sequence[Sequence[Frame]]) -> list[str]:
    """Name each group by what differs: plane, number of pixels, size of a pixel."""
    words = []
    for group in groups:
        first = group[0]
        plane = _plane(first) if first.orientation else "without position"
        pixel = f"{first.pixel_spacing[0]:.3g} mm pixels" if first.pixel_spacing else "unknown pixel size"
        words.append((plane, f"{first.size[1]} x {first.size[0]}", pixel))
    differing = [len(set(column)) > 1 for column in zip(*words, strict=True)]
    return [", ".join(word for word, differs in zip(row, differing, strict=True) if differs) for row in words]


def _plane(frame: Frame) -> str:
    """The body plane nearest to a slice."""
    return ("sagittal", "coronal", "axial")[int(np.abs(normal_of(frame)).argmax())]


def _places(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Group slices that lie at the same place, in order along the normal."""
    along = depths(frames)
    groups: list[list[Frame]] = []
    last = -np.inf
    for i in np.argsort(along, kind="stable"):
        if along[i] - last > SAME_PLACE:
            groups.append([])
            last = along[i]
        groups[-1].append(frames[i])
    return groups


def _separate(frames: Sequence[Frame], label: str) -> list[Stack]:
    """Divide slices until no two lie at one place, or no tag can tell them apart."""
    if frames[0].position is None:
        return [Stack(tuple(sorted(frames, key=lambda f: (f.number, f.path.name, f.index))), label)]
    places = _places(frames)
    if len(places) == len(frames):
        return [Stack(tuple(frame for place in places for frame in place), label)]
    if len(places) == 1:
        return [Stack(_in_time(frames), label)]
    for attribute in (*ATTRIBUTES, _OFFSET):
        parts = _divide(frames, places, attribute)
        if parts:
            names = _part_labels(attribute, list(parts))
            return [
                stack
                for part, name in zip(parts.values(), names, strict=True)
                for stack in _separate(part, f"{label}, {name}" if label else name)
            ]
    return [Stack(tuple(frame for place in places for frame in place), label)]


def _divide(
    frames: Sequence[Frame], places: list[list[Frame]], attribute: Attribute
) -> dict[Hashable, list[Frame]]:
    """Divide by an attribute's value, or else by rank in time at each place; {} where it does not help.

    An attribute cannot have more values than there are slices at one place: otherwise it follows the
    place, as the time does when slices are taken one after the other.
    """
    most = max(map(len, places))
    groups: dict[Hashable, list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[_value(frame, attribute)].append(frame)
    if 1 < len(groups) <= most and max(map(most_at_one_place, groups.values())) < most:
        return dict(sorted(groups.items(), key=lambda item: (item[0] is not None, item[0])))
    ranked: dict[Hashable, list[Frame]] = defaultdict(list)
    for place in places if attribute.is_time else ():
        times = {_value(frame, attribute): frame for frame in place}
        if None in times or len(times) != most or len(place) != most:
            return {}
        for rank, (_, frame) in enumerate(sorted(times.items(), key=lambda item: _sortable(item[0]))):
            ranked[rank].append(frame)
    return dict(ranked)


def _value(frame: Frame, attribute: Attribute) -> Hashable:
    """A frame's value of an attribute; None when it has none."""
    if attribute is not _OFFSET:
        return frame.attributes.get(attribute.name)
    position, normal = np.array(frame.position), normal_of(frame)
    return tuple(int(x) for x in np.round(position - (position @ normal) * normal))


def _sortable(item: Any) -> Any:
    """A key that never compares a number with a word."""
    return (isinstance(item, str), item)


def _in_time(frames: Sequence[Frame]) -> tuple[Frame, ...]:
    """Order slices that all lie at one place by the first tag that tells all of them apart."""
    for attribute in ATTRIBUTES:
        values = {frame.attributes.get(attribute.name) for frame in frames}
        if len(values) == len(frames) and None not in values:
            return tuple(sorted(frames, key=lambda f: _sortable(f.attributes[attribute.name])))
    return tuple(sorted(frames, key=lambda f: (f.number, f.path.name, f.index)))


def _part_labels(attribute: Attribute, values: list[Any]) -> list[str]:
    """Name the parts a set of slices was divided into."""
    if attribute.name == "image type":
        words = [str(value).split() for value in values]
        common = set.intersection(*map(set, words))
        values = [" ".join(word for word in row if word not in common) or "other" for row in words]
    n = len(values)
    return [
        f"without {attribute.name}" if value is None else attribute.label.format(value=value, k=k, n=n)
        for k, value in enumerate(values, 1)
    ]


def _with_unique_labels(stacks: list[Stack]) -> list[Stack]:
    """Number stacks that would otherwise be called the same."""
    labels = [stack.label for stack in stacks]
    return [
        replace(stack, label=f"{stack.label} ({labels[: i + 1].count(stack.label)})".strip())
        if labels.count(stack.label) > 1
        else stack
        for i, stack in enumerate(stacks)
    ]
