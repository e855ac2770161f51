"""The judgement of one's own answers: silent at first, and without a way back into the masks."""

import torch

from napari_medseg.networks.sam_quality import AnswerQuality


def test_it_begins_by_adding_nothing_and_leaves_the_masks_alone() -> None:
    torch.manual_seed(0)
    judge = AnswerQuality(8, 4)
    tokens, answers = torch.randn(2, 8, requires_grad=True), torch.randn(2, 3, 8)
    features = torch.randn(2, 4, 6, 6, requires_grad=True)
    masks = torch.randn(2, 3, 6, 6, requires_grad=True)
    said = judge(tokens, answers, features, masks)
    assert said.shape == (2, 3) and not said.any()
    torch.nn.init.normal_(judge.layers[-1].weight)
    judge(tokens, answers, features, masks).sum().backward()
    assert features.grad is None and masks.grad is None
    assert tokens.grad is not None and tokens.grad.abs().sum() > 0


def test_empty_and_full_masks_stay_finite() -> None:
    judge = AnswerQuality(8, 4)
    torch.nn.init.normal_(judge.layers[-1].weight)
    masks = torch.stack([torch.full((6, 6), -80.0), torch.full((6, 6), 80.0)])[None]
    said = judge(torch.randn(1, 8), torch.randn(1, 2, 8), torch.randn(1, 4, 6, 6), masks)
    assert torch.isfinite(said).all()
