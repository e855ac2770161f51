"""Outlines carried along with a picture that was moved by a known way."""

import numpy as np
from scipy import ndimage

from napari_medseg.core.metrics import dice
from napari_medseg.imaging.registration import carried


def picture() -> np.ndarray:
    return ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(90, 100)), 3) * 100


def test_an_outline_follows_a_shift_and_a_swelling() -> None:
    pixels = picture()
    rows, columns = np.mgrid[:90, :100]
    region = (rows - 45) ** 2 + (columns - 50) ** 2 < 200
    shifted = ndimage.shift(pixels, (2, -3), order=3, mode="nearest")
    truth = np.roll(region, (2, -3), axis=(0, 1))
    assert dice(region, truth) < 0.9
    assert dice(carried(region, pixels, shifted), truth) > 0.95
    grown = ndimage.affine_transform(pixels, np.eye(2) / 1.15, (45 - 45 / 1.15, 50 - 50 / 1.15), order=3)
    bigger = (rows - 45) ** 2 + (columns - 50) ** 2 < 200 * 1.15**2
    assert dice(carried(region, pixels, grown), bigger) > max(0.94, dice(region, bigger) + 0.03)


def test_at_the_border_it_stays_on_the_slice() -> None:
    pixels = picture()
    region = np.zeros(pixels.shape, bool)
    region[:12, :15] = True
    assert dice(carried(region, pixels, pixels), region) > 0.99
