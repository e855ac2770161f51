"""Tokens that stand in for a person's prompts: drawn from the image alone, and read from a name."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medseg.networks.mixture import begin_at_zero

N_WORDS = 512  # numbers a text is hashed into; as many as CLIP's embedding has
_FACTORS = (73856093, 19349663, 83492791)


class PromptTokens(nn.Module):
    """Progressive Prompt Tokenization: a few learned queries find in the image where one would point.

    Source
    ------
    SegMoTE (2026), `AttnPoolTokens` of its code.

    Parameters
    ----------
    width : int
        Of the image embedding and of the tokens.
    n_tokens : int
        Learned queries.
    heads : int
        Of the attention.
    """

    def __init__(self, width: int, n_tokens: int = 2, heads: int = 8) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(n_tokens, width) * 0.02)
        self.norm, self.out_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.place = nn.Linear(2, width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, embedding: Tensor) -> Tensor:
        """(P, D, Y, X) image embedding to (P, Q, D) tokens."""
        image = self.norm(embedding.flatten(2).transpose(1, 2))  # (P, D, Y, X) -> (P, YX, D)
        image = image + self.place(_coordinates(embedding))
        queries = self.queries.expand(len(embedding), -1, -1)
        found, _ = self.attention(queries, image, image, need_weights=False)
        tokens = queries + found
        return self.out_norm(tokens + self.mlp(tokens))


class TextToken(nn.Module):
    """The name of a structure as one token.

    Differs: SegMoTE reads "A segmentation area of a liver." with CLIP; here the letters are hashed three by
    three, so that names which share words begin alike and no language model is needed.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(N_WORDS, width)

    def forward(self, text: Tensor) -> Tensor:
        """(P, W) bytes, 0 where there is none, to (P, 1, D)."""
        return self.project(hashed(text))[:, None]


class Fit(nn.Module):
    """Whether a picture of this kind can show what a name means: a liver, on a brain MR, cannot.

    It knows nothing of places in the image, so that it learns from every picture and every name at once.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        last = begin_at_zero(nn.Linear(width, 1))
        self.layers = nn.Sequential(nn.Linear(3 * width, width), nn.GELU(), last)

    def forward(self, embedding: Tensor, names: Tensor) -> Tensor:
        """(P, D, Y, X) image embeddings and (P, J, D) tokens of names to logits (P, J)."""
        places = embedding.flatten(2)
        kind = torch.cat([places.mean(2), places.std(2, correction=0)], 1)[:, None]
        return self.layers(torch.cat([kind.expand(-1, names.shape[1], -1), names], 2))[..., 0]


def hashed(text: Tensor) -> Tensor:
    """Count a text's runs of three letters in 512 bins, to length 1.

    Parameters
    ----------
    text : (P, W) long
        Bytes, 0 after the end.

    Returns
    -------
    (P, 512)
    """
    padded = F.pad(text, (1, 1))
    first, second, third = padded[:, :-2], padded[:, 1:-1], padded[:, 2:]
    bins = (first * _FACTORS[0] ^ second * _FACTORS[1] ^ third * _FACTORS[2]) % N_WORDS
    counts = torch.zeros(len(text), N_WORDS, device=text.device)
    counts.scatter_add_(1, bins, (second > 0).float())
    return F.normalize(counts, dim=1)


def _coordinates(embedding: Tensor) -> Tensor:
    """Where each place of (P, D, Y, X) lies, (YX, 2), 0 to 1."""
    rows, columns = embedding.shape[2:]
    y = (torch.arange(rows, device=embedding.device) + 0.5) / rows
    x = (torch.arange(columns, device=embedding.device) + 0.5) / columns
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).flatten(0, 1)
