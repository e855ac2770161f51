"""What the rows of a run say: means over sets, differences with intervals, and what is stored of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean, median
from typing import Any

from napari_medseg.benchmarks.harness import Row, SetInfo
from napari_medseg.core.statistics import Interval, paired_bootstrap

MEASURES = ("dice", "surface_dice", "hd95")
ROLES = ("seen", "unseen")
Cell = tuple[str, str]  # part and arm


@dataclass(frozen=True)
class Table:
    """A finished or interrupted run.

    Parameters
    ----------
    title : str
        What was measured.
    about : Mapping
        Preset, minutes, seed, device, commit and whatever else makes the run.
    sets : tuple of SetInfo
        All sets of the split.
    rows : tuple of Row
        All answers.
    """

    title: str
    about: Mapping[str, Any]
    sets: tuple[SetInfo, ...]
    rows: tuple[Row, ...]

    @cached_property
    def arms(self) -> dict[str, tuple[str, ...]]:
        """The arms of each part, in the order in which they answered."""
        found: dict[str, dict[str, None]] = {}
        for row in self.rows:
            found.setdefault(row.part, {})[row.arm] = None
        return {part: tuple(names) for part, names in found.items()}

    @cached_property
    def _by_image(self) -> dict[Cell, dict[tuple[str, str, str], dict[str, float]]]:
        """For each part and arm: (set, image, group) to measures, structures averaged in the image."""
        gathered: dict[Cell, dict[tuple[str, str, str], dict[str, list[Row]]]] = {}
        for row in self.rows:
            images = gathered.setdefault((row.part, row.arm), {})
            structures = images.setdefault((row.set, row.image, row.group), {})
            structures.setdefault(row.structure, []).append(row)
        return {
            cell: {image: _mean_of(structures.values()) for image, structures in images.items()}
            for cell, images in gathered.items()
        }

    def interval(
        self,
        part: str,
        arm: str,
        sets: Sequence[str],
        *,
        minus: str | None = None,
        measure: str = "dice",
        pooled: bool = False,
    ) -> Interval:
        """Mean over sets of an arm's measure, or of its difference to another arm on the same images.

        `pooled` takes the mean over images instead, whatever set they are of.
        """
        ours = self._by_image.get((part, arm), {})
        theirs = self._by_image.get((part, minus), {}) if minus else {}
        images = [i for i in ours if i[0] in sets and (minus is None or i in theirs)]
        values = [ours[i][measure] - (theirs[i][measure] if minus else 0.0) for i in images]
        if pooled:
            return paired_bootstrap(values, [f"{i[0]}/{i[2]}" for i in images])
        return paired_bootstrap(values, [i[2] for i in images], [i[0] for i in images])

    def answered(self, part: str, arm: str) -> frozenset[str]:
        """Sets of which an arm answered something."""
        return frozenset(image[0] for image in self._by_image.get((part, arm), {}))

    def averaged(self, role: str, measure: str = "dice") -> tuple[str, ...]:
        """Sets of a role that count in its mean; distances are averaged in pixels, so over pictures only."""
        sets = [info for info in self.sets if info.role == role and info.averaged]
        return tuple(info.name for info in sets if measure != "hd95" or info.unit == "px")

    def reaching(self, arm: str, role: str, clicks: int) -> float:
        """Mean over sets of the part of objects that reach Dice 0.85 within so many clicks."""
        shares = []
        for name in self.averaged(role):
            counts = [row.clicks for row in self.rows if row.set == name and row.arm == arm and row.clicks]
            if counts:
                shares.append(fmean(count <= clicks for count in counts))
        return fmean(shares) if shares else float("nan")

    def seconds(self, part: str, arm: str) -> float:
        """Median time of one answer."""
        return median(row.seconds for row in self.rows if (row.part, row.arm) == (part, arm))

    @cached_property
    def met(self) -> tuple[SetInfo, ...]:
        """Sets of which at least one image was done: those that are averaged first."""
        names = {row.set for row in self.rows}
        order = sorted(self.sets, key=lambda info: (not info.averaged, info.role, info.name))
        return tuple(info for info in order if info.name in names)

    def lines(self) -> list[str]:
        """The tables as lines of Markdown, ready for docs/benchmarks.md."""
        from napari_medseg.benchmarks.markdown import lines_of

        return lines_of(self)

    def record(self) -> dict[str, Any]:
        """Everything but the rows, as plain values for JSON."""
        cells = []
        for part, arms in self.arms.items():
            for arm in arms:
                for where in (*(info.name for info in self.met), *ROLES):
                    values = {
                        m: self.interval(part, arm, self.averaged(where, m) or (where,), measure=m)
                        for m in MEASURES
                    }
                    cells.append(_cell(part, arm, where, values))
        sets = [asdict(info) | {"averaged": info.averaged} for info in self.met]
        kept = [cell for cell in cells if cell]
        return {"title": self.title, "about": dict(self.about), "sets": sets, "cells": kept}

    def save(self, out: Path) -> None:
        """Write `table.md`, `table.json` and the plots beside the rows."""
        from napari_medseg.benchmarks.markdown import plots_of

        (out / "table.md").write_text("\n".join(self.lines()), encoding="utf-8")
        (out / "table.json").write_text(json.dumps(self.record(), indent=1), encoding="utf-8")
        for name, drawing in plots_of(self).items():
            (out / name).write_text(drawing, encoding="utf-8")


def _mean_of(structures: Collection[Sequence[Row]]) -> dict[str, float]:
    """Each measure, targets averaged in a structure and structures in the image."""
    return {m: fmean(fmean(getattr(row, m) for row in rows) for rows in structures) for m in MEASURES}


def _cell(part: str, arm: str, where: str, values: Mapping[str, Interval]) -> dict[str, Any]:
    """One arm on one set, or on the mean of a role; empty where it answered nothing."""
    if not values["dice"].n:
        return {}
    plain = {name: asdict(value) if value.n else None for name, value in values.items()}
    return {"part": part, "arm": arm, "sets": where, **plain}
