"""What the rows of an effort run say: clicks, strokes and painted pixels from the first case to the tenth."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from napari_medseg.benchmarks.draws import N_CASES
from napari_medseg.benchmarks.harness import Row, SetInfo
from napari_medseg.benchmarks.plot import plot
from napari_medseg.core.statistics import Interval, paired_bootstrap

Value = Callable[[Row], float]
VALUES: dict[str, Value] = {
    "acts": lambda row: float(row.clicks),
    "changed": lambda row: row.changed or 0.0,
    "proposal": lambda row: row.dice,
}


def case_name(number: int) -> str:
    """What a row calls a case, counted from 1."""
    return f"case {number}"


@dataclass(frozen=True)
class EffortTable:
    """A finished or interrupted run; `notes` are sentences about what was left out."""

    title: str
    about: Mapping[str, Any]
    sets: tuple[SetInfo, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def ways(self) -> tuple[str, ...]:
        """Ways in the order in which they worked."""
        return tuple(dict.fromkeys(row.arm for row in self.rows))

    @cached_property
    def _cells(self) -> dict[tuple[str, str], dict[str, Row]]:
        """For each way and case the rows by series of cases."""
        found: dict[tuple[str, str], dict[str, Row]] = {}
        for row in self.rows:
            found.setdefault((row.arm, row.part), {})[row.target] = row
        return found

    def interval(self, what: str, way: str, case: int, *, minus: tuple[str, int] | None = None) -> Interval:
        """Mean over sets of a value at a case, or of its difference to another way or case.

        Differences are taken within a series of cases.

        Parameters
        ----------
        what : str
            "acts", "changed" (by hand, over the structure's pixels) or "proposal" (its Dice).
        """
        value = VALUES[what]
        ours = self._cells.get((way, case_name(case)), {})
        theirs = self._cells.get((minus[0], case_name(minus[1])), {}) if minus else {}
        series = [name for name in ours if minus is None or name in theirs]
        values = [value(ours[name]) - (value(theirs[name]) if minus else 0.0) for name in series]
        groups, sets = [ours[name].group for name in series], [ours[name].set for name in series]
        return paired_bootstrap(values, groups, sets)

    def lines(self) -> list[str]:
        """The tables as lines of Markdown."""
        about = ", ".join(f"{name} {value}" for name, value in self.about.items() if value != "")
        n_series = len({row.target for row in self.rows})
        sets = ", ".join(dict.fromkeys(row.set for row in self.rows))
        result = [f"## {self.title}", "", f"Run: {about}.", "", *self.notes, ""]
        result += [
            f"{n_series} series of ten cases of different patients in: {sets}. The reader corrects to Dice "
            "0.95. An act is a click for SAM or a stroke that fills or erases one connected error; *painted* "
            "counts pixels changed by hand, over those of the structure. By hand alone one stroke outlines a "
            "whole part, so that acts say little there.",
            "",
        ]
        for what, title in (("acts", "Acts"), ("changed", "Painted"), ("proposal", "Dice of the proposal")):
            result += [f"### {title}, by case", "", *self._by_case(what), ""]
        return [*result, "### The tenth case", "", *self._tenth(), ""]

    def _by_case(self, what: str) -> list[str]:
        """Mean over sets at each case."""
        numbers = range(1, N_CASES + 1)
        result = [_row("way", *numbers), _row("---", *["---:"] * N_CASES)]
        for way in self.ways:
            values = [self.interval(what, way, n) for n in numbers]
            result.append(_row(way, *[f"{v.mean:.2f}" if v.n else "" for v in values]))
        return result

    def _tenth(self) -> list[str]:
        """The tenth case against the first, and against each way that learns nothing, in the same series."""
        result = [_row("way", "minus", "acts", "painted"), _row(*["---"] * 4)]
        for way in self.ways:
            others = [(way, 1), *[(other, N_CASES) for other in self.ways if other != way]]
            for other in others:
                acts, painted = (self.interval(w, way, N_CASES, minus=other) for w in ("acts", "changed"))
                name = "its first case" if other[0] == way else f"{other[0]}, tenth case"
                result.append(_row(way, name, acts, painted))
        return result

    def record(self) -> dict[str, Any]:
        """Everything but the rows, as plain values for JSON."""
        cases = [
            {"way": way, "case": n, "value": what} | asdict(self.interval(what, way, n))
            for way in self.ways
            for n in range(1, N_CASES + 1)
            for what in VALUES
        ]
        told = {"title": self.title, "about": dict(self.about), "notes": list(self.notes)}
        return told | {"sets": [asdict(info) for info in self.sets], "cases": cases}

    def save(self, out: Path) -> None:
        """Write `table.md`, `table.json` and the curves beside the rows."""
        (out / "table.md").write_text("\n".join(self.lines()), encoding="utf-8")
        (out / "table.json").write_text(json.dumps(self.record(), indent=1), encoding="utf-8")
        for what, title in (
            ("acts", "Clicks and strokes"),
            ("changed", "Painted share"),
        ):
            curves = {
                way: [(float(n), self.interval(what, way, n).mean) for n in range(1, N_CASES + 1)]
                for way in self.ways
            }
            most = max(value for points in curves.values() for _, value in points)
            drawing = plot(
                f"{title} to Dice 0.95", "case", title, curves, (1.0, 10.0), (0.0, max(most, 1e-3))
            )
            (out / f"effort-{what}.svg").write_text(drawing, encoding="utf-8")


def _row(*cells: object) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"
