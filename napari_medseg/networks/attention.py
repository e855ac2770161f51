"""The blocks of SAM's image encoder, computed faster: the same weights, the same names, the same result.

Differs from segment-anything in the order of the work only: padding never goes through a projection, the
relative positions are added into the scores in place, and on a CPU everything from the first norm to the
last is done for one strip of the image at a time, so that what is needed next is still in the cache.
"""

from __future__ import annotations

import math

import torch
from segment_anything.modeling import ImageEncoderViT
from segment_anything.modeling.image_encoder import Attention, Block, get_rel_pos
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medseg.networks.lora import LowRank

STRIP = 1024  # tokens a CPU works on at a time
SCORES = 2**22  # attention scores a CPU holds at a time, 16 MB


def speed_up(encoder: ImageEncoderViT) -> ImageEncoderViT:
    """Let SAM's image encoder answer faster; weights, their names and the result stay as they are.

    The encoder itself is changed and returned.
    """
    for number, block in enumerate(encoder.blocks):
        if isinstance(block, Block):
            encoder.blocks[number] = StripBlock(block)
    return encoder


def place(encoder: ImageEncoderViT, tokens: Tensor) -> Tensor:
    """Add the position embedding to (B, Y, X, C) tokens, interpolated to their grid where it must be."""
    learnt = encoder.pos_embed
    if learnt.shape[1:3] != tokens.shape[1:3]:
        channels_first = learnt.permute(0, 3, 1, 2)
        scaled = F.interpolate(channels_first, tokens.shape[1:3], mode="bicubic", align_corners=False)
        learnt = scaled.permute(0, 2, 3, 1)
    return tokens + learnt


