"""A model's word made honest: on made-up answers whose truth is known."""

import numpy as np
import pytest

from napari_medseg.core.calibration import COVERAGE, calibrate


def made_up(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A boastful model: it says 0.8 to 1, and the truth lies between 0.2 and 1 with noise."""
    random = np.random.default_rng(seed)
    said = random.uniform(0.8, 1.0, n)
    return said, np.clip(4 * (said - 0.8) + 0.2 + random.normal(0, 0.08, n), 0, 1)


def test_the_expected_dice_is_what_comes() -> None:
    """Truth: the line that the answers were made from."""
    found = calibrate(*made_up(2000, 0))
    assert found is not None and found.n == 2000
    for said in (0.84, 0.9, 0.96):
        assert found.read(said)[0] == pytest.approx(4 * (said - 0.8) + 0.2, abs=0.04)


def test_eight_in_ten_new_answers_lie_inside() -> None:
    found = calibrate(*made_up(1000, 1))
    assert found is not None
    inside = []
    for said, dice in zip(*made_up(2000, 2), strict=True):
        _, low, high = found.read(said)
        inside.append(low <= dice <= high)
    assert np.mean(inside) == pytest.approx(COVERAGE, abs=0.06)


def test_more_said_never_means_less_expected() -> None:
    random = np.random.default_rng(3)
    found = calibrate(random.uniform(0, 1, 300), random.uniform(0, 1, 300))
    assert found is not None
    read = np.array([found.read(said) for said in np.linspace(0, 1, 50)])
    assert (np.diff(read, axis=0) >= -1e-9).all()
    assert (read[:, 1] <= read[:, 0]).all() and (read[:, 0] <= read[:, 2]).all()


def test_too_few_answers_and_answers_that_are_all_alike() -> None:
    assert calibrate([0.5] * 10, [0.5] * 10) is None
    found = calibrate([0.9] * 60, [0.7] * 60)
    assert found is not None and found.read(0.1) == pytest.approx((0.7, 0.7, 0.7))
