"""Foreign images stand out: clouds of made-up features."""

import numpy as np

from napari_medseg.core.likeness import likeness


def test_distance_is_mahalanobis_to_the_nearest_cloud() -> None:
    """Truth: SciPy's Mahalanobis distance with the covariance that the points were drawn from."""
    from scipy.spatial.distance import mahalanobis

    random = np.random.default_rng(0)
    spread = np.array([[2.0, 0.6], [0.6, 0.5]])
    middles = np.array([[0.0, 0.0], [30.0, 10.0]])
    points = np.concatenate([random.multivariate_normal(middle, spread, 4000) for middle in middles])
    found = likeness(points, np.repeat(["a", "b"], 4000))
    shrunk = 0.9 * spread + 0.1 * np.eye(2) * np.trace(spread) / 2
    for point in ([3.0, -1.0], [28.0, 12.0]):
        truth = min(mahalanobis(point, middle, np.linalg.inv(spread)) for middle in middles)
        least = min(mahalanobis(point, middle, np.linalg.inv(shrunk)) for middle in middles)
        assert 0.75 * min(truth, least) < found.distance(np.array(point)) < 1.25 * max(truth, least)


def test_what_is_far_from_every_cloud_stands_out() -> None:
    random = np.random.default_rng(1)
    found = likeness(random.normal(0, 1, (300, 40)), np.array(["home"] * 300))
    known = [found.distance(one) for one in random.normal(0, 1, (200, 40))]
    strange = [found.distance(one + 3) for one in random.normal(0, 1, (200, 40))]
    assert min(strange) > np.quantile(known, 0.98)
