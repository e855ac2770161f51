"""HSP-SAM's invariants, from the published method: what it adds, where, and how much of it."""

import pytest
import torch
from torch.nn import functional as F

from napari_medseg.core.errors import WeightsError
from napari_medseg.networks.fine_head import FineHead, PublishedHead
from napari_medseg.networks.hsp_sam import HspSam
from napari_medseg.networks.hsp_sam_models import build_hsp_sam, numbers_for
from napari_medseg.networks.official import OfficialSam
from napari_medseg.networks.sam import CompactSam

TINY = {
    "width": 32, "depth": 2, "global_blocks": (1,), "decoder": 32, "mlp": 64, "n_rows": 4, "rank": 4,
    "stem": (8, 8, 16),
}  # fmt: skip
VIT_H = {
    "width": 1280, "depth": 32, "global_blocks": (7, 15, 23, 31), "decoder": 256, "mlp": 2048, "n_rows": 2,
    "stem": (),
}  # fmt: skip
TASK = torch.tensor([2, 3])


@pytest.fixture
def sam() -> CompactSam:
    torch.manual_seed(0)
    return CompactSam.tiny().eval().requires_grad_(False)


def images(n: int = 2, side: int = 64) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(n, 3, side, side)


def network(**changes: object) -> HspSam:
    torch.manual_seed(2)
    return HspSam(**{**TINY, **changes})  # type: ignore[arg-type]


def count(**numbers: object) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in HspSam(**numbers).parameters())  # type: ignore[arg-type]


def test_without_adaptation_and_prompts_the_encoder_is_sams(sam: CompactSam) -> None:
    with torch.no_grad():
        levels, fine = network(prompted=False).encode(sam, images(), TASK)
        encoded = sam.encode(images())
    for ours, theirs in zip(levels, encoded.levels, strict=True):
        assert torch.equal(ours, theirs)
    for mine, stem in zip(fine[1:], encoded.stem, strict=True):
        assert torch.equal(mine, stem)


def test_prompts_change_what_the_block_sees_but_not_its_grid(sam: CompactSam) -> None:
    plain, _ = network(prompted=False).encode(sam, images(), TASK)
    levels, _ = network().encode(sam, images(), TASK)
    assert levels[0].shape == plain[0].shape and (levels[0] - plain[0]).abs().max() > 1e-6


def test_prompts_are_further_keys_and_values_without_a_position(sam: CompactSam) -> None:
    # A token far away in feature space gets no attention: as keys of minus infinity would.
    block = sam.image_encoder.blocks[1]
    x = torch.randn(1, 4, 4, 32)
    with torch.no_grad():
        q, k, v = block.attn.qkv(block.norm1(x)).view(1, 16, 3, 2, 16).permute(2, 0, 3, 1, 4)
        prompt = torch.randn(3, 32)
        _, pk, pv = block.attn.qkv(prompt).view(1, 3, 3, 2, 16).permute(2, 0, 3, 1, 4)
        block.attn.rel_pos_h.zero_()
        block.attn.rel_pos_w.zero_()
        scores = q @ torch.cat([k, pk], 2).transpose(2, 3) * 16**-0.5
        seen = (scores.softmax(-1) @ torch.cat([v, pv], 2)).transpose(1, 2).reshape(1, 4, 4, 32)
        y = x + block.attn.proj(seen)
        wanted = y + block.mlp(block.norm2(y))
        torch.testing.assert_close(block(x, None, prompt), wanted, atol=1e-5, rtol=1e-4)


def test_only_blocks_that_look_at_the_whole_image_are_prompted(sam: CompactSam) -> None:
    x = torch.randn(1, 4, 4, 32)
    windowed = sam.image_encoder.blocks[0]
    assert torch.equal(windowed(x, None, torch.randn(3, 32)), windowed(x))


