"""GrabCut: an outline as the cheapest cut of the pixel graph, with colour mixtures for inside and outside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.mask import Region

Pixels = NDArray[np.float64]
_N_COLOURS = 5  # normal distributions in each mixture
_EDGE = 50.0  # price of a cut between equal neighbours
_UNIT = 100  # capacities are whole numbers, in hundredths
_NEVER = 1_000_000  # capacity that no cut can afford


@dataclass(frozen=True, eq=False)
class Mixture:
    """Normal distributions of colour: weights (K,), means (K, C), inverse covariances (K, C, C)."""

    weights: Pixels
    means: Pixels
    inverses: Pixels

    def cost(self, colours: Pixels) -> Pixels:
        """Minus the logarithm of the likelihood (up to a constant) of (N, C) colours, (N,)."""
        from scipy.special import logsumexp

        apart = colours[None] - self.means[:, None]  # (K, N, C)
        squared = ((apart @ self.inverses) * apart).sum(axis=2).T  # (N, K)
        heights = np.log(self.weights) + 0.5 * np.linalg.slogdet(self.inverses)[1]
        return -np.asarray(logsumexp(heights - 0.5 * squared, axis=1))


def graph_cut(pixels: Pixels, inside: Region, outside: Region, likely: Region, n_rounds: int = 4) -> Region:
    """Outline what looks like the first guess and unlike the rest, along strong edges.

    Parameters
    ----------
    pixels : (Y, X, C) float64, 0 to 255
        The image.
    inside, outside : (Y, X) bool
        Pixels that are surely inside or outside.
    likely : (Y, X) bool
        First guess, from which the colours of the inside are learnt.
    n_rounds : int
        How often colours are learnt and the graph is cut.

    Source
    ------
    Rother, Kolmogorov and Blake, GrabCut, SIGGRAPH 2004.

    Differs
    -------
    Mixtures are summed over their parts, where the paper takes the nearest part; the flow is scipy's.
    """
    region = (likely | inside) & ~outside
    neighbours = _neighbours(pixels)
    colours = pixels.reshape(-1, pixels.shape[2])
    for _ in range(n_rounds):
        if region.sum() < 2 or (~region).sum() < 2:
            break
        cost_in = _mixture(colours[region.ravel()]).cost(colours)
        cost_out = _mixture(colours[~region.ravel()]).cost(colours)
        before, region = region, _cut(neighbours, cost_in, cost_out, inside, outside)
        if np.array_equal(before, region):
            break
    return region


def _mixture(colours: Pixels) -> Mixture:
    """Fit a mixture to (N, C) colours: clusters by k-means, one normal distribution each."""
    from scipy.cluster.vq import kmeans2

    sample = colours[:: max(1, len(colours) // 4000)]
    varied = sample + np.random.default_rng(0).normal(0.0, 0.5, sample.shape)  # equal colours have no spread
    n = min(_N_COLOURS, len(sample))
    _, owner = kmeans2(varied, n, iter=8, minit="++", rng=np.random.default_rng(0), missing="warn")
    parts = [varied[owner == k] for k in range(n) if np.any(owner == k)]
    ridge = np.eye(colours.shape[1])
    covariances = [np.cov(part.T, bias=True).reshape(ridge.shape) + ridge for part in parts]
    return Mixture(
        np.array([len(part) for part in parts]) / len(varied),
        np.array([part.mean(axis=0) for part in parts]),
        np.linalg.inv(np.array(covariances)),
    )


@dataclass(frozen=True, eq=False)
class _Neighbours:
    """Pairs of the eight-neighbourhood by pixel number, and what cutting between them costs."""

    one: NDArray[np.intp]
    two: NDArray[np.intp]
    price: Pixels
    shape: tuple[int, int]


def _neighbours(pixels: Pixels) -> _Neighbours:
    """Price each pair of neighbours: high where their colours are alike."""
    shape = (pixels.shape[0], pixels.shape[1])
    number = np.arange(shape[0] * shape[1]).reshape(shape)
    ones, twos, lengths = [], [], []
    for row, column in ((0, 1), (1, 0), (1, 1), (1, -1)):
        left = slice(max(0, -column), shape[1] - max(0, column))
        right = slice(max(0, column), shape[1] - max(0, -column))
        ones.append(number[: shape[0] - row, left].ravel())
        twos.append(number[row:, right].ravel())
        lengths.append(np.full(len(ones[-1]), np.hypot(row, column)))
    one, two = np.concatenate(ones), np.concatenate(twos)
    colours = pixels.reshape(-1, pixels.shape[2])
    squared = ((colours[one] - colours[two]) ** 2).sum(axis=1)
    price = _EDGE / np.concatenate(lengths) * np.exp(-squared / max(2.0 * float(squared.mean()), 1e-9))
    return _Neighbours(one, two, price, shape)


def _cut(
    neighbours: _Neighbours, cost_in: Pixels, cost_out: Pixels, inside: Region, outside: Region
) -> Region:
    """Find the cheapest cut between the source (inside) and the sink (outside)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    n = inside.size
    pixel = np.arange(n)
    shift = np.minimum(cost_in, cost_out)
    to_pixel = np.where(inside.ravel(), _NEVER, np.where(outside.ravel(), 0, (cost_out - shift) * _UNIT))
    to_sink = np.where(outside.ravel(), _NEVER, np.where(inside.ravel(), 0, (cost_in - shift) * _UNIT))
    price = neighbours.price * _UNIT
    rows = np.concatenate([neighbours.one, neighbours.two, np.full(n, n), pixel])
    columns = np.concatenate([neighbours.two, neighbours.one, pixel, np.full(n, n + 1)])
    capacity = np.concatenate([price, price, to_pixel, to_sink])
    capacity = np.minimum(capacity, _NEVER).astype(np.int32)
    graph = coo_array((capacity, (rows, columns)), shape=(n + 2, n + 2)).tocsr()
    left = graph - maximum_flow(graph, n, n + 1).flow
    left.data = np.maximum(left.data, 0)
    left.eliminate_zeros()
    reached = breadth_first_order(left, n, return_predecessors=False)
    region = np.zeros(n + 2, bool)
    region[reached] = True
    return region[:n].reshape(neighbours.shape)
