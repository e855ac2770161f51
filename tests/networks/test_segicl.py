"""SegICL's network: what its answer may depend on, and what not."""

from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from napari_medseg.core.errors import WeightsError
from napari_medseg.networks.matching import Memory
from napari_medseg.networks.sam_decoder import Encoded
from napari_medseg.networks.segicl import Hints, SegICL, build_segicl
from napari_medseg.networks.state_encoder import MOST_WORDS, read_text


@pytest.fixture
def network() -> SegICL:
    torch.manual_seed(0)
    network = SegICL.tiny().eval()
    for layer in network.parameters():  # MONAI begins with a zero output layer, which would hide everything
        if layer.abs().sum() == 0:
            torch.nn.init.normal_(layer, std=0.1)
    return network


def encoded(n: int) -> Encoded:
    torch.manual_seed(1)
    stem = (torch.randn(n, 8, 16, 16), torch.randn(n, 16, 8, 8))
    return Encoded(torch.randn(n, 32, 4, 4), (), stem, torch.randn(n, 3, 16, 16))


def masks(n: int) -> Tensor:
    torch.manual_seed(2)
    return (torch.rand(n, 1, 16, 16) > 0.7).float()


def asked(network: SegICL, members: Tensor, truth: Tensor | None = None) -> Hints:
    """Image 0 is asked about, images 1 to 4 are there to explain it."""
    seen = network.see(encoded(5), torch.ones(5, 1, 16, 16))
    query = seen.take(torch.zeros(len(members), dtype=torch.long))
    with torch.inference_mode():
        return network.hints(query, network.remember(seen, masks(5) if truth is None else truth), members)


def test_the_order_of_examples_does_not_matter(network: SegICL) -> None:
    one, other = (asked(network, torch.tensor([order])).first for order in ([1, 2, 3], [3, 1, 2]))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_an_empty_place_is_no_example(network: SegICL) -> None:
    one, other = (asked(network, torch.tensor([places])).first for places in ([1, 2], [1, 2, -1]))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_without_examples_no_mask_is_looked_at(network: SegICL) -> None:
    none = torch.full((1, 1), -1)
    one, other = asked(network, none), asked(network, none, 1 - masks(5))
    torch.testing.assert_close(one.first, other.first)
    assert one.first.isfinite().all()


def test_what_an_example_shows_changes_the_answer(network: SegICL) -> None:
    members = torch.tensor([[1, 2]])
    assert (asked(network, members).first - asked(network, members, 1 - masks(5)).first).abs().max() > 1e-3


def test_examples_remembered_apart_are_those_remembered_together(network: SegICL) -> None:
    seen = network.see(encoded(3), torch.ones(3, 1, 16, 16))
    with torch.inference_mode():
        together = network.remember(seen, masks(3))
        apart = [network.remember(seen.take(torch.tensor([i])), masks(3)[i : i + 1]) for i in range(3)]
        joined = Memory.join(apart)
    torch.testing.assert_close(joined.masks, together.masks)
    for scale in (0, 1):
        for name in ("keys", "values", "counts"):
            torch.testing.assert_close(getattr(joined, name)[scale], getattr(together, name)[scale])
    for name in ("linear", "learnt"):
        for field in fields(getattr(joined, name)):
            ours, theirs = (getattr(getattr(one, name), field.name) for one in (joined, together))
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def state(network: SegICL, present: list[float], text: str, later: float = 1.0) -> Tensor:
    some = encoded(4)
    embedding = some.embedding * torch.tensor([1.0, 1.0, 1.0, later]).view(-1, 1, 1, 1)
    with torch.inference_mode():
        return network.states(
            embedding[:1], embedding[None, 1:], masks(3)[None], torch.tensor([present]), read_text(text)[None]
        )


def test_the_state_reads_words_and_examples_but_no_empty_places(network: SegICL) -> None:
    here = state(network, [1, 1, 0], "liver")
    torch.testing.assert_close(here, state(network, [1, 1, 0], "liver", later=9.0), rtol=1e-4, atol=1e-5)
    assert (here - state(network, [1, 1, 1], "liver")).abs().max() > 1e-4
    assert (here - state(network, [1, 1, 0], "polyp")).abs().max() > 1e-4
    assert state(network, [0, 0, 0], "").isfinite().all()


def test_texts_of_any_length_become_bytes() -> None:
    assert read_text("é").tolist()[:3] == [195, 169, 0]
    assert len(read_text("x" * 500)) == len(read_text("")) == MOST_WORDS


def test_sampling_is_repeatable_and_noise_matters(network: SegICL) -> None:
    hints, code = asked(network, torch.tensor([[1, 2]])), state(network, [1, 1, 0], "")
    noise = torch.randn(1, 1, 64, 64)
    with torch.inference_mode():
        one, again, other = (network.sample(hints, code, n, 2) for n in (noise, noise, -noise))
        longer = network.sample(hints, code, noise, 5)
    assert one.shape == (1, 1, 64, 64)
    torch.testing.assert_close(one, again)
    assert (one - other).abs().max() > 1e-4
    assert longer.isfinite().all()


def test_the_first_denoising_step_forgets_nothing_but_noise(network: SegICL) -> None:
    """With one step the sample is the network's estimate from pure noise, whatever the schedule."""
    hints, code = asked(network, torch.tensor([[1, 2]])), state(network, [1, 1, 0], "")
    noise = torch.randn(1, 1, 64, 64)
    with torch.inference_mode():
        direct = network.denoise(noise, torch.tensor([999]), torch.tanh(hints.first / 2), hints, code)
        torch.testing.assert_close(network.sample(hints, code, noise, 1), direct)


def test_hints_can_be_picked(network: SegICL) -> None:
    hints = asked(network, torch.tensor([[1, 2], [3, 4]]))
    picked = hints.take(torch.tensor([1, 1]))
    torch.testing.assert_close(picked.fine[0], hints.fine[1])
    assert replace(picked).first.shape[0] == 2


def test_the_code_of_a_mask_tells_masks_apart(network: SegICL) -> None:
    with torch.inference_mode():
        codes = network.codes(masks(2))
    assert codes.shape == (2, 4, 16)
    assert (codes[0] - codes[1]).abs().max() > 1e-4


def test_the_released_size_stays_small() -> None:
    assert sum(p.numel() for p in SegICL().parameters()) < 8_000_000


@pytest.mark.parametrize("numbers", [{"width": 7}, {"channels": [9, 9, 9]}, {"seen": 3}, {"wings": 2}])
def test_numbers_that_make_no_network_are_said(numbers: dict[str, object]) -> None:
    with pytest.raises(WeightsError, match="SegICL"):
        build_segicl(**numbers)
