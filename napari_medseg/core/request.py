"""What is asked of a method and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.correction import Fixed
from napari_medseg.core.errors import GeometryError, TaskError
from napari_medseg.core.geometry import Geometry, Plane, Where, slab
from napari_medseg.core.mask import Mask, Region
from napari_medseg.core.prompts import Prompt, check_prompt, slice_of
from napari_medseg.core.structure import Structure, colour_of
from napari_medseg.core.task import Task
from napari_medseg.core.volume import Volume


@dataclass(frozen=True, eq=False)
class Example:
    """An image with its mask, given as a model for others; only `reviewed` slices teach.

    Raises
    ------
    GeometryError
        If the mask does not lie on the image's grid.
    """

    volume: Volume
    mask: Mask

    def __post_init__(self) -> None:
        if not self.mask.geometry.same_grid(self.volume.geometry):
            raise GeometryError("The mask of an example does not lie on its image's grid.")


@dataclass(frozen=True, eq=False)
class Request:
    """One thing asked of a method.

    Parameters
    ----------
    volume : Volume
        The image.
    plane : Plane
        The plane that is worked on.
    slices : tuple of int
        Slices to segment, in ascending order without a gap.
    task : Task
        What is outlined; its structures, or those named by the prompts, are asked for.
    prompts : tuple of Prompt
        All prompts that count, on any slice.
    examples : tuple of Example
        For methods that learn from examples.
    previous : Mask or None
        The result so far on the whole grid, which a prompt refines.
    fixed : Mapping
        Structure name to (Z, Y, X) int8 of what a person decided: see `core.correction`.
    adapt : bool
        Whether the method may adapt to the images (test-time adaptation).
    site_state : Any
        What adaptation remembers of this site, as it came back last time.

    Raises
    ------
    TaskError
        If no slice is asked for, or there are gaps between them.
    GeometryError
        If slices or prompts lie outside the image, or `previous` or `fixed` do not lie on its grid.
    """

    volume: Volume
    plane: Plane
    slices: tuple[int, ...]
    task: Task
    prompts: tuple[Prompt, ...] = ()
    examples: tuple[Example, ...] = ()
    previous: Mask | None = None
    fixed: Mapping[str, Fixed] = field(default_factory=dict)
    adapt: bool = False
    site_state: Any = None

    def __post_init__(self) -> None:
        geometry = self.volume.geometry
        n = geometry.n_slices(self.plane)
        if not self.slices:
            raise TaskError("No slice was asked for; choose a slice, a range or the volume.")
        if self.slices != tuple(range(self.slices[0], self.slices[-1] + 1)):
            raise TaskError("Slices must follow each other without a gap.")
        if self.slices[0] < 0 or self.slices[-1] >= n:
            raise GeometryError(
                f"Slices {self.slices[0]} to {self.slices[-1]} were asked for; "
                f"the {self.plane} slices of this image are 0 to {n - 1}."
            )
        for prompt in self.prompts:
            check_prompt(prompt, geometry)
        if self.previous is not None and not self.previous.geometry.same_grid(geometry):
            raise GeometryError("The mask so far does not lie on the image's grid.")
        if any(fixed.shape != geometry.shape for fixed in self.fixed.values()):
            raise GeometryError("What a person decided does not lie on the image's grid.")

    @property
    def axis(self) -> int:
        """Array axis the slices are counted along."""
        return self.volume.geometry.axis_of(self.plane)

    @property
    def where(self) -> Where:
        """The part of the volume's grid that was asked for."""
        return slab(self.axis, self.slices[0], self.slices[-1] + 1)

    @property
    def start(self) -> tuple[int, int, int]:
        """Index in the volume of the first voxel asked for."""
        first = [0, 0, 0]
        first[self.axis] = self.slices[0]
        return first[0], first[1], first[2]

    @property
    def part(self) -> Geometry:
        """The grid of what was asked for; answers lie on it."""
        stop = list(self.volume.geometry.shape)
        stop[self.axis] = self.slices[-1] + 1
        return self.volume.geometry.crop(self.start, (stop[0], stop[1], stop[2]))

    def region(self) -> Region:
        """An empty region on that grid, for a method to fill slice by slice with `np.moveaxis`."""
        return np.zeros(self.part.shape, bool)

    def mask_of(self, regions: Mapping[str, Region]) -> Mask:
        """Make a mask on that grid from one region a structure, looks taken from the task."""
        mask = Mask(self.part)
        known = {structure.name: structure for structure in self.task.structures}
        for position, (name, region) in enumerate(regions.items()):
            structure = known.get(name, Structure(name, colour_of(position)))
            mask = mask.add(structure).put(name, region)
        return mask

    @property
    def wanted(self) -> tuple[str, ...]:
        """Structures asked for: those the prompts name, else all of the task."""
        named = tuple(dict.fromkeys(prompt.structure for prompt in self.prompts))
        return named or self.task.structure_names

    def prompts_on(self, name: str, index: int) -> tuple[Prompt, ...]:
        """Prompts for one structure on one slice of the requested plane."""
        return tuple(
            p
            for p in self.prompts
            if p.structure == name and p.plane == self.plane and slice_of(p, self.axis) == index
        )


@dataclass(frozen=True, eq=False)
class Alternative:
    """Another possible outline with the quality (0 to 1) its method expects of it."""

    mask: Mask
    quality: float


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A proposal: what a method answers.

    Parameters
    ----------
    mask : Mask
        On the part of the volume's grid that was asked for.
    start : (z, y, x)
        Index in the volume of the mask's first voxel.
    uncertainty : (Z, Y, X) float32 or None
        0 sure to 1 unsure, on the mask's grid.
    quality : Mapping
        Structure name to the expected Dice (0 to 1) of each slice asked for, in order.
    interval : Mapping
        Structure name to (lower, upper) expected Dice of each slice: eight answers in ten lie inside. Empty
        where a method was never calibrated.
    alternatives : tuple of Alternative
        Other readings of the same prompts, best first, the one in `mask` included.
    notes : tuple of str
        Sentences for the person, such as "no liver found on these slices".
    site_state : Any
        What adaptation wants to remember of this site, or None.
    """

    mask: Mask
    start: tuple[int, int, int] = (0, 0, 0)
    uncertainty: NDArray[np.float32] | None = None
    quality: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    alternatives: tuple[Alternative, ...] = ()
    notes: tuple[str, ...] = ()
    site_state: Any = None
    interval: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
