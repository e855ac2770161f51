"""Ways from one prompt, or from a few true slices, to a body: what the volumes benchmark compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_medseg.benchmarks.bodies import Body
from napari_medseg.core.correction import fixed_by_person
from napari_medseg.core.mask import Mask, Region
from napari_medseg.core.progress import finish
from napari_medseg.core.prompts import Box, MaskPrompt, Point, Prompt
from napari_medseg.core.request import Request
from napari_medseg.core.task import task_of
from napari_medseg.core.volume import Volume
from napari_medseg.learning.prompting import ASKED
from napari_medseg.methods._follow import Answer, Track

if TYPE_CHECKING:
    from napari_medseg.methods import Method

_LONGEST = 96  # voxels a side at which GrowCut works; larger parts are scaled down
_REACH = 0.75  # of a box's longer side: how far from its slice GrowCut looks
_AROUND = 0.5  # of a box's sides: how far around it
_CORE = 0.7  # of a box's half sides: surely inside
TASK = task_of("benchmark", (ASKED,))

Given = Mapping[int, Region]  # true outlines (rows, columns) by slice


def asked(
    method: Method,
    volume: Volume,
    prompts: Sequence[Prompt],
    slices: tuple[int, ...] = (),
    decided: Given | None = None,
    before: Region | None = None,
) -> Region:
    """Ask a method for some stored slices, by default all, as the panel does; (Z, Y, X) bool."""
    from napari_medseg import workflow

    plane = volume.geometry.native_plane
    mask = Mask.empty(volume.geometry, TASK.structures)
    if before is not None:
        mask = mask.put(ASKED, before)
    for index, region in (decided or {}).items():
        mask = mask.put_slice(ASKED, plane, index, region)
    mask = mask.review(plane, decided or ())
    fixed = {ASKED: fixed_by_person(mask, ASKED)} if decided else {}
    slices = slices or tuple(range(volume.n_slices(plane)))
    request = Request(volume, plane, slices, TASK, tuple(prompts), previous=mask, fixed=fixed)
    answer = finish(workflow.segment(method, request))
    return Mask.empty(volume.geometry, TASK.structures).paste(answer.mask, answer.start).of(ASKED)


def spread(body: Body, n: int) -> Given:
    """So many true slices of a body, evenly from the first to the last."""
    chosen = np.linspace(0, len(body.slices) - 1, n).round().astype(int)
    return {body.slices[i]: body.region[body.slices[i]] for i in chosen}


def filled(given: Given, volume: Volume) -> Region:
    """Fill between given stored slices; (Z, Y, X) bool."""
    from napari_medseg.imaging.between import fill_between

    result = np.zeros(volume.geometry.shape, bool)
    for index, region in (*given.items(), *fill_between(given, volume.geometry.spacing[1:])):
        result[index] = region
    return result


def grey(volume: Volume, index: int | None = None) -> NDArray[np.float32]:
    """Grey values of the volume or of one stored slice; colours are averaged."""
    values = volume.array if index is None else volume.array[index]
    n_axes = 3 if index is None else 2
    return np.asarray(values.reshape(*values.shape[:n_axes], -1).mean(-1, dtype=np.float32))


def registered(volume: Volume, index: int, outline: Region) -> Region:
    """Carry the outline of one slice to the others by registration; it ends by the rules of following."""
    from napari_medseg.imaging.registration import carried

    plane, start = volume.geometry.native_plane, index

    def carry(index: int, prompts: tuple[Prompt, ...], guess: Region | None) -> Answer:
        fro = index - 1 if index > start else index + 1
        moved = outline if guess is None else carried(guess, grey(volume, fro), grey(volume, index))
        return Answer(moved.astype(np.float32), moved, 1.0)

    slices = tuple(range(volume.n_slices(plane)))
    request = Request(volume, plane, slices, TASK, (MaskPrompt(ASKED, plane, index, outline),))
    result = np.zeros(volume.geometry.shape, bool)
    for at, answer in Track(request, ASKED, carry, 0.0).follow():
        result[at] = answer.region
    return result


def grown(volume: Volume, prompt: Box | Point) -> Region:
    """GrowCut from a box or a click on one slice.

    Sure inside is the core of the box, or a ball about the click; sure outside is what lies beside the box
    on its slice, and the faces of the part that is looked at: for a box its surroundings, as deep as wide,
    for a click the whole volume.
    """
    from napari_medseg.imaging.growcut import grow_cut

    where, inside, outside = _seeds(volume, prompt)
    pixels = grey(volume)[where]
    scale = [min(1.0, _LONGEST / n) for n in pixels.shape]
    small, sure, never = (
        ndimage.zoom(part.astype(np.float32), scale, order=1, grid_mode=True, mode="nearest")
        for part in (pixels, inside, outside)
    )
    cut = grow_cut(small, sure > 0.25, (never > 0.5) & (sure <= 0.25))
    back = [n / m for n, m in zip(pixels.shape, cut.shape, strict=True)]
    part = ndimage.zoom(cut.astype(np.float32), back, order=1, grid_mode=True, mode="nearest") > 0.5
    result = np.zeros(volume.geometry.shape, bool)
    result[where] = part
    return result


def _seeds(volume: Volume, prompt: Box | Point) -> tuple[tuple[slice, ...], Region, Region]:
    """The part of a volume to look at, and what is surely inside and outside of it."""
    from napari_medseg.imaging.seeds import ellipse

    shape, spacing = volume.geometry.shape, volume.geometry.spacing
    inside, outside = np.zeros(shape, bool), np.zeros(shape, bool)
    if isinstance(prompt, Box):
        start, stop = np.array(prompt.start), np.array(prompt.stop)
        inside[prompt.index] = ellipse(shape[1:], start, stop, _CORE)
        top, left, bottom, right = (int(edge) for edge in (*np.floor(start), *np.ceil(stop)))
        outside[prompt.index] = True
        outside[prompt.index, top:bottom, left:right] = False
        deep = _REACH * float(np.max((stop - start) * spacing[1:])) / spacing[0]
        low = np.array([prompt.index - deep, *(start - _AROUND * (stop - start))])
        high = np.array([prompt.index + deep + 1, *(stop + _AROUND * (stop - start))])
    else:
        at, low, high = np.array(prompt.at), np.zeros(3), np.array(shape)
        apart = (np.indices(shape).reshape(3, -1).T - at).reshape(*shape, 3) * spacing
        inside = np.asarray((apart**2).sum(-1) <= (2 * min(spacing)) ** 2)
    where = tuple(
        slice(max(0, int(a)), min(n, int(np.ceil(b)))) for a, b, n in zip(low, high, shape, strict=True)
    )
    faces = np.ones(inside[where].shape, bool)
    faces[1:-1, 1:-1, 1:-1] = False
    return where, inside[where], (outside[where] | faces) & ~inside[where]
