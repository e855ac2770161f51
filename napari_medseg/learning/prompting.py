"""Prompts as a person would give them, made from the truth and the same for every arm."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Mask, Region
from napari_medseg.core.prompts import Box, MaskPrompt, Point

SMALLEST = 50  # pixels of a component worth a prompt
MOST_SLICES = 3  # of a volume
MOST_PARTS = 2  # components of one structure on one slice
MOST_TARGETS = 12  # of one image
JITTER = 0.1  # of a box's side, by which each of its edges may be off
ASKED = "target"  # what prompts call the structure, so that no arm learns its name


@dataclass(frozen=True, eq=False)
class Target:
    """One connected component of a structure on one stored slice (array axis 0), which a prompt points at.

    `key` names it within its image and seeds its prompts; `region` is (rows, columns).
    """

    structure: str
    plane: Plane
    index: int
    region: Region
    key: str

    @property
    def seed(self) -> int:
        """A number that depends on the key alone, so that every arm and every run sees the same prompts."""
        return int.from_bytes(hashlib.sha256(self.key.encode()).digest()[:8], "little")


def targets_of(mask: Mask, image: str) -> tuple[Target, ...]:
    """Choose what to point at: a few components on a few slices of each structure, 12 at most.

    Parameters
    ----------
    mask : Mask
        The truth, one structure a region (nested classes merged).
    image : str
        Name of the set and the image; chooses among slices and components, always in the same way.
    """
    plane = mask.geometry.native_plane
    found = []
    for name in mask.names:
        region = mask.of(name)
        sizes = np.count_nonzero(region, axis=(1, 2))
        worth = np.flatnonzero(sizes >= SMALLEST)
        for index in _chosen(worth, MOST_SLICES, f"{image}/{name}"):
            key = f"{image}/{name}/{index}"
            for number, part in enumerate(_components(region[index], key)):
                found.append(Target(name, plane, int(index), part, f"{key}/{number}"))
    kept = _chosen(np.arange(len(found)), MOST_TARGETS, image)
    return tuple(found[number] for number in kept)


def box_of(target: Target) -> Box:
    """A box around a target, each edge off by up to 10 % of its side, inside the image."""
    rows, columns = np.flatnonzero(target.region.any(1)), np.flatnonzero(target.region.any(0))
    edges = np.array([[rows[0], columns[0]], [rows[-1] + 1, columns[-1] + 1]], dtype=np.float64)
    random = np.random.default_rng([target.seed, 0])
    edges += random.uniform(-JITTER, JITTER, (2, 2)) * (edges[1] - edges[0])
    edges = np.clip(edges, 0, target.region.shape)
    start, stop = ((float(row), float(column)) for row, column in edges)
    return Box(ASKED, target.plane, target.index, start, stop)


def click_in(target: Target) -> Point:
    """A positive click anywhere inside a target."""
    inside = np.argwhere(target.region)
    chosen = inside[np.random.default_rng([target.seed, 1]).integers(len(inside))]
    return _point(target, chosen, True)


def correction(target: Target, answer: Region) -> Point | None:
    """A click in the middle of the largest connected error of an answer, None where there is none.

    The middle is the pixel furthest from the error's rim.
    """
    from scipy.ndimage import distance_transform_edt, label

    missed, extra = target.region & ~answer, answer & ~target.region
    largest, positive = max(
        ((_largest(label(wrong)[0]), sign) for wrong, sign in ((missed, True), (extra, False))),
        key=lambda found: int(np.count_nonzero(found[0])),
    )
    rows, columns = np.flatnonzero(largest.any(1)), np.flatnonzero(largest.any(0))
    if not len(rows):
        return None
    part = largest[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    depth = distance_transform_edt(np.pad(part, 1))[1:-1, 1:-1]
    middle = np.array(np.unravel_index(np.argmax(depth), depth.shape))
    return _point(target, middle + (rows[0], columns[0]), positive)


def shaken(region: Region, by: NDArray[np.float64], steps: int) -> Region:
    """A rough guess of an outline: shifted by (rows, columns), then grown, or shrunk by negative steps.

    What would shrink to nothing keeps its size.
    """
    from scipy import ndimage

    moved = np.asarray(ndimage.shift(region.astype(np.float32), by, order=0) > 0.5)
    if not steps:
        return moved
    change = ndimage.binary_dilation if steps > 0 else ndimage.binary_erosion
    changed = np.asarray(change(moved, iterations=abs(steps)))
    return changed if changed.any() else moved


def rough_mask(target: Target, random: np.random.Generator) -> MaskPrompt:
    """A target as it might have looked a slice before: shifted, grown or shrunk by less than a tenth."""
    rows, columns = np.flatnonzero(target.region.any(1)), np.flatnonzero(target.region.any(0))
    reach = max(1.0, 0.08 * min(rows[-1] - rows[0], columns[-1] - columns[0]))
    by, steps = random.uniform(-reach, reach, 2), round(random.uniform(-reach / 2, reach))
    moved = shaken(target.region, by, steps)
    return MaskPrompt(ASKED, target.plane, target.index, moved if moved.any() else target.region)


def _point(target: Target, at: NDArray[np.intp], positive: bool) -> Point:
    """A click on a pixel of the target's slice."""
    return Point(ASKED, target.plane, (float(target.index), float(at[0]), float(at[1])), positive)


def _components(region: Region, key: str) -> list[Region]:
    """A few connected components that are large enough, in the order they are met."""
    from scipy.ndimage import label

    parts, n = label(region)
    sizes = np.bincount(parts.ravel(), minlength=n + 1)
    worth = np.array([number for number in range(1, n + 1) if sizes[number] >= SMALLEST], dtype=np.intp)
    return [np.asarray(parts == number) for number in _chosen(worth, MOST_PARTS, key)]


def _chosen(among: NDArray[np.intp], most: int, key: str) -> NDArray[np.intp]:
    """At most so many of a list, drawn by the key, in ascending order."""
    if len(among) <= most:
        return among
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
    return np.sort(np.random.default_rng(seed).choice(among, most, replace=False))


def _largest(parts: NDArray[np.int32]) -> Region:
    """The largest of numbered components, empty where there is none."""
    sizes = np.bincount(parts.ravel())
    if len(sizes) < 2:
        return np.zeros(parts.shape, bool)
    return np.asarray(parts == 1 + int(np.argmax(sizes[1:])))
