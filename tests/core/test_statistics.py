"""The bootstrap; truth is scipy's for values without groups, else the simulated coverage or a closed form."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from napari_medseg.core.statistics import Interval, paired_bootstrap


def test_agrees_with_scipy_where_every_value_is_its_own_group() -> None:
    values = np.random.default_rng(1).gamma(2.0, 1.0, 60)
    ours = paired_bootstrap(values, [str(i) for i in range(60)], n_resamples=20_000)
    theirs = bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=2)
    assert ours.mean == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.02)


def test_copies_of_a_patient_add_no_certainty() -> None:
    values = np.random.default_rng(3).normal(size=20)
    names = [str(i) for i in range(20)]
    once = paired_bootstrap(values, names)
    tenfold = paired_bootstrap(np.repeat(values, 10), np.repeat(names, 10))
    assert (tenfold.low, tenfold.high) == pytest.approx((once.low, once.high))
    assert (tenfold.n, tenfold.n_groups) == (200, 20)


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng, hits = np.random.default_rng(4), 0
    for trial in range(300):
        patients = rng.normal(0.0, 1.0, 30)
        values = np.repeat(patients, 4) + rng.normal(0.0, 0.5, 120)
        owners = [str(i // 4) for i in range(120)]
        interval = paired_bootstrap(values, owners, n_resamples=500, seed=trial)
        hits += interval.low <= 0 <= interval.high
    assert 0.89 <= hits / 300 <= 0.98


def test_sets_count_equally_whatever_their_size() -> None:
    values = np.concatenate([np.full(90, 1.0), np.full(10, 0.0)])
    sets = ["large"] * 90 + ["small"] * 10
    groups = [str(i) for i in range(100)]
    interval = paired_bootstrap(values, groups, sets)
    assert (interval.mean, interval.low, interval.high) == (0.5, 0.5, 0.5)
    assert paired_bootstrap(values, groups).mean == pytest.approx(0.9)


def test_same_name_in_two_sets_is_two_groups() -> None:
    assert paired_bootstrap([0.0, 1.0], ["a", "a"], ["one", "two"]).n_groups == 2


def test_same_seed_same_interval() -> None:
    values, groups = np.random.default_rng(5).normal(size=30), [str(i % 10) for i in range(30)]
    assert paired_bootstrap(values, groups, seed=6) == paired_bootstrap(values, groups, seed=6)
    assert paired_bootstrap(values, groups, seed=6) != paired_bootstrap(values, groups, seed=7)


@pytest.mark.parametrize(
    ("low", "high", "margin", "words"),
    [
        (0.01, 0.05, 0.0, "better"),
        (0.01, 0.05, 0.02, "better"),
        (-0.01, 0.05, 0.0, "too few to tell"),
        (-0.01, 0.05, 0.02, "no worse"),
        (-0.015, -0.005, 0.02, "no worse"),
        (-0.03, 0.01, 0.02, "too few to tell"),
        (-0.05, -0.01, 0.0, "worse"),
        (-0.05, -0.03, 0.02, "worse"),
    ],
)
def test_verdicts(low: float, high: float, margin: float, words: str) -> None:
    assert Interval((low + high) / 2, low, high, 40, 12).verdict(margin) == words


def test_four_patients_are_too_few_whatever_the_difference() -> None:
    assert paired_bootstrap([0.3, 0.31, 0.32, 0.3], list("abcd")).verdict() == "too few to tell"
    assert paired_bootstrap([0.3, 0.31, 0.32, 0.3, 0.3], list("abcde")).verdict() == "better"
    assert paired_bootstrap([], []).verdict() == "too few to tell"


def test_values_without_a_group_are_refused() -> None:
    with pytest.raises(ValueError, match="group"):
        paired_bootstrap([0.1, 0.2], ["a"])
