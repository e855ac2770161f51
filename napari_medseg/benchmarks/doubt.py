"""Whether an arm's word about itself held: calibration, intervals, and images it called foreign."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import numpy as np

from napari_medseg.benchmarks.harness import Row, SetInfo

_BINS = 10


def lines_of_doubt(rows: Sequence[Row], sets: Sequence[SetInfo]) -> list[str]:
    """Tables of expected against real Dice, and of foreign images; nothing where no arm said anything."""
    said = [row for row in rows if row.expected is not None]
    if not said:
        return []
    result = [
        "### Expected quality against the real one",
        "",
        "Answers of all sets together. Eight answers in ten should lie inside the interval; the calibration "
        "error is the mean distance between expected and real Dice in ten bins of equal count.",
        "",
        "| arm | prompts | sets | answers | expected | real | error | inside | width | rank correlation |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    role = {info.name: info.role for info in sets}
    for arm, part in dict.fromkeys((row.arm, row.part) for row in said):
        for kind in ("seen", "unseen"):
            ours = [row for row in said if (row.arm, row.part, role.get(row.set)) == (arm, part, kind)]
            if len(ours) >= _BINS:
                result.append("| " + " | ".join((arm, part, kind, str(len(ours)), *_told(ours))) + " |")
    return [*result, "", *_strangers(said, role)]


def reliability(rows: Sequence[Row]) -> dict[str, list[tuple[float, float]]]:
    """Expected and real Dice in ten bins of equal count, a curve for each kind of prompt."""
    found = {}
    for part in dict.fromkeys(row.part for row in rows if row.expected is not None):
        ours = [row for row in rows if row.part == part and row.expected is not None]
        if len(ours) >= _BINS:
            found[part] = _binned(ours)
    return found


def area_under_curve(home: Sequence[float], foreign: Sequence[float]) -> float:
    """Chance that a foreign image is found stranger than one from home; ties count half.

    Source
    ------
    Hanley and McNeil, Radiology 143, 1982: the area under the ROC curve is the Mann-Whitney statistic.
    """
    a, b = np.asarray(home)[:, None], np.asarray(foreign)[None]
    return float(((b > a) + 0.5 * (b == a)).mean())


def _told(rows: Sequence[Row]) -> list[str]:
    """The numbers of one line."""
    from scipy.stats import spearmanr

    expected, real = (np.array([getattr(row, name) for row in rows]) for name in ("expected", "dice"))
    low, high = (np.array([getattr(row, name) for row in rows]) for name in ("low", "high"))
    error = fmean(abs(a - b) for a, b in _binned(rows))
    inside = ((low <= real) & (real <= high)).mean()
    order = "" if np.ptp(expected) == 0 else f"{spearmanr(expected, real).statistic:.2f}"
    return [
        f"{expected.mean():.3f}", f"{real.mean():.3f}", f"{error:.3f}", f"{100 * inside:.0f} %",
        f"{(high - low).mean():.2f}", order,
    ]  # fmt: skip


def _binned(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Mean expected and real Dice of bins of equal count, by what was expected."""
    order = sorted(rows, key=lambda row: row.expected or 0.0)
    parts = [order[i * len(order) // _BINS : (i + 1) * len(order) // _BINS] for i in range(_BINS)]
    return [(fmean(row.expected or 0.0 for row in part), fmean(row.dice for row in part)) for part in parts]


def _strangers(rows: Sequence[Row], role: dict[str, str]) -> list[str]:
    """How well unseen sets stand out as foreign, each image once."""
    images: dict[str, dict[str, float]] = {}
    for row in rows:
        if row.strange is not None:
            images.setdefault(row.set, {})[row.image] = row.strange
    home = [value for name, found in images.items() if role.get(name) == "seen" for value in found.values()]
    foreign = {name: list(found.values()) for name, found in images.items() if role.get(name) == "unseen"}
    if not home or not foreign:
        return []
    called = 100 * fmean(value > 1 for value in home)
    result = [
        "### Images unlike the training data",
        "",
        f"Of {len(home)} test images of seen sets {called:.0f} % are called foreign (2 % were meant).",
        "",
        "| unseen set | images | called foreign | AUC against seen sets |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, values in sorted(foreign.items()):
        share = 100 * fmean(value > 1 for value in values)
        area = area_under_curve(home, values)
        result.append(f"| {name} | {len(values)} | {share:.0f} % | {area:.2f} |")
    return [*result, ""]
