"""From interleaved images, masks and words to a few vectors that say what is wanted."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_GRID = 4  # tokens along a side of an image
_PATCH = 12  # pixels of a mask along a side of its token, at a quarter of a 192 px canvas
MOST_WORDS = 48  # bytes of a text
MOST_SHOTS = 3  # examples read together


class StateEncoder(nn.Module):
    """A transformer over examples, text and query; the last tokens are the state.

    Source: SegICL (Shen et al., 2024): a multimodal encoder whose hidden states are projected to a state.

    Differs: in place of a vision-language model of seven thousand million parameters, a small transformer
    over tokens of the shared backbone and over bytes of text.

    Parameters
    ----------
    seen : int
        Channels of the backbone's embedding.
    width, depth, heads : int
        Of the transformer.
    n_state, state : int
        Number and width of the state's vectors.
    """

    def __init__(
        self, seen: int, width: int = 192, depth: int = 4, heads: int = 6, n_state: int = 16, state: int = 128
    ) -> None:
        super().__init__()
        self.image = nn.Linear(seen, width)
        self.mask = nn.Linear(_PATCH**2, width)
        self.kind = nn.Parameter(torch.randn(4, width) * 0.02)  # image, mask, text, query
        self.place = nn.Parameter(torch.randn(_GRID**2, width) * 0.02)
        self.number = nn.Parameter(torch.randn(MOST_SHOTS, width) * 0.02)
        self.words = nn.Embedding(256, width)
        self.order = nn.Parameter(torch.randn(MOST_WORDS, width) * 0.02)
        self.ends = nn.Parameter(torch.randn(n_state, width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, depth, nn.LayerNorm(width), enable_nested_tensor=False)
        self.heads = heads
        self.project = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.Linear(width, state), nn.LayerNorm(state)
        )

    def forward(self, query: Tensor, shots: Tensor, masks: Tensor, present: Tensor, text: Tensor) -> Tensor:
        """Read what is wanted.

        Parameters
        ----------
        query : (B, C, Y/16, X/16)
            Backbone's embedding of the images asked about.
        shots : (B, S, C, Y/16, X/16)
            Of the examples, three at most.
        masks : (B, S, 1, Y/4, X/4)
            Their masks, 0 to 1.
        present : (B, S)
            1 where there is an example.
        text : (B, W) long
            Bytes; 0 where there is none.

        Returns
        -------
        (B, n_state, state)
        """
        n, s = present.shape
        image = self.image(_pooled(shots.flatten(0, 1), _GRID)) + self.place + self.kind[0]
        mask = self.mask(_patches(masks.flatten(0, 1))) + self.place + self.kind[1]
        pairs = torch.stack([image, mask], 1).unflatten(0, (n, s)) + self.number[:s, None, None]
        words = self.words(text) + self.order[: text.shape[1]] + self.kind[2]
        asked = self.image(_pooled(query, _GRID)) + self.place + self.kind[3]
        ends = self.ends.expand(n, -1, -1)
        tokens = torch.cat([pairs.flatten(1, 3), words, asked, ends], 1)
        n_pair = 2 * _GRID**2
        there = torch.cat(
            [
                (present > 0).repeat_interleave(n_pair, 1),
                text > 0,
                torch.ones_like(tokens[:, : asked.shape[1] + ends.shape[1], 0], dtype=torch.bool),
            ],
            1,
        )
        block = torch.arange(2 * s, device=text.device).repeat_interleave(_GRID**2)
        later = [torch.full((m,), 2 * s + i) for i, m in enumerate((text.shape[1], _GRID**2, len(self.ends)))]
        block = torch.cat([block, *(part.to(block) for part in later)])
        hidden = self.layers(tokens, mask=self._closed(block, there))
        return self.project(hidden[:, -len(self.ends) :])

    def _closed(self, block: Tensor, there: Tensor) -> Tensor:
        """Where attention may not look, (B * heads, N, N): at later blocks and at what is not there."""
        closed = (block[None, :] > block[:, None]) | ~there[:, None, :]
        closed = closed & ~torch.eye(len(block), dtype=torch.bool, device=block.device)
        return closed.repeat_interleave(self.heads, 0)


class ConditionEncoder(nn.Module):
    """The code of a true mask, which the state should come near."""

    def __init__(self, n_state: int = 16, state: int = 128) -> None:
        super().__init__()
        sizes = (1, 16, 32, state)
        self.stem = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1), nn.GELU())
                for a, b in zip(sizes[:-1], sizes[1:], strict=True)
            )
        )
        self.place = nn.Parameter(torch.randn(36, state) * 0.02)
        self.ask = nn.Parameter(torch.randn(n_state, state) * 0.02)
        self.pool = nn.MultiheadAttention(state, 4, batch_first=True)
        self.norm = nn.LayerNorm(state)

    def forward(self, masks: Tensor) -> Tensor:
        """(B, 1, Y/4, X/4), 0 to 1, to (B, n_state, state)."""
        x = F.adaptive_avg_pool2d(self.stem(masks * 2 - 1), 6).flatten(2).transpose(1, 2) + self.place
        found, _ = self.pool(self.ask.expand(len(x), -1, -1), x, x, need_weights=False)
        return self.norm(found)


def read_text(text: str) -> Tensor:
    """A text as (W,) bytes, cut or filled up with zeros."""
    numbers = list(text.lower().encode("utf-8"))[:MOST_WORDS]
    return torch.tensor(numbers + [0] * (MOST_WORDS - len(numbers)))


def _pooled(x: Tensor, grid: int) -> Tensor:
    """(B, C, Y, X) to (B, grid^2, C)."""
    return F.adaptive_avg_pool2d(x.float(), grid).flatten(2).transpose(1, 2)


def _patches(masks: Tensor) -> Tensor:
    """(B, 1, Y, X) to the pixels of each token's patch, (B, grid^2, patch^2)."""
    small = F.adaptive_avg_pool2d(masks * 2 - 1, _GRID * _PATCH)
    return F.pixel_unshuffle(small, _PATCH).flatten(2).transpose(1, 2)
