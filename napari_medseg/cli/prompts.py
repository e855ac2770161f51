"""What a method is shown: prompts typed as numbers (array indices, half-open boxes), and examples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_medseg.cli.options import numbers, run, slice_range
from napari_medseg.core.errors import GeometryError, TaskError
from napari_medseg.core.prompts import Box, MaskPrompt, Point, Prompt, slice_of
from napari_medseg.core.structure import UNTITLED
from napari_medseg.core.task import Task, task_of

if TYPE_CHECKING:
    from napari_medseg.core.geometry import Plane
    from napari_medseg.core.request import Example
    from napari_medseg.core.volume import Volume


@dataclass(frozen=True)
class Typed:
    """Prompts, plane and slices as they were typed."""

    points: tuple[str, ...] = ()
    boxes: tuple[str, ...] = ()
    mask: Path | None = None
    plane: Plane | None = None
    slices: str | None = None


def read_prompts(typed: Typed, volume: Volume, structure: str) -> tuple[Plane, tuple[Prompt, ...]]:
    """Turn what was typed into a plane and prompts for one structure.

    Raises
    ------
    TaskError, GeometryError
        If a prompt cannot be read or lies outside the image.
    """
    plane = typed.plane or volume.geometry.native_plane
    prompts: list[Prompt] = [_point(text, volume, plane, structure) for text in typed.points]
    prompts += [_box(text, volume, plane, structure) for text in typed.boxes]
    if typed.mask is not None:
        prompts += _guesses(typed.mask, volume, plane, structure)
    return plane, tuple(prompts)


def wanted_slices(typed: Typed, volume: Volume, plane: Plane, prompts: tuple[Prompt, ...]) -> tuple[int, ...]:
    """The slices asked for: those typed, else from the first to the last prompt, else all."""
    n = volume.n_slices(plane)
    chosen = slice_range(typed.slices, n)
    if chosen is None:
        axis = volume.geometry.axis_of(plane)
        prompted = [slice_of(prompt, axis) for prompt in prompts] or [0, n - 1]
        chosen = tuple(range(min(prompted), max(prompted) + 1))
    return chosen


def read_shown(
    method: str, examples: Path | None, task: Task, label: str
) -> tuple[Task, tuple[Example, ...], list[str]]:
    """Read examples, with notes; the task is then the label, else as it was, else what they show.

    Raises
    ------
    TaskError, ReadError, GeometryError
        If the method needs examples and has none, or has some and does not learn from them, or they
        cannot be used.
    """
    from napari_medseg import workflow

    learns = workflow.entry(method).way == "examples"
    if examples is None and learns:
        raise TaskError(f"The method '{method}' learns from examples; give a folder of them with --examples.")
    if examples is None:
        return task, (), []
    if not learns:
        able = ", ".join(name for name, entry in workflow.menu().items() if entry.way == "examples")
        raise TaskError(f"The method '{method}' does not learn from examples; these do: {able or 'none'}.")
    if label:
        task = replace(task, structures=(task.structure(label),))
    unnamed = task.structure_names == (UNTITLED,)
    read = run(workflow.read_examples(examples, None if unnamed else task))
    return task_of(task.slug, read.names) if unnamed else task, read.examples, list(read.notes)


def _point(text: str, volume: Volume, plane: Plane, structure: str) -> Point:
    z, y, x, *sign = numbers(text, "--point", (3, 4), "Z,Y,X or Z,Y,X,0 or Z,Y,X,1")
    if sign and sign[0] not in (0.0, 1.0):
        raise TaskError(f"--point ends in 1 for inside or 0 for outside, not in {sign[0]:g}.")
    if not all(-0.5 <= value < n - 0.5 for value, n in zip((z, y, x), volume.geometry.shape, strict=True)):
        shape = " x ".join(map(str, volume.geometry.shape))
        raise GeometryError(f"The point {text} lies outside the image, which has {shape} voxels (z, y, x).")
    return Point(structure, plane, (z, y, x), not sign or sign[0] == 1.0)


def _box(text: str, volume: Volume, plane: Plane, structure: str) -> Box:
    index, top, left, bottom, right = numbers(text, "--box", (5,), "Z,Y0,X0,Y1,X1")
    axis = volume.geometry.axis_of(plane)
    rows, columns = (n for i, n in enumerate(volume.geometry.shape) if i != axis)
    inside = 0 <= top < bottom <= rows and 0 <= left < right <= columns
    if index != int(index) or not 0 <= index < volume.n_slices(plane) or not inside:
        n = volume.n_slices(plane)
        raise GeometryError(
            f"The box {text} is empty or lies outside the image, which has "
            f"{n} {plane} slices of {rows} x {columns}."
        )
    return Box(structure, plane, int(index), (top, left), (bottom, right))


def _guesses(path: Path, volume: Volume, plane: Plane, structure: str) -> list[MaskPrompt]:
    """A first guess as one mask prompt for each slice where it has something."""
    from napari_medseg import workflow

    mask = workflow.open_mask(path, volume)
    if structure not in mask.names and len(mask.names) != 1:
        found = ", ".join(mask.names) or "nothing"
        raise TaskError(
            f"--mask needs one structure, or one called '{structure}'; '{path.name}' has {found}."
        )
    name = structure if structure in mask.names else mask.names[0]
    on = [(index, mask.on_slice(name, plane, index)) for index in range(volume.n_slices(plane))]
    return [MaskPrompt(structure, plane, index, region) for index, region in on if region.any()]