class StripBlock(nn.Module):
    """A block of SAM's image encoder that takes over the parts of segment-anything's own."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.norm1, self.attn, self.norm2, self.mlp = block.norm1, block.attn, block.norm2, block.mlp
        self.window_size: int = block.window_size  # tokens along a side; 0 attends over the whole image

    def forward(self, x: Tensor, lora: LowRank | None = None, prompts: Tensor | None = None) -> Tensor:
        """(B, Y, X, C) tokens to the same.

        Parameters
        ----------
        lora : LowRank, optional
            What is added to queries and values.
        prompts : (P, C), optional
            Further keys and values; only a block that attends over the whole image takes them.
        """
        if self.window_size:
            return self._within_windows(x, lora)
        return self._over_the_image(x, lora, prompts)

    def _qkv(self, x: Tensor, lora: LowRank | None) -> Tensor:
        """Queries, keys and values (..., 3 C) of normed tokens (..., C)."""
        projected: Tensor = self.attn.qkv(x) if lora is None else lora(self.attn.qkv, x)
        return projected

    def _within_windows(self, x: Tensor, lora: LowRank | None) -> Tensor:
        """Rows of windows know nothing of each other: each is taken from end to end."""
        rows = _rows_at_a_time(x, self.window_size)
        return torch.cat([self._windows(strip, lora) for strip in x.split(rows, 1)], 1)

    def _windows(self, x: Tensor, lora: LowRank | None) -> Tensor:
        """Whole rows of windows, (B, Y, X, C) to the same."""
        size, (b, height, width, _) = self.window_size, x.shape
        down, across = -(-height // size), -(-width // size)
        qkv = self._qkv(self.norm1(x), lora)
        if (down * size, across * size) != (height, width):  # padding is nought before the projection
            nought = self._qkv(x.new_zeros(1, x.shape[3]), lora)
            qkv = _pad(qkv, nought, down * size, across * size)
        heads = self.attn.num_heads
        qkv = qkv.view(b, down, size, across, size, 3, heads, -1).permute(5, 0, 1, 3, 6, 2, 4, 7)
        q, k, v = qkv.reshape(3, b * down * across, heads, size, size, -1)
        seen = _attend(q, k, v, *_positions(self.attn, q))
        seen = seen.view(b, down, across, heads, size, size, -1).permute(0, 1, 4, 2, 5, 3, 6)
        seen = seen.reshape(b, down * size, across * size, -1)[:, :height, :width]
        return self._finish(x, seen)

    def _over_the_image(self, x: Tensor, lora: LowRank | None, prompts: Tensor | None) -> Tensor:
        """Keys and values of the whole image first, then the rest strip by strip."""
        rows, heads = _rows_at_a_time(x, 1), self.attn.num_heads
        parts = [_of_heads(self._qkv(self.norm1(strip), lora), heads) for strip in x.split(rows, 1)]
        q, k, v = torch.cat(parts, 3)
        further = None if prompts is None else _of_heads(self._qkv(prompts, lora)[None, None], heads)[1:]
        seen = _attend(q, k, v, *_positions(self.attn, q), further)
        seen = seen.permute(0, 2, 3, 1, 4)  # (B, heads, Y, X, c) -> (B, Y, X, heads, c)
        strips = zip(x.split(rows, 1), seen.split(rows, 1), strict=True)
        return torch.cat([self._finish(strip, part.flatten(3)) for strip, part in strips], 1)

    def _finish(self, x: Tensor, seen: Tensor) -> Tensor:
        """What follows attention: its projection, then the perceptron."""
        x = x + self.attn.proj(seen)
        return x + self.mlp(self.norm2(x))


def _of_heads(qkv: Tensor, heads: int) -> Tensor:
    """(B, Y, X, 3 C) to queries, keys and values (3, B, heads, Y, X, c)."""
    return qkv.unflatten(3, (3, heads, -1)).permute(3, 0, 4, 1, 2, 5)


def _attend(
    q: Tensor, k: Tensor, v: Tensor, down: Tensor, across: Tensor, further: Tensor | None = None
) -> Tensor:
    """Attention with SAM's decomposed relative positions.

    Parameters
    ----------
    q, k, v : (B, heads, Y, X, c)
        Queries, keys and values.
    down, across : (Y, Y, c), (X, X, c)
        Relative positions of rows and of columns.
    further : (2, 1, heads, 1, P, c), optional
        Keys and values that lie nowhere in the image, and so get no bias.

    Returns
    -------
    (B, heads, Y, X, c)

    Source
    ------
    Li et al., MViTv2, CVPR 2022, eq. 4: the bias of a query is its product with both positions.
    """
    by_row, by_column = _biases(q.flatten(0, 1), down, across)
    if further is None and _is_frugal(q) and by_row.shape[0] * by_row.shape[1] ** 2 > SCORES:
        asked, keys, values = (t.flatten(0, 1).flatten(1, 2) for t in (q, k, v))  # (G, N, c)
        return _attend_in_place(asked, keys, values, by_row, by_column).view_as(q)
    bias = (by_row + by_column).flatten(2).unflatten(0, q.shape[:2])  # (B, heads, N, N)
    asked, keys, values = (t.flatten(2, 3) for t in (q, k, v))
    if further is not None:
        more = further.flatten(3, 4).expand(-1, len(q), -1, -1, -1)
        keys, values = torch.cat([keys, more[0]], 2), torch.cat([values, more[1]], 2)
        bias = F.pad(bias, (0, more.shape[3]))
    return F.scaled_dot_product_attention(asked, keys, values, attn_mask=bias).view_as(q)


def _attend_in_place(q: Tensor, k: Tensor, v: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    """Attention for a few heads and queries at a time, all in one piece of memory that stays in the cache."""
    n_groups, n, _ = q.shape
    n_queries = min(n, max(1, SCORES // (2 * n)))
    step = min(n_groups, max(2, SCORES // (n_queries * n)))
    q, k, seen = q * q.shape[2] ** -0.5, k.transpose(1, 2), torch.empty_like(q)
    memory = q.new_empty(step * n_queries * n)
    for first in range(0, n_groups, step):
        some = slice(first, first + step)
        for start in range(0, n, n_queries):
            part = (some, slice(start, start + n_queries))
            shape = (*q[part].shape[:2], by_row.shape[2], by_column.shape[3])
            scores = memory[: math.prod(shape)].view(shape)
            torch.add(by_row[part], by_column[part], out=scores)
            scores = scores.flatten(2).baddbmm_(q[part], k[some])
            torch.bmm(torch.softmax(scores, -1, out=scores), v[some], out=seen[part])
    return seen


def _biases(q: Tensor, down: Tensor, across: Tensor) -> tuple[Tensor, Tensor]:
    """What positions add to scores of (G, Y, X, c) queries: by row (G, N, Y, 1), by column (G, N, 1, X)."""
    by_row = q @ down.transpose(1, 2)  # (G, Y, X, Y)
    by_column = (q.transpose(1, 2) @ across.transpose(1, 2)).transpose(1, 2)  # (G, Y, X, X)
    return by_row.flatten(1, 2)[..., :, None], by_column.flatten(1, 2)[..., None, :]


def _positions(attention: Attention, q: Tensor) -> tuple[Tensor, Tensor]:
    """Relative positions (Y, Y, c) and (X, X, c) for queries (B, heads, Y, X, c)."""
    height, width, channels = q.shape[2:]
    if not attention.use_rel_pos:
        return q.new_zeros(height, height, channels), q.new_zeros(width, width, channels)
    down = get_rel_pos(height, height, attention.rel_pos_h)
    return down, get_rel_pos(width, width, attention.rel_pos_w)


def _is_frugal(x: Tensor) -> bool:
    """Whether memory is written twice to save it: on a CPU, where no gradient is asked for."""
    return x.device.type == "cpu" and not torch.is_grad_enabled()


def _rows_at_a_time(x: Tensor, multiple: int) -> int:
    """Rows of the (B, Y, X, C) grid to take at once."""
    if not _is_frugal(x):
        return x.shape[1]
    return multiple * max(1, STRIP // (x.shape[0] * multiple * x.shape[2]))


def _pad(x: Tensor, value: Tensor, height: int, width: int) -> Tensor:
    """Lengthen (B, Y, X, C) at the bottom and on the right with tokens `value` (1, C)."""
    b, rows, columns, _ = x.shape
    x = torch.cat([x, value.expand(b, rows, width - columns, -1)], 2)
    return torch.cat([x, value.expand(b, height - rows, width, -1)], 1)
