"""One image a set to look at: a click, the outline it gave, and the true one.

These pictures show real images: they stay in the run's own folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from napari_medseg.benchmarks.harness import Unit
from napari_medseg.benchmarks.prompt_arms import Arm
from napari_medseg.benchmarks.table import ROLES
from napari_medseg.core.metrics import dice
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.structure import COLOURS
from napari_medseg.learning.prompting import click_in, targets_of

_COLUMNS = 5
_HEAD = 30
_GAP = 6
_LEGEND = (("a click", 1), ("the outline it gave", 0), ("the true outline", 2))


def draw_sheets(units: Sequence[Unit], arm: Arm, out: Path) -> Job[tuple[Path, ...]]:
    """Write `clicks-seen.png` and `clicks-unseen.png`, with the first target of each set among the units."""
    written = []
    for role in ROLES:
        panels = []
        for name in dict.fromkeys(unit.dataset.name for unit in units if unit.dataset.role == role):
            yield Progress(1.0, f"drawing {name}")
            own = (unit for unit in units if unit.dataset.name == name)
            panels += next((found for unit in own if (found := _panels(unit, arm))), [])
        if panels:
            written.append(out / f"clicks-{role}.png")
            _sheet(panels).save(written[-1])
    return tuple(written)


def _panels(unit: Unit, arm: Arm) -> list[Image.Image]:
    """The first target of an image as a picture; none where nothing is to be pointed at."""
    from napari_medseg.workflow.pictures import panel
    from napari_medseg.workflow.samples import Sample

    volume = unit.item.volume()
    targets = targets_of(unit.item.mask(volume), unit.key)[:1]
    found = []
    for target in targets:
        click, nothing = click_in(target), np.zeros(target.region.shape, bool)
        answer = arm.outline(volume, target, [click], nothing)
        name = unit.dataset.name
        sample = Sample(name, "", volume, target.plane, target.index, click, target.region)
        said = f"{dice(answer, target.region):.2f}  {name}, {target.structure}"
        found.append(panel(sample, answer, said, with_truth=True))
    return found


def _sheet(panels: Sequence[Image.Image]) -> Image.Image:
    """Lay pictures in rows, under a line that says what the colours and the number before a name mean."""
    width, height = (max(size) + _GAP for size in zip(*(one.size for one in panels), strict=True))
    n_rows = -(-len(panels) // _COLUMNS)
    whole = Image.new("RGB", (_COLUMNS * width, _HEAD + n_rows * height), (255, 255, 255))
    for number, one in enumerate(panels):
        whole.paste(one, (number % _COLUMNS * width, _HEAD + number // _COLUMNS * height))
    draw, font, left = ImageDraw.Draw(whole), ImageFont.load_default(18), _GAP
    for words, colour in _LEGEND:
        draw.rectangle((left, 8, left + 16, 22), fill=COLOURS[colour])
        draw.text((left + 22, 5), words, fill=(0, 0, 0), font=font)
        left += 240
    draw.text((left, 5), "before each name: Dice", fill=(0, 0, 0), font=font)
    return whole
