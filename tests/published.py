"""Names and shapes of the published SAM checkpoints, and files of the same layout with other numbers in them.

Written down from the authors' code, not from ours: facebookresearch/segment-anything (segment_anything/
modeling), OpenGVLab/SAM-Med2D bfd2b93 (segment_anything/modeling/image_encoder.py), ChaoningZhang/MobileSAM
34bbbfd (mobile_sam/modeling/tiny_vit_sam.py), SysCV/sam-hq fb181f8 (segment_anything/modeling/
mask_decoder_hq.py, build_sam.py).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Shapes = dict[str, tuple[int, ...]]

SIZES = {
    "vit_b": {"width": 768, "depth": 12, "heads": 12, "global_blocks": (2, 5, 8, 11)},
    "vit_l": {"width": 1024, "depth": 24, "heads": 16, "global_blocks": (5, 11, 17, 23)},
    "vit_h": {"width": 1280, "depth": 32, "heads": 16, "global_blocks": (7, 15, 23, 31)},
    "small": {"width": 32, "depth": 3, "heads": 4, "global_blocks": (1, 2)},
}


def published(name: str) -> Shapes:
    """Names and shapes of a published file: vit_b, med2d, mobile_sam, hq_vit_b and the like."""
    size = name.removeprefix("hq_")
    early = 0
    if size in ("mobile_sam", "vit_tiny"):
        encoder = _tiny_vit((64, 128, 160, 320), (2, 2, 6, 2), (2, 4, 5, 10), (7, 7, 14, 7), 256, 1000)
        early = 160
    elif name == "med2d":
        encoder = _vit(**SIZES["vit_b"], grid=16, window=14, out=256, adapter=192)  # type: ignore[arg-type]
    else:
        encoder = _vit(**SIZES[size], grid=64, window=14, out=256)  # type: ignore[arg-type]
        early = int(SIZES[size]["width"])  # type: ignore[call-overload]
    return encoder | _prompts(256, 16) | _decoder(256, 2048, early if name.startswith("hq_") else 0)


def small(name: str) -> Shapes:
    """The same layouts in small: those of `SMALL`; the two with MobileSAM's encoder fit any canvas."""
    if name in ("mobile_sam", "hq_tiny"):
        encoder = _tiny_vit((16, 32, 48, 320), (1, 1, 2, 1), (1, 2, 3, 4), (7, 3, 5, 3), 32, 10)
        return encoder | _prompts(32, 16) | _decoder(32, 64, 48 if name == "hq_tiny" else 0)
    size = SIZES["small"]
    encoder = _vit(**size, grid=8, window=3, out=32, adapter=8 if name == "med2d" else 0)  # type: ignore[arg-type]
    return encoder | _prompts(32, 16) | _decoder(32, 64, 32 if name == "hq_vit" else 0)


SMALL = ("sam", "med2d", "mobile_sam", "hq_vit", "hq_tiny")


def weights(shapes: Shapes) -> dict[str, Tensor]:
    """Numbers that look random and are the same everywhere, of a size that keeps a network lively."""
    import torch

    state = {}
    for i, name in enumerate(sorted(shapes)):
        shape = shapes[name]
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(0)
            continue
        noise = (
            torch.sin(torch.arange(math.prod(shape), dtype=torch.float64) * 12.9898 + i * 78.233) * 43758.5453
        )
        values = (2 * (noise - noise.floor()) - 1).reshape(shape)
        if name.endswith("running_var"):
            values = 1 + 0.5 * values
        elif len(shape) == 1 and name.endswith("weight"):
            values = 1 + 0.3 * values
        elif len(shape) > 1:
            values = values * math.sqrt(2 / max(1, math.prod(shape[1:])))
        else:
            values = 0.1 * values
        state[name] = values.float()
    return state


