"""Ask a method for a mask, and hold the answer to what a person decided."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_medseg.core.correction import Correction, Fixed, fixed_by_person, obey, obey_rules
from napari_medseg.core.mask import Mask, Region, Where
from napari_medseg.core.progress import Job
from napari_medseg.core.request import Alternative, Request, Segmentation
from napari_medseg.core.task import Rule, Task

if TYPE_CHECKING:
    from napari_medseg.methods import Method


def fixed(mask: Mask, name: str, task: Task | None = None, corrections: Iterable[Correction] = ()) -> Fixed:
    """Say for every voxel (Z, Y, X) whether a structure must be there (1), must not (-1) or is free (0)."""
    return fixed_by_person(mask, name, task, corrections)


def segment(method: Method, request: Request) -> Job[Segmentation]:
    """Run a method; what it answers, and every partial answer, obeys the person and the task's rules.

    This is the one place where hard constraints are enforced, whatever a method does with them.
    """
    job = method.segment(request)
    while True:
        try:
            step = next(job)
        except StopIteration as stop:
            return _obedient(stop.value, request)
        if isinstance(step.partial, Segmentation):
            step = replace(step, partial=_obedient(step.partial, request))
        yield step


def _obedient(answer: Segmentation, request: Request) -> Segmentation:
    """Hold an answer and its alternatives to what a person decided."""
    where = slab_at(answer.start, answer.mask.geometry.shape)
    alternatives = tuple(
        Alternative(_constrained(other.mask, where, request), other.quality) for other in answer.alternatives
    )
    return replace(answer, mask=_constrained(answer.mask, where, request), alternatives=alternatives)


def _constrained(mask: Mask, where: Where, request: Request) -> Mask:
    """Apply the rules, then what a person decided, which outweighs them, to a mask on a part of the grid."""
    order = {name: i for i, name in enumerate(request.task.structure_names)}
    names = sorted(mask.names, key=lambda name: order.get(name, len(order)))
    regions = {name: _obey(name, mask.of(name), where, request) for name in names}
    for rule in request.task.rules:
        regions = _beside_previous(regions, rule, where, request)
    result = mask.copy()
    for name, region in obey_rules(regions, request.task).items():
        result = result.put(name, _obey(name, region, where, request))
    return result


def _obey(name: str, region: Region, where: Where, request: Request) -> Region:
    """Give one structure the voxels a person fixed."""
    whole = request.fixed.get(name)
    return obey(region, None if whole is None else whole[where])


def _beside_previous(
    regions: dict[str, Region], rule: Rule, where: Where, request: Request
) -> dict[str, Region]:
    """Hold the answer to a rule with a structure that was not asked for and stays as it is.

    A slice where the outer structure is not outlined yet is no reason to cut the inner one.
    """
    old = request.previous
    asked, other = (rule.first, rule.second) if rule.first in regions else (rule.second, rule.first)
    if old is None or asked not in regions or other in regions or other not in old.names:
        return regions
    there = old.of(other, where)
    if rule.kind == "excludes":
        return {**regions, asked: regions[asked] & ~there}
    if asked != rule.first:
        return regions
    in_plane = tuple(axis for axis in range(3) if axis != request.axis)
    outlined = there.any(axis=in_plane, keepdims=True)
    return {**regions, asked: np.asarray(regions[asked] & (there | ~outlined))}


def slab_at(start: tuple[int, int, int], shape: tuple[int, int, int]) -> Where:
    """The part of a grid of some shape that begins at an array index."""
    z, y, x = (slice(a, a + n) for a, n in zip(start, shape, strict=True))
    return z, y, x
