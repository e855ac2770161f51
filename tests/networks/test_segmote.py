"""SegMoTE's invariants: it begins as its SAM, learns beside it, and counts as it was published."""

from dataclasses import replace

import pytest
import torch

from napari_medseg.core.errors import WeightsError
from napari_medseg.networks.checkpoints import official_sam
from napari_medseg.networks.mixture import n_parameters
from napari_medseg.networks.official import OfficialSam
from napari_medseg.networks.sam import CompactSam
from napari_medseg.networks.sam_decoder import Encoded
from napari_medseg.networks.sam_prompts import PromptBatch, prompt_maps
from napari_medseg.networks.segmote import Asked, SegMoTE
from napari_medseg.networks.segmote_models import LEFTOVERS, UNUSED_SHARED, build_segmote, preset
from napari_medseg.networks.state_encoder import read_text
from tests.published import small, weights

N = 4
OFFICIAL = {"width": 32, "fine": 4, "middle": 8, "early": 32, "stem": ()}


def compact() -> tuple[CompactSam, SegMoTE, Encoded]:
    torch.manual_seed(0)
    sam = CompactSam.tiny().eval().requires_grad_(False)
    with torch.no_grad():
        return sam, SegMoTE.tiny().eval(), sam.encode(torch.randn(N, 3, 64, 64))


def official() -> tuple[OfficialSam, SegMoTE, Encoded]:
    torch.manual_seed(0)
    sam = official_sam(weights(small("sam")))[0].eval().requires_grad_(False)
    with torch.no_grad():
        return sam, SegMoTE.tiny(**OFFICIAL).eval(), sam.encode(torch.randn(N, 3, 128, 128))


