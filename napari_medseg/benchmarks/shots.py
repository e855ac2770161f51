"""Slices that are shown as examples or asked for, and which of them belong together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Mask, Region
from napari_medseg.core.model import Preparation
from napari_medseg.core.request import Example
from napari_medseg.core.task import Task, task_of
from napari_medseg.core.volume import Volume
from napari_medseg.learning.data import Dataset, Item

NUMBERS = (0, 1, 2, 3, 5, 10)  # of examples


@dataclass(frozen=True, eq=False)
class Place:
    """A stored slice of an image on which a structure is large enough."""

    item: Item
    index: int
    plane: Plane


@dataclass(frozen=True, eq=False)
class Shot:
    """A slice with one structure outlined on it, as it is shown as an example or asked for.

    `region` is (rows, columns); the structure's name is the task's.
    """

    volume: Volume
    index: int
    region: Region
    task: Task
    item: Item

    @property
    def plane(self) -> Plane:
        """The plane of the stored slices."""
        return self.volume.geometry.native_plane

    @property
    def structure(self) -> str:
        """What is outlined."""
        return self.task.structure_names[0]

    @cached_property
    def example(self) -> Example:
        """The slice as an example; always the same object, so that a method knows it again."""
        mask = Mask.empty(self.volume.geometry, self.task.structures)
        mask = mask.put_slice(self.structure, self.plane, self.index, self.region)
        return Example(self.volume, mask.review(self.plane, (self.index,)))

    @cached_property
    def picture(self) -> NDArray[np.uint8]:
        """What a network would see of it, (rows, columns, 3)."""
        from napari_medseg.imaging.prepare import grey_limits, picture

        return picture(self.volume, self.plane, self.index, grey_limits(self.volume, Preparation()))


@dataclass(frozen=True, eq=False)
class Draw:
    """Up to ten examples of a structure, in order, and the slices asked for; fewer examples are the first.

    `alone` says that the set holds one patient only: the examples are then other slices of the same image.
    """

    dataset: Dataset
    structure: str
    number: int
    examples: tuple[Place, ...]
    queries: tuple[Place, ...]
    alone: bool = False

    @property
    def key(self) -> str:
        """Its name, unique over all sets."""
        return f"{self.dataset.name}/{self.structure}/{self.number}"

    def load(self) -> tuple[tuple[Shot, ...], tuple[Shot, ...]]:
        """Read its examples and the slices asked for; each image is read once."""
        about = self.dataset.task
        words = {"modality": about.modality, "anatomy": about.anatomy, "objective": about.objective}
        task = task_of(about.slug, (self.structure,), **words)
        read: dict[str, tuple[Volume, Region]] = {}

        def shot(place: Place) -> Shot:
            name = place.item.image.name
            if name not in read:
                volume = place.item.volume()
                read[name] = volume, place.item.mask(volume).of(self.structure)
            volume, region = read[name]
            return Shot(volume, place.index, region[place.index], task, place.item)

        return tuple(map(shot, self.examples)), tuple(map(shot, self.queries))
