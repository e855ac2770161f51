"""Prompts that point at nothing, and what was outlined there all the same.

Where a slice lacks a structure, it is asked for it with a box or a rough mask where another image of the set
has it, unless anything else is outlined there. The right answer is an empty one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from PIL import Image

from napari_medseg.benchmarks.harness import Row, SetInfo, Unit
from napari_medseg.benchmarks.prompt_arms import Arm
from napari_medseg.core.mask import Mask, Region
from napari_medseg.core.metrics import score
from napari_medseg.core.volume import Volume
from napari_medseg.learning.prompting import SMALLEST, Target, box_of, rough_mask, targets_of

BOX, MASK = "box at nothing", "rough mask at nothing"
PARTS = (BOX, MASK)
MOST_DONORS = 8  # images of a set that lend their structures
MOST_ASKED = 4  # prompts at nothing of one image


@dataclass(frozen=True, eq=False)
class Lent:
    """A structure of one image, to be looked for in others of its set; `depth` is its slice's, 0 to 1."""

    image: str
    structure: str
    depth: float
    region: Region


class Donors:
    """What the images of each set have to lend; each is read once."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self._units = units
        self._lent: dict[str, list[Lent]] = {}

    def of(self, name: str) -> list[Lent]:
        """Structures of the first images of a set."""
        if name not in self._lent:
            own = [unit for unit in self._units if unit.dataset.name == name][:MOST_DONORS]
            self._lent[name] = [lent for unit in own for lent in _lent_by(unit)]
        return self._lent[name]


def _lent_by(unit: Unit) -> Iterator[Lent]:
    mask = unit.item.mask()
    n = mask.geometry.shape[0]
    for target in targets_of(mask, unit.key):
        yield Lent(unit.key, target.structure, target.index / n, target.region)


def nothings_of(mask: Mask, unit: Unit, donors: Donors) -> tuple[Target, ...]:
    """Where to point at nothing in one image: regions (rows, columns) of structures it lacks there."""
    n, *shape = mask.geometry.shape
    outlined = np.logical_or.reduce([mask.of(name) for name in mask.names])
    found = []
    for number, lent in enumerate(donors.of(unit.dataset.name)):
        index = int(lent.depth * n)
        if lent.image == unit.key or mask.on_slice(lent.structure, mask.geometry.native_plane, index).any():
            continue
        region = np.asarray(
            Image.fromarray(lent.region).resize((shape[1], shape[0]), Image.Resampling.NEAREST)
        )
        if np.count_nonzero(region) >= SMALLEST and not (region & outlined[index]).any():
            key = f"{unit.key}/nothing/{number}"
            found.append(Target(lent.structure, mask.geometry.native_plane, index, region, key))
    return tuple(sorted(found, key=lambda target: target.seed)[:MOST_ASKED])


def rows_of_nothing(
    volume: Volume,
    targets: Sequence[Target],
    box_arms: Sequence[Arm],
    mask_arms: Sequence[Arm],
    row_of: Callable[[Target], Callable[..., Row]],
) -> list[Row]:
    """Let every arm answer a box and a rough mask at nothing; Dice is 1 for an empty answer and else 0."""
    rows = []
    for target in targets:
        nothing = np.zeros(target.region.shape, bool)
        rough = rough_mask(target, np.random.default_rng([target.seed, 2]))
        for part, prompt, arms in ((BOX, box_of(target), box_arms), (MASK, rough, mask_arms)):
            for arm in arms:
                start = time.perf_counter()
                answer = arm.outline(volume, target, [prompt], nothing)
                seconds = time.perf_counter() - start
                found = score(answer, nothing, volume.geometry.spacing[1:])
                area = np.count_nonzero(answer) / np.count_nonzero(target.region)
                values = found.dice, found.surface_dice, found.hd95, seconds
                rows.append(row_of(target)(part, arm.name, *values, **arm.word, false_area=area))
    return rows


def lines_of_nothing(rows: Sequence[Row], sets: Sequence[SetInfo]) -> list[str]:
    """A table of empty answers and false areas; nothing where nobody was asked."""
    if not rows:
        return []
    role = {info.name: info.role for info in sets}
    result = [
        "### Prompts that point at nothing",
        "",
        "Where a slice lacks a structure that another image of the set has, and nothing else is outlined "
        "there. Specificity is the part of empty answers; the false area is what was outlined, over the area "
        "that was pointed at (mean); expected is what the arm itself expected of its answers. What nobody "
        "outlined may still be something.",
        "",
        "| set | role | prompt | arm | prompts | specificity | false area | expected Dice |",
        "| --- | --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    cells = dict.fromkeys((row.part, row.arm, row.set) for row in rows)
    for part, arm, name in sorted(cells, key=lambda cell: (PARTS.index(cell[0]), cell[2])):
        ours = [row for row in rows if (row.part, row.arm, row.set) == (part, arm, name)]
        result.append(_line(name, role.get(name, ""), part, arm, ours))
    for part, arm in dict.fromkeys((row.part, row.arm) for row in rows):
        ours = [row for row in rows if (row.part, row.arm) == (part, arm)]
        result.append(_line("**all prompts**", "", part, arm, ours))
    return [*result, ""]


def _line(name: str, role: str, part: str, arm: str, rows: Sequence[Row]) -> str:
    """One line of the table."""
    said = [row.expected for row in rows if row.expected is not None]
    area = fmean(row.false_area or 0.0 for row in rows)
    expected = f"{fmean(said):.2f}" if said else ""
    values = (len(rows), f"{fmean(row.dice for row in rows):.2f}", f"{area:.2f}", expected)
    return "| " + " | ".join(str(cell) for cell in (name, role, part, arm, *values)) + " |"
