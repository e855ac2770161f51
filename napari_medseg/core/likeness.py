"""Whether an image is like those a model learnt from, by the features the model sees in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FOREIGN = (
    "This image is unlike those the model learnt from, so its outlines and what it expects of them need a "
    "closer look."
)
Vectors = NDArray[np.float64]
_MOST_AXES = 24
_SHRINK = 0.1  # of the pooled covariance towards a sphere


@dataclass(frozen=True, eq=False)
class Likeness:
    """The images a model knows, as clouds of features, one a data set.

    Parameters
    ----------
    axes : (A, D)
        Directions in which features are compared, scaled so that a cloud has unit spread.
    homes : (K, A)
        Middles of the clouds.
    limit : float
        Distance beyond which an image counts as foreign.
    """

    axes: Vectors
    homes: Vectors
    limit: float

    def distance(self, features: Vectors) -> float:
        """Mahalanobis distance of one image's features (D,) to the nearest cloud."""
        return float(np.linalg.norm(self.homes - self.axes @ features, axis=1).min())


def likeness(features: Vectors, sets: NDArray[np.str_]) -> Likeness:
    """Learn the clouds from features (N, D) of training images and the set each belongs to; no limit yet.

    Source
    ------
    Lee et al., A simple unified framework for detecting out-of-distribution samples, NeurIPS 2018: class-wise
    Gaussians with a shared covariance.

    Differs
    -------
    The shared covariance is taken along the features' main axes only and shrunk, for few images.
    """
    names = sorted(set(sets.tolist()))
    middles = np.stack([features[sets == name].mean(0) for name in names])
    centred = features - features.mean(0)
    _, _, main = np.linalg.svd(centred / np.maximum(centred.std(0), 1e-6), full_matrices=False)
    main = main[:_MOST_AXES] / np.maximum(centred.std(0), 1e-6)
    within = np.concatenate([features[sets == name] - middles[i] for i, name in enumerate(names)]) @ main.T
    spread = within.T @ within / max(1, len(within) - len(names))
    spread = (1 - _SHRINK) * spread + _SHRINK * np.eye(len(spread)) * np.trace(spread) / len(spread)
    values, vectors = np.linalg.eigh(spread)
    axes = (vectors / np.sqrt(np.maximum(values, 1e-9))).T @ main
    return Likeness(axes, middles @ axes.T, np.inf)
