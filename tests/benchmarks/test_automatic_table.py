"""What the rows of the automatic preset say, by hand: comparisons over the same images, and absence."""

import pytest

from napari_medseg.benchmarks.automatic_answers import AUTOMATIC
from napari_medseg.benchmarks.automatic_table import CLAIMS, AutomaticTable, absences
from napari_medseg.benchmarks.harness import Row, SetInfo
from napari_medseg.benchmarks.table import Table


def test_claims_are_over_the_images_both_arms_answered() -> None:
    sets = (SetInfo("many", "seen", 6, 6, "px"), SetInfo("few", "seen", 3, 3, "px"))
    rows = [
        Row(info.name, f"{n}.png", f"p{n}", "x", "t", AUTOMATIC, arm, dice, dice, 0.0, 0.1)
        for info in sets
        for arm, dice in (("unet_converged", 0.5), ("hsp_sam", 0.6 if info.name == "few" else 0.495))
        for n in range(info.n_images)
    ]
    routers = {"segmote-1": {"CT": {"tokens": [1, 3], "experts": [0.2, 0.8]}}}
    table = AutomaticTable(Table("t", {}, sets, tuple(rows)), (), ("few",), (), routers)
    mean, pooled = (table.interval(claim) for claim in CLAIMS[:2])
    assert (mean.mean, mean.n, mean.verdict(0.01)) == (pytest.approx(-0.005), 6, "no worse")
    assert (pooled.mean, pooled.n, pooled.verdict()) == (pytest.approx(0.1), 3, "too few to tell")
    text = "\n".join(table.lines())
    assert "| hsp_sam minus unet_converged | 6 | 6 | 0.01 | -0.005 [-0.005, -0.005] | no worse |" in text
    assert "| CT | 25 %, 75 % | 20 %, 80 % |" in text


def test_absence_counts_empty_answers() -> None:
    rows = [
        Row("a", f"{n}.png", f"p{n}", "x", "t", AUTOMATIC, "hsp_sam", 1.0, 1.0, 0.0, 0.1, false_area=area)
        for n, area in enumerate((0.0, 0.0, 0.0, 0.4))
    ]
    present = Row("a", "9.png", "p9", "x", "t", AUTOMATIC, "hsp_sam", 0.2, 1.0, 0.0, 0.1)
    one, whole = absences([*rows, present])
    assert (one.set, whole.set, whole.n, whole.specificity) == ("a", "", 4, 0.75)
    assert whole.false_area == pytest.approx(0.1)