@pytest.mark.parametrize("skip", ["decoder_top", "encoder_top", "none"])
@pytest.mark.parametrize("side", [64, 96])
def test_masks_are_as_large_as_the_image_and_all_that_is_learnt_gets_a_gradient(
    sam: CompactSam, skip: str, side: int
) -> None:
    net = network(skip=skip)
    net.begin_as(sam)
    answer = net(sam, images(side=side), TASK)
    assert answer.masks.shape == (2, 1, side, side) and answer.presence.shape == (2, 1)
    assert answer.coarse[0].shape == (2, 1, side // 16, side // 16)
    total = answer.masks.square().mean() + answer.quality.sum() + answer.presence.sum()
    (total + sum(level.square().mean() for level in answer.coarse)).backward()
    grad = net.task.queries[0].grad
    assert grad is not None and grad[TASK].abs().sum() > 0 and not grad[:2].any()
    assert net.lora[0].up_q.weight.grad is not None and net.lora[0].up_q.weight.grad.any()
    assert all(parameter.grad is None for parameter in sam.parameters())


def test_an_image_is_answered_alike_alone_and_in_a_batch(sam: CompactSam) -> None:
    net = network().eval()
    with torch.no_grad():
        both, one = net(sam, images(), TASK), net(sam, images()[1:], TASK)
    torch.testing.assert_close(both.masks[1:], one.masks, atol=1e-5, rtol=1e-4)


def test_vit_h_counts_what_was_published() -> None:
    plain, prompted = count(**VIT_H, prompted=False), count(**VIT_H)
    assert prompted - plain == 2_687_488  # Q&A: 23.96 M - 21.27 M
    assert count(**VIT_H, skip="none") == prompted  # skips cost nothing
    heads = 0
    with torch.device("meta"):
        whole = HspSam(**VIT_H, prompted=False)  # type: ignore[arg-type]
        for part in (whole.lora, whole.decoders, whole.necks):
            heads += sum(parameter.numel() for parameter in part.parameters())
    assert heads == pytest.approx(21.16e6, rel=0.01)


def test_fine_tuned_sam_has_one_decoder_and_no_prompts(sam: CompactSam) -> None:
    net = network(prompted=False, hierarchical=False)
    assert (len(net.decoders), len(net.necks), len(net.task.queries)) == (1, 0, 0)
    assert net(sam, images(), TASK).masks.shape == (2, 1, 64, 64)


def test_it_stands_on_the_published_layouts_too() -> None:
    torch.manual_seed(0)
    encoder = {
        "grid": 4, "width": 32, "depth": 2, "heads": 2, "mlp": 64, "window": 2, "global_blocks": [0, 1],
        "adapter": 0,
    }  # fmt: skip
    sam = OfficialSam("vit", encoder, {"width": 32, "mlp": 64, "depth": 2, "judge": 32, "judge_depth": 3})
    net = build_hsp_sam(**numbers_for(sam, 2, rank=4))
    net.begin_as(sam)
    assert isinstance(net.head, PublishedHead) and not net.stem
    assert net(sam, images(), torch.tensor([0, 1])).masks.shape == (2, 1, 64, 64)


def test_the_fine_head_begins_as_the_promptable_model(sam: CompactSam) -> None:
    net = network()
    net.begin_as(sam)
    assert isinstance(net.head, FineHead)
    for name in ("up_eighth", "up_quarter", "mix_quarter"):
        ours, theirs = getattr(net.head, name).state_dict(), getattr(sam.mask_decoder, name).state_dict()
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_structures_of_a_task_can_part_from_the_first_step(sam: CompactSam) -> None:
    """Alike in all else, each has a last layer of its own, begun as the promptable model's."""
    net = network()
    net.begin_as(sam)
    last = sam.mask_decoder.output_hypernetworks_mlps[0][4]
    for row in range(4):
        assert torch.equal(net.task.weighing[0].weights[0][row], last.weight.T)
    with torch.no_grad():
        net.task.masks[:] = net.task.masks[:1]
    wanted = torch.zeros(1, 2, 64, 64)
    wanted[:, 0, :32] = 1.0
    wanted[:, 1, 32:] = 1.0
    rows = torch.tensor([0, 1, 2])
    F.binary_cross_entropy_with_logits(net(sam, images(1), rows).masks, wanted).backward()
    grad = net.task.weighing[0].weights[0].grad
    assert grad is not None and (grad[1] - grad[2]).abs().max() > 0.1 * grad[1].abs().max()
    assert not grad[3].any()


def test_rows_learn_faster_than_what_all_share(sam: CompactSam) -> None:
    net = network()
    rest, rows = net.groups(8.0)
    assert rows["times"] == 8.0 and "times" not in rest
    n = sum(parameter.numel() for group in (rest, rows) for parameter in group["params"])
    assert n == sum(parameter.numel() for parameter in net.parameters())
    assert any(parameter is net.task.masks for parameter in rows["params"])
    assert not any(parameter is net.task.weighing[0].weights[0] for parameter in rows["params"])


def test_numbers_that_describe_no_network_are_refused(sam: CompactSam) -> None:
    for wrong in ({"skip": "both"}, {"decoder": 10**6}, {"depth": "many"}, {"n_rows": -1}):
        with pytest.raises(WeightsError, match="do not describe"):
            build_hsp_sam(**{**TINY, **wrong})  # type: ignore[arg-type]
    with pytest.raises(WeightsError, match="another kind"):
        numbers_for(_without_blocks(sam), 2)


def _without_blocks(sam: CompactSam) -> CompactSam:
    del sam.image_encoder.blocks
    return sam
