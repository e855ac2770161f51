"""Routing: a gate that learns, noise only while training, a balance that is 0 where all is even."""

import pytest
import torch

from napari_medseg.networks.mixture import (
    PlainStep,
    Router,
    Routing,
    TokenMixture,
    choose,
    n_parameters,
    uneven,
)


def routing_of(share: torch.Tensor) -> Routing:
    return Routing(share, share, share.argmax(-1), share.amax(-1))


def test_unevenness_is_the_squared_coefficient_of_variation() -> None:
    assert uneven(torch.tensor([1.0, 3.0])).item() == pytest.approx(0.25)  # variance 1, mean 2
    assert uneven(torch.full((4,), 7.0)).item() == 0


def test_balance_is_zero_for_perfectly_even_use_and_sums_over_samples_and_tokens() -> None:
    even = torch.eye(4).repeat(3, 1, 1)  # (P, T, E): each token another expert
    assert routing_of(even).balance().item() == 0
    lopsided = torch.zeros(3, 4, 4)
    lopsided[..., 0] = 1
    assert routing_of(lopsided).balance().item() == pytest.approx(2 * 3)  # CV^2 of (12, 0, 0, 0) is 3


def test_an_even_router_is_balanced_also_under_noise() -> None:
    torch.manual_seed(0)
    router = Router(8, 4).train()
    with torch.no_grad():
        router.gate.zero_()
        router.noise.fill_(1.0)
    _, routing = router(torch.rand(4000, 4, 8))
    assert routing.balance().item() < 1e-3


def test_noise_is_added_only_while_training() -> None:
    torch.manual_seed(0)
    router, tokens = Router(8, 4), torch.randn(5, 4, 8)
    router.eval()
    assert torch.equal(router(tokens)[0], router(tokens)[0])
    router.train()
    assert not torch.equal(router(tokens)[0], router(tokens)[0])


def test_one_expert_is_weighed_by_its_probability_and_two_share_the_whole() -> None:
    torch.manual_seed(0)
    tokens = torch.randn(5, 3, 8)
    one = Router(8, 4).eval()
    weights, routing = one(tokens)
    assert torch.equal((weights > 0).sum(-1), torch.ones(5, 3))
    assert torch.allclose(weights.sum(-1), routing.share.amax(-1))
    two = Router(8, 4, n_chosen=2).eval()
    weights, _ = two(tokens)
    assert torch.equal((weights > 0).sum(-1), torch.full((5, 3), 2))
    assert torch.allclose(weights.sum(-1), torch.ones(5, 3))


def test_smooth_load_is_the_chance_to_be_chosen_under_the_noise() -> None:
    """With two experts, one's chance under its own noise is a normal distribution's; here by drawing."""
    torch.manual_seed(0)
    router = Router(1, 2).train()
    with torch.no_grad():
        router.gate.copy_(torch.tensor([[0.3, 0.0]]))
    _, routing = router(torch.ones(20000, 1, 1))
    chosen = torch.nn.functional.one_hot(routing.chosen, 2).float()
    assert torch.allclose(routing.load.mean((0, 1)), chosen.mean((0, 1)), atol=0.02)


def test_a_mixture_begins_as_the_identity_and_its_router_learns_after_one_step() -> None:
    torch.manual_seed(0)
    mixture, tokens = TokenMixture(16, 4, rank=8).eval(), torch.randn(6, 4, 16)
    assert torch.equal(mixture(tokens)[0], tokens)
    optimiser = torch.optim.SGD(mixture.parameters(), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        (mixture(tokens)[0] - 1).square().mean().backward()
        optimiser.step()
    assert mixture.router.gate.grad.abs().max() > 0


def test_each_token_goes_only_through_the_expert_chosen_for_it() -> None:
    torch.manual_seed(0)
    mixture, tokens = TokenMixture(16, 4, rank=8).eval(), torch.randn(2, 4, 16)
    torch.nn.init.normal_(mixture.project.weight)
    before, routing = mixture(tokens)
    other = int((routing.chosen[0, 0] + 1) % 4)
    with torch.no_grad():
        mixture.experts.weight[8 * other : 8 * other + 8].zero_()
        mixture.experts.bias[8 * other : 8 * other + 8].zero_()
    same = routing.chosen != other
    assert torch.equal(mixture(tokens)[0][same], before[same])


def test_one_expert_is_always_chosen_and_always_balanced() -> None:
    mixture = TokenMixture(16, 1, rank=8).train()
    _, routing = mixture(torch.randn(3, 2, 16))
    assert routing.balance().item() == 0
    assert torch.equal(routing.share, torch.ones(3, 2, 1))


def test_the_control_has_as_many_parameters() -> None:
    mixture = TokenMixture(128, 4)
    plain = PlainStep(128, n_parameters(mixture))
    assert n_parameters(plain) == pytest.approx(n_parameters(mixture), rel=0.01)
    tokens = torch.randn(2, 1, 128)
    assert torch.equal(plain(tokens)[0], tokens)


def test_the_hard_choice_is_shown_and_all_tokens_learn() -> None:
    said = torch.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    confidence = torch.tensor([[0.0, 1.0, 0.0]], requires_grad=True)
    hard, soft = choose(said, confidence)
    weights = confidence.softmax(1)
    assert hard.item() == pytest.approx(2.0)
    assert soft.item() == pytest.approx((weights * said).sum().item())
    hard.sum().backward()
    assert torch.allclose(said.grad, weights)  # the soft one's gradient
    assert confidence.grad.abs().max() > 0
