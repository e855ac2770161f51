"""Logistic regression for presence, against what is known of it."""

import numpy as np
import pytest
from scipy.special import expit

from napari_medseg.core.presence import Presence, learn_presence


def test_the_chance_is_the_logistic_function_of_scaled_facts() -> None:
    presence = Presence((1.0, 0.0), (2.0, 1.0), (3.0, -1.0), 0.5)
    got = presence.chance(np.array([2.0, 0.25]))
    assert got == pytest.approx(expit(3 * 0.5 - 0.25 + 0.5))
    far = presence.chance(np.array([1e9, 0.0]))
    assert far == pytest.approx(expit(3 * 5 + 0.5))  # no fact outweighs all others


def test_it_finds_the_weights_that_made_the_data() -> None:
    random = np.random.default_rng(0)
    facts = random.normal(size=(20000, 3)) * np.array([1.0, 5.0, 0.1]) + 2.0
    scaled = (facts - 2.0) / np.array([1.0, 5.0, 0.1])
    there = random.random(20000) < expit(scaled @ np.array([2.0, -1.0, 0.0]))
    learnt = learn_presence(facts, there)
    assert learnt.weights == pytest.approx((2.0, -1.0, 0.0), abs=0.25)  # pulled a little towards nought
    assert learnt.bias == pytest.approx(0.0, abs=0.1)


def test_rare_kinds_count_as_much_as_frequent_ones() -> None:
    random = np.random.default_rng(0)
    facts = np.concatenate([random.normal(1, 1, (1900, 1)), random.normal(-1, 1, (100, 1))])
    learnt = learn_presence(facts, [True] * 1900 + [False] * 100)
    assert learnt.chance(np.zeros(1)) == pytest.approx(0.5, abs=0.1)  # in the middle between both
