"""The losses in closed form."""

import numpy as np
import pytest
import torch

from napari_medseg.learning.segmote_loss import kinds_loss, mask_loss
from napari_medseg.networks.segmote import SegMoTE


def test_the_loss_is_twenty_focal_and_dice() -> None:
    """Of a mask that is sure everywhere and right, nothing is left; where it is wrong, more than one."""
    wanted = torch.zeros(1, 1, 16, 16)
    wanted[..., :8] = 1
    right = torch.where(wanted[:, 0, ::2, ::2] > 0.5, 30.0, -30.0)
    assert mask_loss(right, wanted).item() < 0.2  # the rim is interpolated
    assert mask_loss(-right, wanted).item() > 20
    assert mask_loss(right, wanted, paper=True).item() < mask_loss(right, wanted).item() + 1e-6
    undecided = mask_loss(torch.zeros(1, 8, 8), wanted) - mask_loss(torch.zeros(1, 8, 8), wanted, paper=True)
    # Focal loss of 1/2: a quarter times log 2, a quarter of it for foreground, three for background.
    assert undecided.item() == pytest.approx(20 * 0.25 * np.log(2) * 0.5, rel=1e-4)


def test_kinds_begin_undecided_and_what_nobody_knows_teaches_nothing() -> None:
    torch.manual_seed(0)
    network, embedding = SegMoTE.tiny(), torch.randn(2, 32, 4, 4)
    shown = np.array([[1, 0, np.nan], [np.nan, 0, 0]], np.float32)
    loss = kinds_loss(network, embedding, ["liver", "polyp", "wound"], shown)
    assert loss.item() == pytest.approx(np.log(2))
    loss.backward()
    assert network.fit.layers[-1].weight.grad.abs().max() > 0
    nothing = kinds_loss(network, embedding, ["liver"], np.full((2, 1), np.nan, np.float32))
    assert nothing.item() == 0


def test_kinds_are_learnt_from_few_pictures() -> None:
    torch.manual_seed(0)
    network = SegMoTE.tiny()
    embedding = torch.randn(4, 32, 1, 1).expand(-1, -1, 4, 4) + 0.1 * torch.randn(4, 32, 4, 4)
    shown = np.eye(4, dtype=np.float32)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    names = ["liver", "polyp", "wound", "left ventricle"]
    for _ in range(60):
        optimiser.zero_grad()
        loss = kinds_loss(network, embedding, names, shown)
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1
