"""What the rows of a few-shot run say: Dice by number of examples, differences on the same slices, curves."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean, median
from typing import Any

from napari_medseg.benchmarks.harness import Row, SetInfo
from napari_medseg.benchmarks.plot import plot
from napari_medseg.benchmarks.shots import NUMBERS
from napari_medseg.benchmarks.table import ROLES
from napari_medseg.core.statistics import Interval, paired_bootstrap

FIVE = 5
MARGIN = 0.005  # half a point of Dice: what more examples may cost
PAPERS_RATIO = 1.5
EVERY = "every unseen set"
Cell = tuple[int, str]  # number of examples and arm
Asked = tuple[str, str, str, str, str]  # set, image, group, structure, target
_ORDER = ("segicl", "examples_head")  # the first that answered is compared with the others


def part_of(n: int) -> str:
    """What a row calls a number of examples."""
    return "1 example" if n == 1 else f"{n} examples"


_NUMBER = {part_of(n): n for n in NUMBERS}


@dataclass(frozen=True)
class FewShotTable:
    """A finished or interrupted run; `notes` are sentences about what was left out."""

    title: str
    about: Mapping[str, Any]
    sets: tuple[SetInfo, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def cells(self) -> dict[Cell, dict[Asked, Row]]:
        """The answers of each arm with each number of examples, by what was asked."""
        found: dict[Cell, dict[Asked, Row]] = {}
        for row in self.rows:
            asked = (row.set, row.image, row.group, row.structure, row.target)
            found.setdefault((_NUMBER[row.part], row.arm), {})[asked] = row
        return found

    @cached_property
    def arms(self) -> tuple[str, ...]:
        """Arms that answered: the one that is compared with the others first."""
        met = dict.fromkeys(row.arm for row in self.rows)
        return tuple(sorted(met, key=lambda arm: _ORDER.index(arm) if arm in _ORDER else len(_ORDER)))

    def sets_of(self, role: str) -> tuple[str, ...]:
        """Sets in a role's mean; EVERY names the unseen ones with few patients too; else the set itself."""
        if role == EVERY:
            return tuple(info.name for info in self.sets if info.role == "unseen")
        if role in ROLES:
            return tuple(info.name for info in self.sets if info.role == role and info.averaged)
        return (role,)

    def interval(self, cell: Cell, role: str, minus: Cell | None = None, measure: str = "dice") -> Interval:
        """Mean over sets of a measure, or of its difference to another cell on exactly the same questions.

        Questions are averaged in a structure, structures in an image, images in a set.
        """
        ours, sets = self.cells.get(cell, {}), set(self.sets_of(role))
        theirs = self.cells.get(minus, {}) if minus else {}
        images: dict[tuple[str, str, str], dict[str, list[float]]] = {}
        for asked, row in ours.items():
            if asked[0] in sets and (minus is None or asked in theirs):
                less = getattr(theirs[asked], measure) if minus else 0.0
                values = images.setdefault(asked[:3], {}).setdefault(asked[3], [])
                values.append(getattr(row, measure) - less)
        means = [fmean(fmean(values) for values in found.values()) for found in images.values()]
        return paired_bootstrap(means, [image[2] for image in images], [image[0] for image in images])

    def seconds(self, cell: Cell) -> tuple[float, float]:
        """Median seconds of learning from the examples, and of one slice."""
        rows = self.cells[cell].values()
        return median(row.fit_seconds or 0.0 for row in rows), median(row.seconds for row in rows)

    def ratio(self, arm: str, role: str) -> float:
        """Dice with three examples over Dice with none, on the same questions; NaN without either."""
        more = self.interval((3, arm), role)
        gain = self.interval((3, arm), role, minus=(0, arm))
        without = more.mean - gain.mean
        return more.mean / without if gain.n and without > 0 else float("nan")

    def steps(self, arm: str) -> list[tuple[int, int]]:
        """Successive numbers of examples an arm was asked with."""
        asked = [n for n in NUMBERS if (n, arm) in self.cells]
        return list(zip(asked, asked[1:], strict=False))

    def lines(self) -> list[str]:
        """The tables as lines of Markdown."""
        from napari_medseg.benchmarks.few_shot_text import lines_of

        return lines_of(self)

    def record(self) -> dict[str, Any]:
        """Everything but the rows, as plain values for JSON."""
        places = (*(info.name for info in self.sets), *ROLES, EVERY)
        cells = [
            {"examples": n, "arm": arm, "sets": place}
            | _plain({m: self.interval((n, arm), place, measure=m) for m in ("dice", "surface_dice")})
            for n, arm in self.cells
            for place in places
        ]
        differences = [
            {"examples": FIVE, "arm": self.arms[0], "minus": other, "sets": role}
            | _plain({"dice": self.interval((FIVE, self.arms[0]), role, minus=(FIVE, other))})
            for other in self.arms[1:]
            for role in (*ROLES, EVERY)
        ]
        steps = [
            {"arm": arm, "from": a, "to": b, "sets": role}
            | _plain({"dice": self.interval((b, arm), role, minus=(a, arm))})
            for arm in self.arms
            for a, b in self.steps(arm)
            for role in ROLES
        ]
        kept = {"cells": _said(cells), "differences": _said(differences), "steps": _said(steps)}
        sets = [asdict(info) | {"averaged": info.averaged} for info in self.sets]
        return {
            "title": self.title,
            "about": dict(self.about),
            "notes": list(self.notes),
            "sets": sets,
            **kept,
        }

    def curves(self, role: str) -> dict[str, list[tuple[float, float]]]:
        """Dice by number of examples, an arm a curve."""
        found: dict[str, list[tuple[float, float]]] = {}
        for arm in self.arms:
            for n in NUMBERS:
                value = self.interval((n, arm), role)
                if value.n:
                    found.setdefault(arm, []).append((float(n), value.mean))
        return found

    def save(self, out: Path) -> None:
        """Write `table.md`, `table.json` and the curves beside the rows."""
        (out / "table.md").write_text("\n".join(self.lines()), encoding="utf-8")
        (out / "table.json").write_text(json.dumps(self.record(), indent=1), encoding="utf-8")
        for role in ROLES:
            if curves := self.curves(role):
                drawing = plot(
                    f"Dice by number of examples, {role} sets", "examples", "Dice", curves, (0.0, 10.0)
                )
                (out / f"few-shot-{role}.svg").write_text(drawing, encoding="utf-8")


def _plain(values: Mapping[str, Interval]) -> dict[str, Any]:
    """Intervals as plain values, None where nothing was asked."""
    return {name: asdict(value) if value.n else None for name, value in values.items()}


def _said(cells: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that say something."""
    return [cell for cell in cells if cell["dice"] is not None]


def names_of(infos: Collection[SetInfo]) -> str:
    """Names of sets in a row."""
    return ", ".join(info.name for info in infos)
