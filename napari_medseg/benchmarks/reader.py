"""A simulated reader who corrects a proposal with clicks and strokes until it is good enough."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_medseg.benchmarks.prompt_arms import MethodArm
from napari_medseg.benchmarks.shots import Shot
from napari_medseg.core.mask import Region
from napari_medseg.core.metrics import dice
from napari_medseg.core.prompts import Prompt
from napari_medseg.learning.prompting import Target, click_in, correction

GOOD = 0.95
_MOST_CLICKS = 10
_GAIN = 0.01  # of Dice that a click must bring, or the reader takes the brush


@dataclass(frozen=True, eq=False)
class Corrected:
    """What a reader ends with: the outline, after how many clicks and strokes and painted pixels."""

    region: Region
    acts: int
    changed: int


def by_hand(answer: Region, truth: Region) -> Corrected:
    """Fill or erase the largest wrong part, then the next, until Dice is GOOD.

    Each part is one act. Of the last one only as much is done as is needed, and the
    pixels furthest from its rim come first.
    """
    region, acts, changed = answer.copy(), 0, 0
    while dice(region, truth) < GOOD:
        part = _largest_wrong(region, truth)
        missed = bool(truth[part].any())
        shared, total = int((region & truth).sum()), int(region.sum() + truth.sum())
        needed = (GOOD * total - 2 * shared) / (2 - GOOD) if missed else total - 2 * shared / GOOD
        n = min(int(part.sum()), max(1, math.ceil(needed - 1e-9)))
        depth = ndimage.distance_transform_edt(np.pad(part, 1))[1:-1, 1:-1]
        inside = np.flatnonzero(part)
        region.ravel()[inside[np.argsort(-depth[part], kind="stable")[:n]]] = missed
        acts, changed = acts + 1, changed + n
    return Corrected(region, acts, changed)


def with_clicks(arm: MethodArm, shot: Shot) -> Corrected:
    """Click for the promptable method where it is most wrong, and paint what clicks do not bring."""
    key = f"{shot.item.image.name}/{shot.index}"
    target = Target(shot.structure, shot.plane, shot.index, shot.region, key)
    prompts: list[Prompt] = [click_in(target)]
    best, n = np.zeros_like(shot.region), 0
    before = best
    while True:
        answer = arm.outline(shot.volume, target, prompts, before)
        gain = dice(answer, shot.region) - dice(best, shot.region)
        best, n, before = (answer if gain > 0 else best), n + 1, answer
        wrong = correction(target, answer)
        if dice(best, shot.region) >= GOOD or gain < _GAIN or n == _MOST_CLICKS or wrong is None:
            break
        prompts.append(wrong)
    done = by_hand(best, shot.region)
    return Corrected(done.region, n + done.acts, done.changed)


def _largest_wrong(region: Region, truth: Region) -> Region:
    """The largest connected part that is missing or too much."""
    found = []
    for wrong in (truth & ~region, region & ~truth):
        parts, n = ndimage.label(wrong)
        if n:
            sizes = np.bincount(parts.ravel())
            number = 1 + int(sizes[1:].argmax())
            found.append((int(sizes[number]), parts == number))
    return np.asarray(max(found, key=lambda one: one[0])[1])
