"""Low-rank adaptation: it begins as nothing, and adds to queries and values only."""

import torch
from torch import nn

from napari_medseg.networks.lora import LowRank


def test_it_begins_by_adding_nothing() -> None:
    torch.manual_seed(0)
    project, x = nn.Linear(16, 48), torch.randn(2, 5, 16)
    assert torch.equal(LowRank(16, 4)(project, x), project(x))


def test_it_is_a_product_of_two_small_matrices_on_queries_and_values() -> None:
    torch.manual_seed(0)
    project, lora, x = nn.Linear(16, 48), LowRank(16, 4), torch.randn(3, 16)
    nn.init.normal_(lora.up_q.weight)
    nn.init.normal_(lora.up_v.weight)
    added = lora(project, x) - project(x)
    by_hand_q = x @ (lora.up_q.weight @ lora.down_q.weight).T
    by_hand_v = x @ (lora.up_v.weight @ lora.down_v.weight).T
    torch.testing.assert_close(added[:, :16], by_hand_q, atol=1e-5, rtol=1e-4)
    assert not added[:, 16:32].abs().gt(1e-6).any()  # keys stay
    torch.testing.assert_close(added[:, 32:], by_hand_v, atol=1e-5, rtol=1e-4)


def test_vit_h_at_rank_32_has_the_published_number() -> None:
    n = 32 * sum(parameter.numel() for parameter in LowRank(1280, 32).parameters())
    assert n == 5_242_880  # 5.24 M
