"""What is pointed at in a volume: the largest connected body of each structure, on its middle slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Mask, Region
from napari_medseg.learning.prompting import SMALLEST, Target

FEWEST_SLICES = 5
MOST_BODIES = 4  # of one image


@dataclass(frozen=True, eq=False)
class Body:
    """One connected body of a structure; `region` is (Z, Y, X), `key` names it and seeds its prompts."""

    structure: str
    plane: Plane
    region: Region
    key: str

    @property
    def slices(self) -> tuple[int, ...]:
        """The stored slices (array axis 0) it lies on."""
        return tuple(np.flatnonzero(self.region.any(axis=(1, 2))).tolist())

    @property
    def middle(self) -> Target:
        """What is pointed at: the body on the middle one of its slices."""
        return self.on(self.slices[len(self.slices) // 2])

    def on(self, index: int) -> Target:
        """The body on one slice."""
        return Target(self.structure, self.plane, index, self.region[index], f"{self.key}/{index}")


def bodies_of(mask: Mask, image: str) -> tuple[Body, ...]:
    """Choose what to point at: of each structure its largest body; four an image at most.

    A body counts if it lies on at least five slices and has 50 pixels on the middle one.
    """
    plane = mask.geometry.native_plane
    found = []
    for name in mask.names:
        parts, n = ndimage.label(mask.of(name))
        if not n:
            continue
        largest = np.asarray(parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:])))
        body = Body(name, plane, largest, f"{image}/{name}")
        if len(body.slices) >= FEWEST_SLICES and np.count_nonzero(body.middle.region) >= SMALLEST:
            found.append(body)
    return tuple(sorted(found, key=lambda body: body.middle.seed)[:MOST_BODIES])
