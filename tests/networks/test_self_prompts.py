"""Rows of prompts: each has its own perceptron, which is torch's own."""

import torch
from torch import nn

from napari_medseg.networks.self_prompts import RowMlp, TaskPrompts, bridge


def test_a_row_is_a_plain_perceptron() -> None:
    torch.manual_seed(0)
    mlp = RowMlp(3, (8, 4, 4, 8))
    plain = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 8))
    for layer, weight, bias in zip((plain[0], plain[2], plain[4]), mlp.weights, mlp.biases, strict=True):
        assert isinstance(layer, nn.Linear)
        layer.weight.data, layer.bias.data = weight.data[1].T.contiguous(), bias.data[1]
    x = torch.randn(5, 1, 8)
    torch.testing.assert_close(mlp(x, torch.tensor([1])), plain(x))


def test_rows_do_not_touch_each_other() -> None:
    torch.manual_seed(0)
    mlp, x = RowMlp(3, (8, 4, 8)), torch.randn(2, 8)
    mlp(x, torch.tensor([0, 2])).sum().backward()
    grad = mlp.weights[0].grad
    assert grad is not None and grad[0].any() and grad[2].any() and not grad[1].any()


def test_the_published_numbers_of_the_bridge_and_of_a_row() -> None:
    count = sum(parameter.numel() for parameter in bridge(1280, 256).parameters())
    assert count == 594_816
    rows = TaskPrompts(1, 1280, 256, 1)
    assert sum(parameter.numel() for parameter in rows.answers.parameters()) == 37_248
