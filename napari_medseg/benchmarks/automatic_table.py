"""What the rows of the automatic preset say: Dice, the comparisons that were promised, and absence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from napari_medseg.benchmarks.automatic_answers import AUTOMATIC, FOREIGN
from napari_medseg.benchmarks.harness import Row
from napari_medseg.benchmarks.table import Table
from napari_medseg.core.statistics import Interval, paired_bootstrap

FEW = 40  # training images


@dataclass(frozen=True)
class Claim:
    """One arm held against another: on the mean of the sets, or pooled where few images train."""

    arm: str
    minus: str
    margin: float = 0.0
    pooled: bool = False


CLAIMS = (
    Claim("hsp_sam", "unet_converged", 0.01),
    Claim("hsp_sam", "unet_converged", pooled=True),
    Claim("hsp_sam", "ft_sam"),
    Claim("hsp_sam", "hsp_sam_task", 0.02),
    Claim("segmote", "segmote_task", 0.02),
    Claim("segmote", "segmote_no_ppt"),
    Claim("segmote", "segmote_ppt_off"),
    Claim("segmote", "segmote_one_expert"),
    Claim("segmote", "segmote_plain_query"),
    Claim("segmote_box", "sam_box"),
    *(
        Claim("ablation_full", f"ablation_{name}")
        for name in ("ft_sam", "qa", "hierarchy", "hierarchy_skips", "qa_hierarchy")
    ),
)


@dataclass(frozen=True)
class AutomaticTable:
    """A finished or interrupted run.

    Parameters
    ----------
    absence : tuple of Row
        Answers about other tasks' images.
    few : tuple of str
        Sets with fewer than 40 training images that are not reported apart.
    notes : tuple of str
        Sentences about arms that did not answer, or not everywhere.
    routers : Mapping
        Model to modality to counts of images by expert token and shares by expert, as a SegMoTE's card says.
    """

    table: Table
    absence: tuple[Row, ...]
    few: tuple[str, ...]
    notes: tuple[str, ...]
    routers: Mapping[str, Mapping[str, Any]]

    def interval(self, claim: Claim) -> Interval:
        """The difference a claim is about, on exactly the same images."""
        sets = self.few if claim.pooled else self.table.averaged("seen")
        return self.table.interval(AUTOMATIC, claim.arm, sets, minus=claim.minus, pooled=claim.pooled)

    def lines(self) -> list[str]:
        """The tables as lines of Markdown."""
        return [
            *self.table.lines(),
            *(f"- {note}" for note in self.notes),
            *([""] if self.notes else []),
            *self._claim_lines(),
            *absence_lines((*self.table.rows, *self.absence)),
            *self._router_lines(),
        ]

    def _claim_lines(self) -> list[str]:
        """The comparisons that both sides answered."""
        found = [(claim, self.interval(claim)) for claim in CLAIMS]
        told = [(claim, value) for claim, value in found if value.n]
        if not told:
            return []
        result = [
            "### Comparisons",
            "",
            "Dice on the same images, the mean over sets with at least five test groups; pooled: all images "
            f"of the sets with fewer than {FEW} training images ({', '.join(self.few) or 'none'}), patients "
            "drawn whole. *No worse* means that the lower bound lies above minus the margin.",
            "",
            "| | images | groups | margin | difference | |",
            "| --- | ---: | ---: | ---: | --- | --- |",
        ]
        for claim, value in told:
            title = f"{claim.arm} minus {claim.minus}{', pooled' if claim.pooled else ''}"
            cells = (title, value.n, value.n_groups, f"{claim.margin:g}", value, value.verdict(claim.margin))
            result.append(_line(*cells))
        return [*result, ""]

    def _router_lines(self) -> list[str]:
        """Which expert token and which expert served how many images, by modality."""
        result = []
        for name, use in self.routers.items():
            result += [f"### {name}: use of the experts by modality, on validation images", ""]
            result += [_line("modality", "expert tokens", "experts of the last layer"), _line(*["---"] * 3)]
            result += [
                _line(kind, _shares(one["tokens"]), _shares(one["experts"])) for kind, one in use.items()
            ]
            result.append("")
        return result

    def record(self) -> dict[str, Any]:
        """Everything but the rows, as plain values for JSON."""
        told = [(claim, self.interval(claim)) for claim in CLAIMS]
        claims = [
            asdict(claim) | {"difference": asdict(value), "verdict": value.verdict(claim.margin)}
            for claim, value in told
            if value.n
        ]
        absence = [asdict(one) for one in absences((*self.table.rows, *self.absence))]
        more = {"notes": list(self.notes), "few": list(self.few), "routers": dict(self.routers)}
        return {**self.table.record(), "claims": claims, "absence": absence, **more}

    def save(self, out: Path) -> None:
        """Write `table.md` and `table.json` beside the rows."""
        (out / "table.md").write_text("\n".join(self.lines()), encoding="utf-8")
        (out / "table.json").write_text(json.dumps(self.record(), indent=1), encoding="utf-8")


@dataclass(frozen=True)
class Absence:
    """How often an arm left a structure that is not there alone: in one set, or ("") in all.

    `specificity` is the share of empty answers, `low` and `high` its 95 % interval with patients drawn whole;
    `false_area` the mean share of the image that was outlined.
    """

    part: str
    arm: str
    set: str
    n: int
    specificity: float
    low: float
    high: float
    false_area: float


def absences(rows: Sequence[Row]) -> list[Absence]:
    """By kind of image, arm and set; all sets together last."""
    asked = [row for row in rows if row.false_area is not None]
    found = []
    for part in (AUTOMATIC, FOREIGN):
        for arm in dict.fromkeys(row.arm for row in asked):
            ours = [row for row in asked if (row.part, row.arm) == (part, arm)]
            for name in (*sorted({row.set for row in ours}), ""):
                here = [row for row in ours if name in ("", row.set)]
                if here:
                    found.append(_absence(part, arm, name, here))
    return found


def _absence(part: str, arm: str, name: str, rows: Sequence[Row]) -> Absence:
    """Counted over questions, an image and a structure each."""
    empty = paired_bootstrap(
        [float(not row.false_area) for row in rows], [f"{r.set}/{r.group}" for r in rows]
    )
    area = fmean(row.false_area or 0.0 for row in rows)
    return Absence(part, arm, name, len(rows), empty.mean, empty.low, empty.high, area)


def absence_lines(rows: Sequence[Row]) -> list[str]:
    """Two tables of empty answers and false areas; nothing where nobody was asked."""
    titles = {
        AUTOMATIC: "Absent structures: images of the task without the structure",
        FOREIGN: "Absent structures: images of other tasks, whose anatomy cannot hold the structure",
    }
    result = []
    for part, title in titles.items():
        cells = {(one.arm, one.set): one for one in absences(rows) if one.part == part}
        if not cells:
            continue
        result += [f"### {title}", "", *_absence_table(cells), ""]
    return result


def _absence_table(cells: Mapping[tuple[str, str], Absence]) -> list[str]:
    """A line an arm: all sets, then each."""
    sets = [name for name in dict.fromkeys(name for _, name in cells) if name]
    result = [
        _line("arm", "questions", "specificity [95 %]", "false area, % of the image", *sets),
        _line("---", "---:", "---", "---:", *["---:"] * len(sets)),
    ]
    for arm in dict.fromkeys(arm for arm, _ in cells):
        whole = cells[arm, ""]
        interval = f"{whole.specificity:.2f} [{whole.low:.2f}, {whole.high:.2f}]"
        each = [f"{cells[arm, name].specificity:.2f}" if (arm, name) in cells else "" for name in sets]
        result.append(_line(arm, whole.n, interval, f"{100 * whole.false_area:.2f}", *each))
    return result


def _shares(shares: Sequence[float]) -> str:
    """Counts or shares as parts of their sum."""
    whole = sum(shares) or 1.0
    return ", ".join(f"{100 * share / whole:.0f} %" for share in shares)


def _line(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"