def boxes(side: int) -> PromptBatch:
    points = torch.tensor([[[8.0, 8.0], [40.0, 48.0]]]).repeat(N, 1, 1)
    labels = torch.tensor([[2, 3]]).repeat(N, 1)
    return PromptBatch(points, labels, prompt_maps(points, labels, torch.zeros(N, side // 4, side // 4)))


def ask(prompts: PromptBatch, prompted: bool, free: bool, named: bool) -> Asked:
    text = torch.stack([read_text(name) for name in ("liver", "spleen", "polyp", "liver")])
    flags = (torch.full((N,), flag) for flag in (prompted, free, named))
    return Asked(prompts, text, *flags)


def trained(network: SegMoTE) -> SegMoTE:
    """As after some training: nothing is zero any more."""
    for part in network.parameters():
        if part.abs().sum() == 0:
            torch.nn.init.normal_(part, std=0.1)
    return network


@pytest.mark.parametrize("make", [compact, official])
def test_it_begins_as_its_sam(make) -> None:
    sam, network, encoded = make()
    prompts = boxes(16 * encoded.embedding.shape[2])
    with torch.no_grad():
        by_sam, _ = sam.decode(encoded, prompts)
        ours = network(sam, encoded, ask(prompts, True, False, False))
    assert torch.allclose(ours.masks, by_sam[:, 0], atol=1e-4)
    assert by_sam.abs().max() > 0.1


@pytest.mark.parametrize("make", [compact, official])
def test_a_mixed_batch_is_answered_as_each_question_alone(make) -> None:
    sam, network, encoded = make()
    network = trained(network)
    prompts = boxes(16 * encoded.embedding.shape[2])
    labels = prompts.labels.clone()
    labels[1] = torch.tensor([1, -1])  # one click beside boxes
    prompts = replace(prompts, labels=labels)
    kinds = [(True, False, False), (True, False, True), (False, True, True), (True, True, False)]
    each = [ask(prompts, *kind) for kind in kinds]
    mixed = replace(
        each[0],
        **{
            name: torch.stack([getattr(one, name)[i] for i, one in enumerate(each)])
            for name in ("is_prompted", "is_free", "is_named")
        },
    )
    with torch.no_grad():
        together = network(sam, encoded, mixed)
        for i, one in enumerate(each):
            alone = network(sam, encoded.take(torch.tensor([i])), only(one, i))
            assert torch.allclose(together.masks[i], alone.masks[0], atol=1e-4)
            assert torch.allclose(together.presence[i], alone.presence[0], atol=1e-4)


def only(asked: Asked, i: int) -> Asked:
    """One question alone, without the padding that others made necessary."""
    prompts = asked.prompts
    n = max(1, int((prompts.labels[i] >= 0).sum()))
    part = slice(i, i + 1)
    alone = PromptBatch(prompts.points[part, :n], prompts.labels[part, :n], prompts.maps[part])
    return Asked(alone, asked.text[part], asked.is_prompted[part], asked.is_free[part], asked.is_named[part])


def test_without_prompts_the_answer_knows_nothing_of_them() -> None:
    sam, network, encoded = compact()
    network = trained(network)
    here = ask(boxes(64), False, True, True)
    points = here.prompts.points + 5
    there = replace(here, prompts=replace(here.prompts, points=points))
    with torch.no_grad():
        assert torch.equal(network(sam, encoded, here).masks, network(sam, encoded, there).masks)


def test_the_name_changes_the_answer_only_where_it_is_given() -> None:
    sam, network, encoded = compact()
    network = trained(network)
    named, unnamed = (ask(boxes(64), False, True, flag) for flag in (True, False))
    with torch.no_grad():
        for asked, equal in ((named, False), (unnamed, True)):
            renamed = replace(asked, text=asked.text.flip(0))
            one, other = network(sam, encoded, asked), network(sam, encoded, renamed)
            assert torch.allclose(one.masks, other.masks, atol=1e-6) is equal


def test_the_router_learns_from_the_masks_after_one_step() -> None:
    sam, network, encoded = compact()
    network.train()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        answered = network(sam, encoded, ask(boxes(64), False, True, True))
        (answered.masks - 1).square().mean().backward()
        optimiser.step()
    assert all(step.router.gate.grad.abs().max() > 0 for step in network.steps[-1:])
    assert all(part.grad is None for part in sam.parameters())


def test_a_previous_mask_counts_without_any_prompt() -> None:
    sam, network, encoded = compact()
    prompts = boxes(64)
    maps = prompts.maps.clone()
    maps[:, 0, 4:12, 4:12], maps[:, 1:] = 1.0, 0.0
    nothing = replace(prompts, maps=torch.zeros_like(maps))
    with torch.no_grad():
        one = network(sam, encoded, ask(replace(prompts, maps=maps), False, True, True))
        other = network(sam, encoded, ask(nothing, False, True, True))
    assert not torch.allclose(one.masks, other.masks)


@pytest.mark.parametrize("n_experts", [1, 2, 4, 8])
def test_any_number_of_experts(n_experts: int) -> None:
    sam, _, encoded = compact()
    network = SegMoTE.tiny(n_experts=n_experts).train()
    answered = network(sam, encoded, ask(boxes(64), True, True, True))
    assert answered.masks.shape == (N, 16, 16)
    assert answered.token.max() < n_experts
    assert (answered.balance().item() > 0) is (n_experts > 1)


def test_the_control_has_one_query_no_router_and_as_many_parameters() -> None:
    sam, _, encoded = compact()
    control = SegMoTE.tiny(plain=True)
    answered = control(sam, encoded, ask(boxes(64), True, False, False))
    assert answered.routing == ()
    assert answered.balance().item() == 0
    assert len(control.tokens) == 1
    experts, plain = (n_parameters(SegMoTE(plain=flag)) for flag in (False, True))
    assert plain == pytest.approx(experts, rel=0.005)


def test_the_published_numbers_of_parameters() -> None:
    """17.56 million as published; what the code never uses is not built (counted from its modules)."""
    with torch.device("meta"):
        network = build_segmote(**preset("imis768"))
    tokenization = n_parameters(network.free)
    experts = n_parameters(network.steps) + n_parameters(network.heads) + n_parameters(network.fused)
    experts += network.tokens.numel()
    assert experts + UNUSED_SHARED + LEFTOVERS == 10_472_064
    assert experts + tokenization + UNUSED_SHARED + LEFTOVERS == 17_563_776
    assert round((experts + tokenization + UNUSED_SHARED) / 1e6, 1) == 16.3


def test_at_256_it_has_two_and_a_half_million() -> None:
    """2.48 million in the specification, with its unused shared layers."""
    with torch.device("meta"):
        network = build_segmote(**preset("vit_b"))
    ours = sum(n_parameters(part) for part in (network.steps, network.heads, network.fused, network.free))
    assert ours + network.tokens.numel() + UNUSED_SHARED == pytest.approx(2.48e6, rel=0.005)


def test_numbers_that_fit_nothing_are_said() -> None:
    with pytest.raises(WeightsError, match="SegMoTE"):
        build_segmote(width=-1)
    with pytest.raises(WeightsError, match="SegMoTE"):
        build_segmote(colour="blue")
