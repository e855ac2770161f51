"""The same SAM three times: segment-anything's, ours, and transformers' where it is installed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, TwoWayTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medseg.networks.attention import speed_up
from napari_medseg.networks.hsp_sam import HspSam
from napari_medseg.networks.hsp_sam_models import numbers_for
from napari_medseg.networks.official import OfficialSam
from napari_medseg.networks.two_way import Ground, answer, lay_out

_KNOWN = 3  # structures of a slice, where all are asked for
Arms = dict[str, Callable[[], Tensor]]
Parts = dict[str, Arms]
# transformers' names of SAM's parts, in the order in which they are replaced.
_ENCODER = (
    (r"^patch_embed\.proj", "patch_embed.projection"), (r"^blocks\.", "layers."), (r"\.norm", ".layer_norm"),
    (r"^neck\.0", "neck.conv1"), (r"^neck\.1", "neck.layer_norm1"), (r"^neck\.2", "neck.conv2"),
    (r"^neck\.3", "neck.layer_norm2"), (r"^", "vision_encoder."),
)  # fmt: skip
_PROMPTS = (
    (r"^pe_layer\.positional_encoding_gaussian_matrix", "shared_embedding.positional_embedding"),
    (r"^point_embeddings", "point_embed"), (r"^mask_downscaling\.0", "mask_embed.conv1"),
    (r"^mask_downscaling\.1", "mask_embed.layer_norm1"), (r"^mask_downscaling\.3", "mask_embed.conv2"),
    (r"^mask_downscaling\.4", "mask_embed.layer_norm2"), (r"^mask_downscaling\.6", "mask_embed.conv3"),
    (r"^", "prompt_encoder."),
)  # fmt: skip
_DECODER = (
    (r"\.norm", ".layer_norm"), (r"^output_upscaling\.0", "upscale_conv1"),
    (r"^output_upscaling\.1", "upscale_layer_norm"), (r"^output_upscaling\.3", "upscale_conv2"),
    (r"(mlps\.\d|head)\.layers\.0", r"\1.proj_in"), (r"(mlps\.\d|head)\.layers\.1", r"\1.layers.0"),
    (r"(mlps\.\d|head)\.layers\.2", r"\1.proj_out"), (r"^", "mask_decoder."),
)  # fmt: skip


@dataclass(frozen=True)
class Size:
    """A SAM in numbers, such as vit_b's, which are the defaults."""

    name: str = "vit_b"
    side: int = 1024
    width: int = 768
    depth: int = 12
    heads: int = 12
    window: int = 14
    global_blocks: tuple[int, ...] = (2, 5, 8, 11)
    decoder: int = 256
    mlp: int = 2048
    with_decoder: bool = True


# The compact network has a decoder and a stem of its own; its blocks are SAM's.
SIZES = (Size(), Size("compact", 256, 256, 8, 8, 8, (1, 3, 5, 7), 128, 512, with_decoder=False))


@torch.no_grad()
def parts(sizes: Sequence[Size], device: str, with_third: bool) -> Parts:
    """What is computed, by whom: each a call that gives the answer."""
    found: Parts = {}
    for size in sizes:
        found |= _parts_of(size, device, with_third)
    return found


def _parts_of(size: Size, device: str, with_third: bool) -> Parts:
    """Encoder and decoder of one size."""
    torch.manual_seed(0)
    encoder, prompts, decoder = (part.to(device).eval() for part in _sam(size))
    _shake(encoder)
    third = _third(size, encoder, prompts, decoder).to(device) if with_third else None
    with torch.device("meta"):
        fast = speed_up(_sam(size)[0]).eval()
    fast.load_state_dict(encoder.state_dict(), assign=True)
    found: Parts = {}
    for n in (1, 8) if device.startswith("cuda") else (1,):
        title = f"Encoder {size.name}, {size.side} px" + f", {n} slices at once" * (n > 1)
        images = torch.randn(n, 3, size.side, size.side, device=device)
        found[title] = _looking(images, encoder, fast, third)
    found |= _decoding(size, prompts, decoder, third, device) if size.with_decoder else {}
    return found | _knowing(size, encoder, prompts, decoder, device)


def _looking(images: Tensor, theirs: ImageEncoderViT, fast: ImageEncoderViT, third: Any) -> Arms:
    """Embed images; on a graphics card also in half precision, and compiled."""
    arms: Arms = {"segment-anything": partial(theirs, images), "napari-medseg": partial(fast, images)}
    if images.is_cuda:

        def half(network: Any) -> Any:
            with torch.autocast("cuda", torch.bfloat16):  # as methods/_looks.py does
                return network(images)

        arms["napari-medseg, bfloat16"] = partial(half, fast)
        arms["napari-medseg, bfloat16, compiled"] = partial(half, torch.compile(fast))
    if third is not None:
        arms["transformers"] = lambda: third.vision_encoder(images)[0]
    return arms


