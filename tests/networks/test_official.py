"""The published SAMs: recognised by their parts, equal to their authors' code, and never trusted."""

from __future__ import annotations

import math
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor, sam_model_registry
from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

from napari_medseg.core.errors import WeightsError
from napari_medseg.core.model import Preparation
from napari_medseg.imaging.prepare import Frame, normalise
from napari_medseg.networks.checkpoints import numbers_of, official_sam, read_checkpoint
from napari_medseg.networks.official import OfficialSam
from napari_medseg.networks.sam_prompts import PromptBatch
from napari_medseg.workflow.catalogue import CATALOGUE
from tests.published import SMALL, published, small, weights, write_small

# Embedding, answer and expected overlap by the authors' own code (commits in tests/published.py; canvas sizes
# that it fixes at 1024 set to 128) with the numbers of `weights`, for the picture and prompts below.
BY_THE_AUTHORS = {
    "sam": (
        [0.91974, -2.52506, -0.71919, -0.70639, 0.98046],
        [-0.06256, 0.05159, 0.00308, -0.17957, -0.04638],
        -0.25765,
    ),
    "med2d": (
        [0.56917, -0.80021, -0.6306, -0.64043, -0.60135],
        [-0.01569, 0.04827, 0.02021, -0.00531, -0.04349],
        0.84827,
    ),
    "mobile_sam": (
        [0.93618, 0.82455, 1.50248, 0.1328, 0.0205],
        [0.09516, 0.11976, -0.12301, -0.00897, -0.06834],
        0.25126,
    ),
    "hq_vit": (
        [0.91974, -2.52506, -0.71919, -0.70639, 0.98046],
        [-0.28551, 0.00865, 0.01119, 0.06417, -0.44942],
        0.06202,
    ),
    "hq_tiny": (
        [0.93618, 0.82455, 1.50248, 0.1328, 0.0205],
        [-1.37337, -0.67838, -0.50698, 0.55774, -0.22679],
        -0.00158,
    ),
}
FILES = {
    "vit_b": "sam-vit-b", "vit_l": "sam-vit-l", "vit_h": "sam-vit-h", "mobile_sam": "mobile-sam",
    "hq_vit_tiny": "hq-sam-tiny", "hq_vit_b": "hq-sam-vit-b", "hq_vit_l": "hq-sam-vit-l",
    "hq_vit_h": "hq-sam-vit-h",
}  # fmt: skip


def picture(side: int) -> torch.Tensor:
    noise = torch.sin(torch.arange(3 * side * side, dtype=torch.float64) * 12.9898) * 43758.5453
    return (4 * (noise - noise.floor()) - 2).reshape(1, 3, side, side).float()


def network_of(name: str) -> OfficialSam:
    return official_sam(weights(small(name)))[0]


