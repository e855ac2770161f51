"""The linear head: its weights against SciPy's least squares, its sums against sums by hand."""

import numpy as np
import pytest
import torch
from scipy.linalg import lstsq

from napari_medseg.networks.ridge import Moments, apply, fit, moments, pixel_features
from napari_medseg.networks.sam import CompactSam


def drawn(n: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    features = torch.randn(n, 5, 8, 8)
    inside = (features[:, :1] + 0.1 * torch.randn(n, 1, 8, 8) > 0).float()
    valid = torch.ones(n, 1, 8, 8)
    valid[:, :, :, 6:] = 0
    return features, inside, valid


def test_without_balance_and_ridge_it_is_least_squares() -> None:
    features, inside, valid = drawn(1)
    total = moments(features, inside, valid).total(torch.ones(1, 1))
    weights = fit(total, strength=1e-9, balance=0.0)[0]
    used = valid[0, 0] > 0
    rows = features[0][:, used].T.double().numpy()
    wanted = (2 * inside[0, 0] - 1)[used].double().numpy()
    np.testing.assert_allclose(weights.numpy(), lstsq(rows, wanted)[0], rtol=1e-3, atol=1e-4)


def test_balance_weighs_inside_and_outside_alike() -> None:
    features, _, valid = drawn(1)
    features[:, 4] = 1
    few = torch.zeros(1, 1, 8, 8)
    few[0, 0, 0, :2] = 1
    total = moments(features[:, 4:], few, valid).total(torch.ones(1, 1))
    assert fit(total, 1e-9, balance=1.0).item() == pytest.approx(0.0, abs=1e-5)  # (1 - 1) / 2
    assert fit(total, 1e-9, balance=0.0).item() == pytest.approx((2 - 46) / 48, abs=1e-4)


def test_the_moments_of_two_images_are_those_of_both_together() -> None:
    features, inside, valid = drawn()
    apart = Moments.stack([moments(features[i : i + 1], inside[i : i + 1], valid[i : i + 1]) for i in (0, 1)])
    both = moments(*(torch.cat(list(part), 2)[None] for part in (features, inside, valid)))
    added = apart.total(torch.ones(1, 2))
    for one, other in zip(vars(added).values(), vars(both).values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_nothing_given_answers_nothing() -> None:
    features, inside, valid = drawn()
    none = moments(features, inside, valid).total(torch.zeros(1, 2))
    assert apply(fit(none), features[:1]).abs().max() == 0


def test_pixel_features_end_with_places_and_one() -> None:
    network = CompactSam.tiny().eval()
    with torch.inference_mode():
        found = pixel_features(network.encode(torch.randn(2, 3, 64, 64)))
    assert found.shape[0] == 2 and found.shape[2:] == (16, 16)
    assert torch.all(found[:, -1] == 1)
    torch.testing.assert_close(found[0, -6, :, 0], torch.linspace(-1, 1, 16))  # rows
    torch.testing.assert_close(found[0, -5, 0], torch.linspace(-1, 1, 16))  # columns
