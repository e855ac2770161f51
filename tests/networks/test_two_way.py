"""SAM's decoder computed faster; truth everywhere: segment-anything's own, with the same weights."""

import pytest
import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer
from torch import Tensor, nn

from napari_medseg.networks.two_way import answer, lay_out

GRID = (5, 6)


@pytest.fixture(scope="module")
def parts() -> tuple[PromptEncoder, MaskDecoder, Tensor]:
    torch.manual_seed(0)
    prompts = PromptEncoder(64, GRID, (80, 96), 16)
    transformer = TwoWayTransformer(depth=2, embedding_dim=64, num_heads=2, mlp_dim=128)
    decoder = MaskDecoder(transformer_dim=64, transformer=transformer, iou_head_hidden_dim=64)
    for name, value in (*prompts.named_parameters(), *decoder.named_parameters()):
        if "bias" in name:
            nn.init.normal_(value, std=0.5)
    return prompts.eval(), decoder.eval(), torch.randn(1, 64, *GRID)


def theirs(decoder: MaskDecoder, *given: Tensor) -> tuple[Tensor, Tensor]:
    embedding, position, sparse, dense = given
    return decoder.predict_masks(embedding, position, sparse, dense)


def ours(decoder: MaskDecoder, *given: Tensor) -> tuple[Tensor, Tensor]:
    embedding, position, sparse, dense = given
    return answer(decoder, lay_out(embedding, position).under(dense), sparse)


POINTS = torch.tensor([[[20.0, 30.0]], [[70.0, 11.0]], [[3.0, 60.0]]])
BOXES = torch.tensor([[10.0, 20.0, 40.0, 60.0], [0.0, 0.0, 90.0, 70.0], [5.0, 5.0, 9.0, 80.0]])
LABELS = torch.tensor([[1], [0], [1]])


@torch.no_grad()
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("kind", ["points", "boxes", "both", "masks", "everything", "many points"])
def test_answers_are_those_of_segment_anything(
    parts: tuple[PromptEncoder, MaskDecoder, Tensor], n: int, kind: str
) -> None:
    """One prompt and several; with 40 points there are more tokens than it pays to multiply into."""
    prompts, decoder, embedding = parts
    torch.manual_seed(1)
    points = (POINTS[:n], LABELS[:n]) if kind in ("points", "both", "everything") else None
    if kind == "many points":
        points = (80 * torch.rand(n, 40, 2), torch.randint(0, 2, (n, 40)))
    boxes = BOXES[:n] if kind in ("boxes", "both", "everything") else None
    masks = torch.randn(n, 1, 20, 24) if kind in ("masks", "everything") else None
    sparse, dense = prompts(points, boxes, masks)
    given = (embedding, prompts.get_dense_pe(), sparse, dense)
    for found, expected in zip(ours(decoder, *given), theirs(decoder, *given), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_one_ground_serves_many_prompts(parts: tuple[PromptEncoder, MaskDecoder, Tensor]) -> None:
    prompts, decoder, embedding = parts
    position = prompts.get_dense_pe()
    laid = lay_out(embedding, position)
    for i in range(3):
        sparse, dense = prompts((POINTS[i : i + 1], LABELS[i : i + 1]), None, None)
        found, _ = answer(decoder, laid.under(dense), sparse)
        expected, _ = theirs(decoder, embedding, position, sparse, dense)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_several_images_with_one_prompt_each(parts: tuple[PromptEncoder, MaskDecoder, Tensor]) -> None:
    """Truth: each image alone, since segment-anything answers for one image at a time."""
    prompts, decoder, _ = parts
    embeddings, position = torch.randn(3, 64, *GRID), prompts.get_dense_pe()
    sparse, dense = prompts((POINTS, LABELS), None, None)
    found, quality = ours(decoder, embeddings, position, sparse, dense)
    for i in range(3):
        one = slice(i, i + 1)
        expected = theirs(decoder, embeddings[one], position, sparse[one], dense[one])
        torch.testing.assert_close(found[one], expected[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(quality[one], expected[1], rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_segment_anything(parts: tuple[PromptEncoder, MaskDecoder, Tensor]) -> None:
    """All of them: a bias of keys changes no attention, so that where it is left out it would get nought."""
    prompts, decoder, embedding = parts
    sparse, dense = (value.detach() for value in prompts((POINTS, LABELS), None, None))
    gradients = []
    for way in (theirs, ours):
        decoder.zero_grad()
        masks, quality = way(decoder, embedding, prompts.get_dense_pe(), sparse, dense)
        (masks.square().mean() + quality.square().mean()).backward()
        values = decoder.named_parameters()
        gradients.append(
            {
                name: value.new_zeros(value.shape) if value.grad is None else value.grad.clone()
                for name, value in values
            }
        )
    decoder.zero_grad()
    for name, expected in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], expected, rtol=1e-3, atol=1e-5)
