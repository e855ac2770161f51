"""UniverSeg's idea: a set of supports, in any order and of any number, decides what is segmented."""

import torch

from napari_medseg.networks.universeg import CrossBlock, UniverSeg


def some(n: int, size: int = 16) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A query and n supports."""
    torch.manual_seed(n)
    masks = (torch.rand(1, n, 1, size, size) > 0.5).float()
    return torch.rand(1, 3, size, size), torch.rand(1, n, 3, size, size), masks


def test_supports_are_a_set() -> None:
    network = UniverSeg.tiny().eval()
    query, images, masks = some(4)
    with torch.inference_mode():
        answer = network(query, images, masks)
        order = torch.tensor([2, 0, 3, 1])
        torch.testing.assert_close(network(query, images[:, order], masks[:, order]), answer)
        twice = network(query, images.repeat(1, 2, 1, 1, 1), masks.repeat(1, 2, 1, 1, 1))
        torch.testing.assert_close(twice, answer)  # a mean over supports does not count copies
        other = network(query, images, 1 - masks)
    assert answer.shape == (1, 1, 16, 16)
    assert not torch.allclose(other, answer)


def test_the_query_of_a_cross_block_is_the_mean_over_pairs() -> None:
    """Butoi et al., eq. 2 and 3, computed pair by pair."""
    torch.manual_seed(0)
    block = CrossBlock(3, 5)
    query, support = torch.rand(2, 3, 8, 8), torch.rand(2, 4, 3, 8, 8)
    gelu = torch.nn.functional.gelu
    pairs = [gelu(block.cross(torch.cat([query, support[:, i]], 1))) for i in range(4)]
    answer, seen = block(query, support)
    torch.testing.assert_close(answer, gelu(block.query(sum(pairs) / 4)))
    torch.testing.assert_close(seen[:, 2], gelu(block.support(pairs[2])))


def test_it_learns_to_follow_its_supports() -> None:
    """Whether the left or the right half is wanted, only the masks of the supports say."""
    torch.manual_seed(0)
    network = UniverSeg(8, 2)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        left = (torch.rand(4, 1, 1, 1, 1) > 0.5).float() * torch.ones(4, 3, 1, 16, 8)
        wanted = torch.cat([left, 1 - left], 4)
        images = torch.rand(4, 3, 3, 16, 16)
        logits = network(images[:, 0], images[:, 1:], wanted[:, 1:])
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted[:, 0])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) / 10 < 0.3  # without the supports it cannot fall below 0.69
