"""The verdict against scipy's bootstrap, and the sentences a physician reads."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from napari_medseg.learning.verdict import Pair, judge


def pairs(before, after, groups=None, name="liver"):
    groups = groups or [f"p{n}" for n in range(len(before))]
    rows = zip(groups, before, after, strict=True)
    return [Pair(name, group, f"s{n}", old, new) for n, (group, old, new) in enumerate(rows)]


def test_the_interval_is_scipy_s() -> None:
    """One slice a patient: drawing patients is drawing differences, which scipy does by percentiles."""
    rng = np.random.default_rng(3)
    before, after = rng.uniform(0.7, 0.9, 30), rng.uniform(0.75, 0.95, 30)
    (change,) = judge(pairs(before, after)).structures
    found = bootstrap((after - before,), np.mean, method="percentile", n_resamples=20_000, rng=0)
    assert change.low == pytest.approx(found.confidence_interval.low, abs=2e-3)
    assert change.high == pytest.approx(found.confidence_interval.high, abs=2e-3)
    assert change.before == pytest.approx(before.mean()) and change.after == pytest.approx(after.mean())


def test_patients_are_drawn_whole() -> None:
    """Equal slices of one patient are no more evidence than one: the interval is that of one slice each."""
    rng = np.random.default_rng(0)
    before, after = rng.uniform(0.7, 0.9, 8), rng.uniform(0.7, 0.9, 8)
    once = judge(pairs(before, after)).structures[0]
    tenfold = judge(pairs(np.repeat(before, 10), np.repeat(after, 10), [f"p{n // 10}" for n in range(80)]))
    (many,) = tenfold.structures
    assert (many.low, many.high) == pytest.approx((once.low, once.high))
    assert (many.n_slices, many.n_groups) == (80, 8) and tenfold.n_groups == 8


def test_better() -> None:
    after = [0.93] * 4 + [0.91] * 2 + [0.86]
    verdict = judge(pairs([0.88] * 7, after))
    assert verdict.outcome == "better"
    assert verdict.sentence == "Liver 0.88 to 0.91 on 7 held-back slices of 7 patients: 6 better, 1 worse."


def test_worse_is_refused_and_a_loss_below_one_point_is_not() -> None:
    verdict = judge([*pairs([0.9] * 6, [0.8] * 6), *pairs([0.5] * 6, [0.6] * 6, name="spleen")])
    assert verdict.outcome == "worse"
    assert verdict.sentence == (
        "Liver 0.90 to 0.80 on 6 held-back slices of 6 patients: 0 better, 6 worse. Spleen: better. "
        "The new version is worse and is not used."
    )
    assert judge(pairs([0.9] * 6, [0.895] * 6)).outcome == "no change"


def test_a_fall_beyond_five_points_is_refused_even_on_a_few() -> None:
    assert judge(pairs([0.96] * 3, [0.24] * 3)).outcome == "worse"
    assert judge(pairs([0.96], [0.90])).outcome == "worse"
    assert judge(pairs([0.96] * 3, [0.92] * 3)).outcome == "too few"
    assert judge(pairs([0.24] * 3, [0.96] * 3)).outcome == "too few"


def test_no_change_and_others() -> None:
    still = pairs([0.9] * 6, [0.91, 0.89, 0.9, 0.9, 0.905, 0.895])
    verdict = judge(still)
    assert verdict.outcome == "no change"
    assert verdict.sentence == (
        "Liver 0.90 to 0.90 on 6 held-back slices of 6 patients: 0 better, 0 worse, no change we can detect."
    )
    both = judge([*still, *pairs([0.5] * 6, [0.6] * 6, name="spleen")])
    assert both.outcome == "better"
    assert both.sentence.endswith("6 better, 0 worse. Liver: no change we can detect.")


def test_too_few_says_what_is_missing() -> None:
    verdict = judge(pairs([0.8] * 3, [0.9] * 3, ["a", "a", "b"]), "from five examples")
    assert verdict.outcome == "too few" and verdict.structures[0].n_missing == 9
    assert verdict.sentence == (
        "Too few to tell: liver 0.80 (from five examples) to 0.90 on 3 held-back slices of 2 patients: "
        "3 better, 0 worse; slices of about 9 more patients would tell."
    )
    wide = judge(pairs([0.5] * 6, [0.2, 0.9, 0.3, 0.8, 0.6, 0.4]))
    assert wide.outcome == "too few" and wide.structures[0].n_missing > 100
    assert wide.sentence.endswith("slices of many more patients would tell.")
    assert judge([]).sentence.startswith("Too few to tell: no slice is held back yet")


def test_the_first_has_nothing_to_be_compared_with() -> None:
    verdict = judge([Pair("liver", "a", "s", None, 0.9)])
    assert verdict.outcome == "first" and verdict.structures[0].low is None
    assert verdict.sentence == (
        "Liver: 0.90 on 1 held-back slice of 1 patient; there was nothing to compare it with."
    )
