"""Tokens from the image alone, and from a name."""

import torch

from napari_medseg.networks.mixture import n_parameters
from napari_medseg.networks.prompt_tokens import N_WORDS, PromptTokens, TextToken, hashed
from napari_medseg.networks.state_encoder import read_text


def texts(*names: str) -> torch.Tensor:
    return torch.stack([read_text(name) for name in names])


def test_the_published_tokenization_has_seven_million_parameters() -> None:
    """7.09 million at the width of 768, as counted from the authors' code."""
    assert n_parameters(PromptTokens(768)) == 12 * 768**2 + 18 * 768


def test_tokens_depend_on_where_things_are() -> None:
    torch.manual_seed(0)
    tokens = PromptTokens(16, heads=4).eval()
    image = torch.randn(1, 16, 4, 4)
    assert tokens(image).shape == (1, 2, 16)
    assert not torch.allclose(tokens(image), tokens(image.flip(3)), atol=1e-5)


def test_any_canvas_will_do() -> None:
    tokens = PromptTokens(16, heads=4).eval()
    assert tokens(torch.randn(2, 16, 3, 5)).shape == (2, 2, 16)


def test_a_name_is_read_the_same_whatever_its_case_and_alone() -> None:
    both = hashed(texts("Liver", "left kidney"))
    assert both.shape == (2, N_WORDS)
    assert torch.equal(both[:1], hashed(texts("liver")))
    assert torch.allclose(both.norm(dim=1), torch.ones(2))


def test_names_that_share_words_are_more_alike() -> None:
    left, right, polyp, none = hashed(texts("left kidney", "right kidney", "polyp", ""))
    assert left @ right > 0.5
    assert left @ polyp < 0.2
    assert none.abs().max() == 0


def test_the_name_becomes_one_token() -> None:
    assert TextToken(16)(texts("liver", "spleen")).shape == (2, 1, 16)