def asked(points: list[list[float]], labels: list[int], side: int = 128) -> PromptBatch:
    maps = torch.zeros(1, 4, side // 4, side // 4)
    return PromptBatch(torch.tensor([points]), torch.tensor([labels]), maps)


@pytest.mark.parametrize("name", FILES)
def test_the_names_and_shapes_fill_the_published_file(name: str) -> None:
    """Truth: the published sizes; each weight takes its bytes and about 300 to 400 of packing."""
    shapes = published(name)
    n_bytes = sum(math.prod(s) * (8 if n.endswith("tracked") else 4) for n, s in shapes.items())
    assert 300 < (CATALOGUE[FILES[name]].n_bytes - n_bytes) / len(shapes) < 400


@pytest.mark.parametrize("name", [*FILES, "med2d"])
def test_published_layouts_are_recognised_by_their_parts(name: str) -> None:
    """Every name and shape of the file has its place, and nothing is left empty; without any memory."""
    state = {part: torch.empty(shape, device="meta") for part, shape in published(name).items()}
    network, numbers = official_sam(state)
    held = sum(value.numel() for value in network.state_dict().values())
    classifier = sum(v.numel() for part, v in state.items() if ".head." in part or ".norm_head." in part)
    assert held == sum(value.numel() for value in state.values()) - classifier
    assert numbers["layout"] == ("tiny_vit" if name in ("mobile_sam", "hq_vit_tiny") else "vit")
    assert bool(numbers["decoder"]["early"]) == name.startswith("hq_")
    assert numbers["best_first"] == (name == "med2d")


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
def test_the_numbers_are_those_of_segment_anything(name: str) -> None:
    with torch.device("meta"):
        theirs = sam_model_registry[name]()
    shapes = {part: tuple(value.shape) for part, value in theirs.state_dict().items()}
    assert shapes == published(name)
    encoder = numbers_of(shapes)["encoder"]
    blocks = theirs.image_encoder.blocks
    assert encoder["heads"] == blocks[0].attn.num_heads
    assert encoder["window"] == blocks[0].window_size
    assert encoder["global_blocks"] == [i for i, block in enumerate(blocks) if block.window_size == 0]


@torch.no_grad()
@pytest.mark.parametrize("name", SMALL)
def test_the_answer_is_that_of_the_authors_code(name: str) -> None:
    network = network_of(name)
    prompts = asked([[20.0, 30.0], [8.0, 9.0], [10.0, 12.0], [50.0, 40.0]], [1, 0, 2, 3])
    prompts.maps[0, 0] = torch.sin(torch.arange(1024).reshape(32, 32) * 0.1)
    encoded = network.encode(picture(128))
    masks, quality = network.decode(encoded, prompts)
    embedding, answer, overlap = BY_THE_AUTHORS[name]
    found = encoded.embedding.flatten()[:: encoded.embedding.numel() // 5][:5]
    torch.testing.assert_close(found, torch.tensor(embedding), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(masks[0, 0].flatten()[::205][:5], torch.tensor(answer), rtol=1e-4, atol=1e-4)
    assert quality[0, 0].item() == pytest.approx(max(0.0, overlap), abs=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("name", SMALL)
def test_a_next_click_on_the_same_image_is_answered_to_the_last_bit_as_the_first(name: str) -> None:
    """Truth: the same prompts on a copy of the embedding, of which nothing is kept."""
    network, other = network_of(name), picture(128).flip(2)
    encoded, elsewhere = network.encode(picture(128)), network.encode(other)
    for points, labels in (([[20.0, 30.0]], [1]), ([[50.0, 60.0], [9.0, 9.0]], [1, 0])):
        prompts = asked(points, labels)
        prompts.maps[0, 0] = torch.sin(torch.arange(1024).reshape(32, 32) * 0.1) * (len(points) - 1)
        network.decode(elsewhere, prompts)
        found = network.decode(encoded, prompts)
        assert len(network._laid) == 2
        fresh = network.decode(encoded.take(torch.tensor([0])), prompts)
        for one, two in zip(found, fresh, strict=True):
            assert torch.equal(one, two)


@pytest.fixture(scope="module")
def theirs() -> Sam:
    """segment-anything's own SAM in small, with the same weights as `network_of("sam")`."""
    from functools import partial

    from segment_anything.modeling import ImageEncoderViT

    encoder = ImageEncoderViT(
        img_size=128, depth=3, embed_dim=32, num_heads=4, norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        use_rel_pos=True, global_attn_indexes=(1, 2), window_size=3, out_chans=32,
    )  # fmt: skip
    transformer = TwoWayTransformer(depth=2, embedding_dim=32, num_heads=8, mlp_dim=64)
    decoder = MaskDecoder(transformer_dim=32, transformer=transformer, iou_head_hidden_dim=32)
    sam = Sam(encoder, PromptEncoder(32, (8, 8), (128, 128), 16), decoder)
    sam.load_state_dict(weights(small("sam")))
    return sam.eval()


@torch.no_grad()
@pytest.mark.parametrize("what", ["click", "clicks", "box", "box and clicks", "mask and click"])
def test_the_whole_way_is_that_of_sams_predictor(theirs: Sam, what: str) -> None:
    """From the pixels to the mask on them. SAM counts pixels from their middles, this program from edges."""
    photograph = (127 + 120 * np.sin(np.arange(128 * 128 * 3) * 0.37)).astype(np.uint8).reshape(128, 128, 3)
    predictor = SamPredictor(theirs)
    predictor.set_image(photograph)
    clicks = {"click": 1, "clicks": 2, "box and clicks": 2, "mask and click": 1}.get(what, 0)
    points, labels = [[20.0, 30.0], [100.0, 90.0]][:clicks], [1, 0][:clicks]
    box = [[10.0, 12.0], [60.0, 50.0]] if "box" in what else []
    prompts = asked(points + box, labels + [2, 3] * bool(box))
    mask = None
    if "mask" in what:
        prompts.maps[0, 0, 4:9, 3:12], prompts.maps[0, 0, 20:] = 1.0, -1.0
        mask = torch.logit((prompts.maps[:, 0] + 1) / 2, eps=1e-3).numpy()
    network = network_of("sam")
    encoded = network.encode(torch.from_numpy(normalise(photograph, Preparation()))[None])
    masks, quality = network.decode(encoded, prompts)
    for several in (False, True):
        regions, overlap, logits = predictor.predict(
            np.array(points) - 0.5 if points else None, np.array(labels) if points else None,
            np.array(box).ravel() - 0.5 if box else None, mask, multimask_output=several,
        )  # fmt: skip
        mine = masks[0, 1:] if several else masks[0, :1]
        np.testing.assert_allclose(mine, logits, rtol=1e-4, atol=1e-5)
        judged = quality[0, 1:] if several else quality[0, :1]
        np.testing.assert_allclose(judged, overlap.clip(0, 1), atol=1e-5)
        frame = Frame((0.0, 0.0, 128.0, 128.0), (128, 128), 128)
        placed = frame.take_back(mine[0].numpy(), (128, 128), -20.0)
        assert ((placed > 0) == regions[0]).mean() > 0.999


@torch.no_grad()
@pytest.mark.parametrize("name", SMALL)
def test_each_prompt_is_answered_as_if_it_were_alone(name: str) -> None:
    """Prompts of other lengths, with and without a mask, in one batch."""
    network = network_of(name)
    encoded = network.encode(torch.cat([picture(128), picture(128).flip(2)]))
    points = torch.tensor(
        [[[20.0, 30.0], [0, 0], [0, 0]], [[9.0, 9.0], [80.0, 90.0], [30.0, 30.0]], [[0.0, 0]] * 3]
    )
    labels = torch.tensor([[1, -1, -1], [2, 3, -1], [-1, -1, -1]])
    maps = torch.zeros(3, 4, 32, 32)
    maps[2, 0, 4:12, 6:20] = 1.0
    images = torch.tensor([0, 1, 1])
    together = network.decode(encoded.take(images), PromptBatch(points, labels, maps))
    for i, n in enumerate((1, 2, 1)):
        prompt = PromptBatch(points[i : i + 1, :n], labels[i : i + 1, :n], maps[i : i + 1])
        alone = network.decode(encoded.take(images[i : i + 1]), prompt)
        for mine, other in zip(together, alone, strict=True):
            torch.testing.assert_close(mine[i : i + 1], other, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_mask_alone_brings_its_box() -> None:
    network = network_of("sam")
    encoded = network.encode(picture(128))
    alone, boxed = asked([[0.0, 0.0]], [-1]), asked([[24.0, 16.0], [80.0, 48.0]], [2, 3])
    for prompts in (alone, boxed):
        prompts.maps[0, 0] = -1.0
        prompts.maps[0, 0, 4:12, 6:20] = 1.0
    for mine, other in zip(network.decode(encoded, alone), network.decode(encoded, boxed), strict=True):
        torch.testing.assert_close(mine, other)


@torch.no_grad()
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("rows, columns", [(96, 96), (64, 160), (48, 48)])
def test_other_canvases_are_welcome(name: str, rows: int, columns: int) -> None:
    """Also with a side that is an odd number of tokens."""
    network = network_of(name)
    encoded = network.encode(picture(160)[..., :rows, :columns])
    prompts = PromptBatch(
        torch.tensor([[[20.0, 30.0]]]), torch.tensor([[1]]), torch.zeros(1, 4, rows // 4, columns // 4)
    )
    masks, quality = network.decode(encoded, prompts)
    assert masks.shape == (1, 4, rows // 4, columns // 4) and quality.shape == (1, 4)
    assert torch.isfinite(masks).all()


def test_a_whole_training_record_is_read_for_its_weights(tmp_path: Path) -> None:
    """SAM-Med2D's authors saved {"model": weights, "optimizer": the optimiser itself} (their train.py)."""
    tensor = torch.nn.Parameter(torch.ones(3))
    optimiser = torch.optim.Adam([tensor])
    tensor.sum().backward()
    optimiser.step()
    state = weights(small("med2d"))
    record = {"model": {f"module.{name}": value for name, value in state.items()}, "optimizer": optimiser}
    torch.save(record, tmp_path / "med2d.pth")
    read = read_checkpoint(tmp_path / "med2d.pth")
    assert read.keys() == state.keys()
    assert all(torch.equal(read[name], value) for name, value in state.items())


class Hostile:
    """What would run if a file were trusted."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def wrong_files(folder: Path) -> dict[str, Path]:
    """Files that are no checkpoint of weights alone."""
    whole = write_small("sam", folder / "whole").read_bytes()
    hostile = Hostile(f"touch {folder / 'ran'}")
    contents = {
        "empty": b"",
        "text": b"weights",
        "cut": whole[: len(whole) // 2],
        "pickle": pickle.dumps(hostile),
    }
    files = {name: folder / f"{name}.pth" for name in contents}
    for name, data in contents.items():
        files[name].write_bytes(data)
    for name, value in {"code": {"weight": hostile}, "list": [1, 2], "words": {"weight": "heavy"}}.items():
        files[name] = folder / f"{name}.pth"
        torch.save(value, files[name])
    files["grown"] = folder / "grown.pth"  # a terabyte that says it lies in four bytes
    torch.save({"weight": torch.zeros(1).expand(2**38)}, files["grown"])
    files["packed"] = folder / "packed.pth"
    with zipfile.ZipFile(files["packed"], "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("archive/data.pkl", b"\0" * 10_000_000)
    files["safetensors"] = folder / "cut.safetensors"
    files["safetensors"].write_bytes(b"\xff" * 100)
    return files


KINDS = ["empty", "text", "cut", "pickle", "code", "list", "words", "grown", "packed", "safetensors"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_checkpoint_is_refused_in_one_sentence_and_never_run(tmp_path: Path, kind: str) -> None:
    file = wrong_files(tmp_path)[kind]
    with pytest.raises(WeightsError, match="^[^\n]+$"):
        read_checkpoint(file)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "change, words",
    [
        ({"mask_decoder.iou_token.weight": None}, "not those of"),
        ({"mask_decoder.transformer.norm_final_attn.bias": None}, "is missing"),
        ({"image_encoder.blocks.0.lora.weight": torch.zeros(2)}, "not a part"),
        ({"prompt_encoder.no_mask_embed.weight": torch.zeros(1, 7)}, "do not fit"),
        ({"mask_decoder.mask_tokens.weight": torch.zeros(5, 32)}, "do not fit"),
        ({"image_encoder.pos_embed": torch.zeros(1, 8, 8, 33)}, "not those of|do not fit"),
    ],
)
def test_what_is_not_wholly_a_known_sam_is_refused(
    change: dict[str, torch.Tensor | None], words: str
) -> None:
    state = weights(small("sam")) | change
    with pytest.raises(WeightsError, match=words):
        official_sam({name: value for name, value in state.items() if value is not None})


def test_another_networks_weights_are_refused() -> None:
    with pytest.raises(WeightsError, match="not those of"):
        official_sam(torch.nn.Linear(2, 2).state_dict())
