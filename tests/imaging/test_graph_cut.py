"""The graph cut against an exhaustive search over all outlines of a tiny image."""

from itertools import product

import numpy as np

from napari_medseg.imaging.graph_cut import _cut, _neighbours, graph_cut


def test_cut_is_the_cheapest_of_all() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 255, (3, 4, 1))
    neighbours = _neighbours(pixels)
    cost_in, cost_out = rng.uniform(0, 60, 12), rng.uniform(0, 60, 12)
    inside, outside = np.zeros((3, 4), bool), np.zeros((3, 4), bool)
    inside[1, 1] = outside[0, 3] = True

    def price(region: np.ndarray) -> float:
        apart = region[neighbours.one] != region[neighbours.two]
        return float(neighbours.price[apart].sum() + np.where(region, cost_in, cost_out).sum())

    allowed = [np.array(bits) for bits in product([False, True], repeat=12) if bits[5] and not bits[3]]
    best = min(allowed, key=price)
    found = _cut(neighbours, cost_in, cost_out, inside, outside)
    assert abs(price(found.ravel()) - price(best)) < 0.5  # capacities are hundredths


def test_price_of_equal_neighbours_follows_the_paper() -> None:
    neighbours = _neighbours(np.full((4, 5, 3), 9.0))
    assert len(neighbours.one) == 4 * 4 + 3 * 5 + 2 * 3 * 4  # across, down, and both diagonals
    lengths = np.where(np.isin(neighbours.two - neighbours.one, [1, 5]), 1.0, np.sqrt(2))
    np.testing.assert_allclose(neighbours.price, 50.0 / lengths)


def test_two_colours_are_told_apart() -> None:
    pixels = np.full((40, 40, 3), 60.0)
    pixels[10:25, 12:30] = (200.0, 150.0, 40.0)
    likely, outside = np.zeros((40, 40), bool), np.ones((40, 40), bool)
    likely[6:30, 8:34] = True
    found = graph_cut(pixels, np.zeros((40, 40), bool), outside & ~likely, likely)
    expected = np.zeros((40, 40), bool)
    expected[10:25, 12:30] = True
    np.testing.assert_array_equal(found, expected)
