"""The promptable network: shapes, independence of images and prompts, drawn prompts, other canvases."""

import pytest
import torch

from napari_medseg.core.errors import WeightsError
from napari_medseg.networks.sam import CompactSam, build_sam
from napari_medseg.networks.sam_prompts import PromptBatch, prompt_maps


@pytest.fixture(scope="module")
def network() -> CompactSam:
    torch.manual_seed(0)
    return CompactSam.tiny().eval()


def prompts_of(points: list[list[float]], labels: list[int], canvas: int = 64) -> PromptBatch:
    where, kind = torch.tensor([points]), torch.tensor([labels])
    return PromptBatch(where, kind, prompt_maps(where, kind, torch.zeros(1, canvas // 4, canvas // 4)))


@torch.no_grad()
def test_shapes_follow_the_docstring(network: CompactSam) -> None:
    encoded = network.encode(torch.rand(2, 3, 64, 64))
    assert encoded.embedding.shape == (2, 32, 4, 4)
    assert [level.shape for level in encoded.levels] == [(2, 4, 4, 32)]
    assert [fine.shape for fine in encoded.stem] == [(2, 8, 16, 16), (2, 16, 8, 8)]
    masks, quality = network.decode(encoded.take(torch.tensor([0])), prompts_of([[20.0, 30.0]], [1]))
    assert masks.shape == (1, 4, 16, 16)
    assert quality.shape == (1, 4)
    assert ((quality >= 0) & (quality <= 1)).all()


@torch.no_grad()
def test_a_batch_answers_as_one_by_one(network: CompactSam) -> None:
    """Truth: each image and prompt alone; segment-anything's own decoder fails this for several images."""
    images = torch.rand(2, 3, 64, 64)
    one, two = prompts_of([[20.0, 30.0]], [1]), prompts_of([[50.0, 10.0]], [0])
    both = PromptBatch(*(torch.cat([getattr(one, n), getattr(two, n)]) for n in ("points", "labels", "maps")))
    together = network.decode(network.encode(images), both)[0]
    for i, prompts in enumerate((one, two)):
        alone = network.decode(network.encode(images[i : i + 1]), prompts)[0]
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_padding_points_changes_nothing_drawn(network: CompactSam) -> None:
    bare = prompts_of([[20.0, 30.0]], [1]).maps
    padded = prompts_of([[20.0, 30.0], [0.0, 0.0]], [1, -1]).maps
    torch.testing.assert_close(bare, padded)


@torch.no_grad()
def test_other_canvas_sizes_are_welcome(network: CompactSam) -> None:
    encoded = network.encode(torch.rand(1, 3, 96, 96))
    masks, _ = network.decode(encoded, prompts_of([[20.0, 30.0]], [1], 96))
    assert masks.shape == (1, 4, 24, 24)


def test_every_weight_that_answers_learns(network: CompactSam) -> None:
    """Every parameter gets a gradient but those of SAM's own prompt encoder that this prompt does not use."""
    points = [[20.0, 30.0], [5.0, 5.0], [10.0, 10.0], [40.0, 44.0], [0.0, 0.0]]
    masks, quality = network.decode(
        network.encode(torch.rand(1, 3, 64, 64)), prompts_of(points, [1, 0, 2, 3, -1])
    )
    (masks.square().mean() + quality.mean()).backward()
    without = [name for name, value in network.named_parameters() if value.grad is None]
    network.zero_grad()
    assert without == []


def test_marks_are_drawn_where_they_were_made() -> None:
    """Truth: a Gaussian's maximum lies at its middle; a box is half way down on its inscribed ellipse."""
    maps = prompts_of([[22.0, 30.0], [50.0, 6.0], [8.0, 16.0], [24.0, 40.0]], [1, 0, 2, 3]).maps[0]
    assert divmod(int(maps[1].argmax()), 16) == (7, 5)
    assert divmod(int(maps[2].argmax()), 16) == (1, 12)
    y, x = torch.meshgrid(torch.arange(16) + 0.5, torch.arange(16) + 0.5, indexing="ij")
    ellipse = ((y - 7) / 3) ** 2 + ((x - 4) / 2) ** 2 <= 1
    assert torch.equal(maps[3] >= 0.5, ellipse)


def test_without_a_box_nothing_is_drawn_for_it() -> None:
    assert not prompts_of([[2.0, 0.0], [8.0, 4.0]], [1, 0]).maps[0, 3].any()


def test_numbers_that_describe_nothing_are_refused() -> None:
    with pytest.raises(WeightsError, match="do not describe"):
        build_sam(colour="blue")
    with pytest.raises(WeightsError, match="do not describe"):
        build_sam(long_side=64, width=30, heads=7)


def test_the_compact_size_is_as_designed() -> None:
    """The released size: depth 8, global attention in blocks 1, 3, 5, 7; under 16 MB in half precision."""
    network = CompactSam()
    blocks = network.image_encoder.blocks
    assert [i for i, block in enumerate(blocks) if block.window_size == 0] == [1, 3, 5, 7]
    assert len(blocks) == 8
    assert 2 * sum(value.numel() for value in network.parameters()) < 16_000_000
