"""The faster blocks of SAM's encoder; truth everywhere: segment-anything's own, with the same weights."""

import copy
from functools import partial

import pytest
import torch
from segment_anything.modeling import ImageEncoderViT
from torch import nn

from napari_medseg.networks import attention
from napari_medseg.networks.attention import StripBlock, speed_up


def encoder_of(rel_pos: bool = True, window: int = 5, side: int = 192) -> ImageEncoderViT:
    torch.manual_seed(0)
    encoder = ImageEncoderViT(
        img_size=side,
        embed_dim=32,
        depth=4,
        num_heads=4,
        out_chans=16,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=rel_pos,
        window_size=window,
        global_attn_indexes=(1, 3),
    )
    for name, value in encoder.named_parameters():
        if "rel_pos" in name or "bias" in name:  # nought at first, which would hide what they do
            nn.init.normal_(value, std=0.5)
    return encoder.eval()


def run(encoder: ImageEncoderViT, tokens: torch.Tensor) -> torch.Tensor:
    for block in encoder.blocks:
        tokens = block(tokens)
    return tokens


@pytest.mark.parametrize(("rel_pos", "window"), [(True, 0), (True, 4), (True, 5), (True, 14), (False, 5)])
@pytest.mark.parametrize("shape", [(1, 12, 12), (3, 12, 12), (2, 9, 14), (1, 3, 7)])
@pytest.mark.parametrize("small", [True, False])
def test_tokens_are_those_of_segment_anything(
    rel_pos: bool, window: int, shape: tuple[int, int, int], small: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Odd grids, padded windows, batches, interpolated positions; in many small pieces and in one."""
    if small:
        monkeypatch.setattr(attention, "STRIP", 20)
        monkeypatch.setattr(attention, "SCORES", 500)
    theirs = encoder_of(rel_pos, window)
    ours = speed_up(copy.deepcopy(theirs))
    tokens = torch.randn(*shape, 32)
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            torch.testing.assert_close(run(ours, tokens), run(theirs, tokens), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_whole_encoder_gives_the_same_embedding() -> None:
    theirs = encoder_of()
    ours, images = speed_up(copy.deepcopy(theirs)), torch.rand(2, 3, 192, 192)
    assert type(ours) is ImageEncoderViT
    torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_segment_anything() -> None:
    theirs = encoder_of()
    ours = speed_up(copy.deepcopy(theirs))
    tokens = torch.randn(2, 12, 12, 32)
    for encoder in (theirs, ours):
        run(encoder, tokens).square().sum().backward()
    expected = dict(theirs.blocks.named_parameters())
    assert expected
    for name, value in ours.blocks.named_parameters():
        torch.testing.assert_close(value.grad, expected[name].grad, rtol=1e-3, atol=1e-3)


def test_weights_keep_their_names() -> None:
    theirs = encoder_of()
    ours = speed_up(copy.deepcopy(theirs))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    other = encoder_of(side=192)
    ours.load_state_dict(other.state_dict())
    assert torch.equal(ours.blocks[0].attn.qkv.weight, other.blocks[0].attn.qkv.weight)


def test_speeding_up_twice_changes_nothing() -> None:
    encoder = speed_up(encoder_of())
    blocks = list(encoder.blocks)
    assert all(isinstance(block, StripBlock) for block in blocks)
    assert list(speed_up(encoder).blocks) == blocks


class Wrapped(nn.Module):
    """What LoRA does to a projection: the frozen one, and a small one beside it."""

    def __init__(self, inner: nn.Linear) -> None:
        super().__init__()
        self.inner = inner.requires_grad_(False)
        self.down = nn.Linear(inner.in_features, 2, bias=False)
        self.up = nn.Linear(2, inner.out_features, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) + self.up(self.down(x))


def test_a_wrapped_projection_is_used_and_learns() -> None:
    theirs = encoder_of()
    for block in theirs.blocks:
        block.attn.qkv = Wrapped(block.attn.qkv)
    ours = speed_up(copy.deepcopy(theirs))
    tokens = torch.randn(2, 9, 12, 32)
    with torch.no_grad():
        torch.testing.assert_close(run(ours, tokens), run(theirs, tokens), rtol=1e-4, atol=1e-5)
    for encoder in (theirs, ours):
        run(encoder, tokens).square().mean().backward()
    for mine, other in zip(ours.blocks, theirs.blocks, strict=True):
        assert mine.attn.qkv.up.weight.grad.any()
        torch.testing.assert_close(
            mine.attn.qkv.up.weight.grad, other.attn.qkv.up.weight.grad, rtol=1e-3, atol=1e-5
        )


@torch.no_grad()
def test_half_precision_stays_close() -> None:
    """bf16 as on a graphics card: the code path of cards, with autocast, against float32."""
    theirs = encoder_of()
    ours, tokens = speed_up(copy.deepcopy(theirs)), torch.randn(2, 9, 14, 32)
    expected = run(theirs, tokens)
    for path in (torch.no_grad(), torch.enable_grad()):
        with path, torch.autocast("cpu", torch.bfloat16):
            found = run(ours, tokens)
        assert (found - expected).norm() / expected.norm() < 0.03