def write_small(name: str, folder: Path) -> Path:
    """A file of a small layout as its authors would write it."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.pth"
    torch.save(weights(small(name)), file)
    return file


def _linear(name: str, inner: int, outer: int) -> Shapes:
    return {f"{name}.weight": (outer, inner), f"{name}.bias": (outer,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _neck(width: int, out: int) -> Shapes:
    of = "image_encoder.neck."
    convs: Shapes = {f"{of}0.weight": (out, width, 1, 1), f"{of}2.weight": (out, out, 3, 3)}
    return convs | _norm(f"{of}1", out) | _norm(f"{of}3", out)


def _vit(
    width: int, depth: int, heads: int, global_blocks: tuple[int, ...], grid: int, window: int, out: int,
    adapter: int = 0,
) -> Shapes:  # fmt: skip
    of = "image_encoder."
    shapes: Shapes = {
        f"{of}pos_embed": (1, grid, grid, width),
        f"{of}patch_embed.proj.weight": (width, 3, 16, 16),
        f"{of}patch_embed.proj.bias": (width,),
    }
    for i in range(depth):
        block = f"{of}blocks.{i}."
        far = 2 * (grid if i in global_blocks else window) - 1
        shapes |= _norm(f"{block}norm1", width) | _norm(f"{block}norm2", width)
        shapes |= {f"{block}attn.rel_pos_{axis}": (far, width // heads) for axis in "hw"}
        shapes |= _linear(f"{block}attn.qkv", width, 3 * width) | _linear(f"{block}attn.proj", width, width)
        shapes |= _linear(f"{block}mlp.lin1", width, 4 * width) | _linear(
            f"{block}mlp.lin2", 4 * width, width
        )
        if adapter:
            shapes |= _norm(f"{block}Adapter.norm", width) | {
                f"{block}Adapter.channel.0.weight": (adapter, width),
                f"{block}Adapter.channel.2.weight": (width, adapter),
                f"{block}Adapter.spatial.0.weight": (width, width, 3, 3),
                f"{block}Adapter.spatial.2.weight": (width, width, 4, 4),
            }
    return shapes | _neck(width, out)


def _conv_bn(name: str, inner: int, outer: int, size: int = 1) -> Shapes:
    values = {f"{name}.bn.{part}": (outer,) for part in ("weight", "bias", "running_mean", "running_var")}
    return {f"{name}.c.weight": (outer, inner, size, size)} | values | {f"{name}.bn.num_batches_tracked": ()}


def _tiny_vit(
    widths: tuple[int, ...], depths: tuple[int, ...], heads: tuple[int, ...], windows: tuple[int, ...],
    out: int, classes: int,
) -> Shapes:  # fmt: skip
    of = "image_encoder."
    shapes = _conv_bn(f"{of}patch_embed.seq.0", 3, widths[0] // 2, 3)
    shapes |= _conv_bn(f"{of}patch_embed.seq.2", widths[0] // 2, widths[0], 3)
    for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        for j in range(depth):
            block = f"{of}layers.{i}.blocks.{j}."
            if i == 0:
                shapes |= _conv_bn(f"{block}conv1", width, 4 * width)
                shapes |= _conv_bn(f"{block}conv2", 1, 4 * width, 3)
                shapes |= _conv_bn(f"{block}conv3", 4 * width, width)
                continue
            shapes |= {f"{block}attn.attention_biases": (heads[i], windows[i] ** 2)}
            shapes |= _norm(f"{block}attn.norm", width) | _linear(f"{block}attn.qkv", width, 3 * width)
            shapes |= _linear(f"{block}attn.proj", width, width) | _norm(f"{block}mlp.norm", width)
            shapes |= _linear(f"{block}mlp.fc1", width, 4 * width) | _linear(
                f"{block}mlp.fc2", 4 * width, width
            )
            shapes |= _conv_bn(f"{block}local_conv", 1, width, 3)
        if i + 1 < len(widths):
            down, after = f"{of}layers.{i}.downsample.", widths[i + 1]
            shapes |= _conv_bn(f"{down}conv1", width, after) | _conv_bn(f"{down}conv2", 1, after, 3)
            shapes |= _conv_bn(f"{down}conv3", after, after)
    shapes |= _norm(f"{of}norm_head", widths[-1]) | _linear(f"{of}head", widths[-1], classes)
    return shapes | _neck(widths[-1], out)


def _prompts(out: int, channels: int) -> Shapes:
    of = "prompt_encoder."
    down = f"{of}mask_downscaling."
    shapes: Shapes = {f"{of}pe_layer.positional_encoding_gaussian_matrix": (2, out // 2)}
    shapes |= {f"{of}point_embeddings.{i}.weight": (1, out) for i in range(4)}
    shapes |= {f"{of}not_a_point_embed.weight": (1, out), f"{of}no_mask_embed.weight": (1, out)}
    shapes |= {f"{down}0.weight": (channels // 4, 1, 2, 2), f"{down}0.bias": (channels // 4,)}
    shapes |= {f"{down}3.weight": (channels, channels // 4, 2, 2), f"{down}3.bias": (channels,)}
    shapes |= {f"{down}6.weight": (out, channels, 1, 1), f"{down}6.bias": (out,)}
    return shapes | _norm(f"{down}1", channels // 4) | _norm(f"{down}4", channels)


def _attention(name: str, width: int, inner: int) -> Shapes:
    shapes = _linear(f"{name}.out_proj", inner, width)
    for part in "qkv":
        shapes |= _linear(f"{name}.{part}_proj", width, inner)
    return shapes


def _perceptron(name: str, inner: int, outer: int) -> Shapes:
    first, last = _linear(f"{name}.layers.0", inner, inner), _linear(f"{name}.layers.2", inner, outer)
    return first | _linear(f"{name}.layers.1", inner, inner) | last


def _up(name: str, inner: int, between: int, outer: int) -> Shapes:
    """Two transposed convolutions with a norm between them."""
    shapes: Shapes = {f"{name}.0.weight": (inner, between, 2, 2), f"{name}.0.bias": (between,)}
    shapes |= {f"{name}.3.weight": (between, outer, 2, 2), f"{name}.3.bias": (outer,)}
    return shapes | _norm(f"{name}.1", between)


def _decoder(out: int, mlp: int, early: int) -> Shapes:
    of, half = "mask_decoder.", out // 2
    shapes: Shapes = {f"{of}iou_token.weight": (1, out), f"{of}mask_tokens.weight": (4, out)}
    for i in range(2):
        layer = f"{of}transformer.layers.{i}."
        shapes |= _attention(f"{layer}self_attn", out, out)
        for way in ("token_to_image", "image_to_token"):
            shapes |= _attention(f"{layer}cross_attn_{way}", out, half)
        shapes |= _linear(f"{layer}mlp.lin1", out, mlp) | _linear(f"{layer}mlp.lin2", mlp, out)
        for j in range(1, 5):
            shapes |= _norm(f"{layer}norm{j}", out)
    shapes |= _attention(f"{of}transformer.final_attn_token_to_image", out, half)
    shapes |= _norm(f"{of}transformer.norm_final_attn", out)
    shapes |= _up(f"{of}output_upscaling", out, out // 4, out // 8)
    for i in range(4):
        shapes |= _perceptron(f"{of}output_hypernetworks_mlps.{i}", out, out // 8)
    shapes |= _perceptron(f"{of}iou_prediction_head", out, 4)
    if early:
        shapes |= {f"{of}hf_token.weight": (1, out)} | _perceptron(f"{of}hf_mlp", out, out // 8)
        shapes |= _up(f"{of}compress_vit_feat", early, out, out // 8)
        shapes |= _up(f"{of}embedding_encoder", out, out // 4, out // 8)
        feature = f"{of}embedding_maskfeature."
        shapes |= {f"{feature}0.weight": (out // 4, out // 8, 3, 3), f"{feature}0.bias": (out // 4,)}
        shapes |= {f"{feature}3.weight": (out // 8, out // 4, 3, 3), f"{feature}3.bias": (out // 8,)}
        shapes |= _norm(f"{feature}1", out // 4)
    return shapes