def _decoding(size: Size, prompts: PromptEncoder, decoder: MaskDecoder, third: Any, device: str) -> Parts:
    """One click on an embedded image: the first, and the next, for which the image is already laid out."""
    grid = size.side // 16
    embedding = torch.randn(1, size.decoder, grid, grid, device=device)
    points = torch.tensor([[[0.3, 0.4]]], device=device) * size.side
    labels = torch.ones(1, 1, dtype=torch.int, device=device)

    def theirs() -> Any:
        sparse, dense = prompts((points, labels), None, None)
        return decoder(embedding, prompts.get_dense_pe(), sparse, dense, True)[0]

    def ours(laid: Ground) -> Tensor:
        sparse, dense = prompts((points, labels), None, None)
        return answer(decoder, laid.under(dense), sparse)[0][:, 1:]

    def others() -> Any:
        position = third.get_image_wide_positional_embeddings()
        sparse, dense = third.prompt_encoder(points[None], labels[None], None, None)
        return third.mask_decoder(embedding, position, sparse, dense, multimask_output=True)[0][:, 0]

    laid = lay_out(embedding, prompts.get_dense_pe())
    first: Arms = {"segment-anything": theirs}
    following = first | {"napari-medseg": lambda: ours(laid)}
    first["napari-medseg"] = lambda: ours(lay_out(embedding, prompts.get_dense_pe()))
    more = {"transformers": others} if third is not None else {}
    title = f"Decoder {size.name}, {grid} x {grid}"
    return {f"{title}, first click": first | more, f"{title}, next clicks": following | more}


def _knowing(
    size: Size, encoder: ImageEncoderViT, prompts: PromptEncoder, decoder: MaskDecoder, device: str
) -> Parts:
    """A whole slice: segment-anything's modules with a box a structure, and HSP-SAM of their size without."""
    below: dict[str, Any] = {"grid": size.side // 16, "width": size.width, "depth": size.depth}
    below |= {"heads": size.heads, "mlp": 4 * size.width, "window": size.window, "adapter": 0}
    below["global_blocks"] = size.global_blocks
    above = {"width": size.decoder, "mlp": size.mlp, "depth": 2, "judge": size.decoder, "judge_depth": 3}
    sam = OfficialSam("vit", below, above).to(device).eval()
    network = HspSam(**numbers_for(sam, _KNOWN + 1)).to(device).eval()
    images = torch.randn(1, 3, size.side, size.side, device=device)
    boxes = torch.tensor([[0.2, 0.3, 0.6, 0.7]], device=device).expand(_KNOWN, -1) * size.side
    rows = torch.arange(_KNOWN + 1, device=device)

    def theirs() -> Tensor:
        sparse, dense = prompts(None, boxes, None)
        masks = decoder(encoder(images), prompts.get_dense_pe(), sparse, dense, False)[0]
        return F.interpolate(masks, (size.side, size.side), mode="bilinear").transpose(0, 1)

    return {
        f"A slice, {_KNOWN} structures, {size.name}, {size.side} px": {
            "segment-anything": theirs,
            "HSP-SAM": lambda: network(sam, images, rows).masks,
        }
    }


def _sam(size: Size) -> tuple[ImageEncoderViT, PromptEncoder, MaskDecoder]:
    """segment-anything's own parts."""
    encoder = ImageEncoderViT(
        img_size=size.side,
        embed_dim=size.width,
        depth=size.depth,
        num_heads=size.heads,
        out_chans=size.decoder,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=size.window,
        global_attn_indexes=size.global_blocks,
    )
    grid = (size.side // 16, size.side // 16)
    prompts = PromptEncoder(size.decoder, grid, (size.side, size.side), 16)
    transformer = TwoWayTransformer(2, size.decoder, 8, size.mlp)
    decoder = MaskDecoder(
        transformer_dim=size.decoder, transformer=transformer, iou_head_hidden_dim=size.decoder
    )
    return encoder, prompts, decoder


def _shake(encoder: ImageEncoderViT) -> None:
    """Give positions values: they begin as nought, which would hide a mistake."""
    with torch.no_grad():
        for name, value in encoder.named_parameters():
            if "pos" in name:
                value.normal_(0.0, 0.1)


def _third(size: Size, encoder: nn.Module, prompts: nn.Module, decoder: nn.Module) -> Any:
    """The SAM of transformers with the same weights."""
    transformers: Any = import_module("transformers")

    vision = transformers.SamVisionConfig(
        hidden_size=size.width, num_hidden_layers=size.depth, num_attention_heads=size.heads,
        image_size=size.side, window_size=size.window, global_attn_indexes=list(size.global_blocks),
        output_channels=size.decoder, mlp_dim=4 * size.width, num_pos_feats=size.decoder // 2,
    )  # fmt: skip
    asked = transformers.SamPromptEncoderConfig(hidden_size=size.decoder, image_size=size.side)
    told = transformers.SamMaskDecoderConfig(
        hidden_size=size.decoder, mlp_dim=size.mlp, iou_head_hidden_dim=size.decoder
    )
    configs = {"vision": vision, "prompt_encoder": asked, "mask_decoder": told}
    config = transformers.SamConfig(**{f"{part}_config": value.to_dict() for part, value in configs.items()})
    with torch.device("meta"):
        model = transformers.SamModel(config).eval()
    state = {
        _renamed(name, rules): value
        for part, rules in ((encoder, _ENCODER), (prompts, _PROMPTS), (decoder, _DECODER))
        for name, value in part.state_dict().items()
    }
    shared = "shared_embedding.positional_embedding"
    state["shared_image_embedding.positional_embedding"] = state[f"prompt_encoder.{shared}"]
    model.load_state_dict(state, assign=True)
    return model


def _renamed(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    """A weight's name in the other package."""
    for pattern, new in rules:
        name = re.sub(pattern, new, name)
    return name
