"""MobileSAM's image encoder: a small hierarchical transformer with convolutions between its stages.

Source: Wu et al., TinyViT, ECCV 2022; Zhang et al., Faster Segment Anything (MobileSAM), 2023. The modules
bear the names of the published checkpoints, so that these load as they are, without the classifier's head.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional as F


def conv_norm(inner: int, outer: int, size: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution without bias and its batch normalisation."""
    conv = nn.Conv2d(inner, outer, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(OrderedDict(c=conv, bn=nn.BatchNorm2d(outer)))


class PatchStem(nn.Module):
    """Two strided convolutions from pixels to a quarter of the canvas."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(
            conv_norm(3, width // 2, 3, 2), nn.GELU(), conv_norm(width // 2, width, 3, 2)
        )

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, Y, X) to (B, C, Y/4, X/4)."""
        return self.seq(images)


class InvertedResidual(nn.Module):
    """Widen, convolve each channel alone, narrow, and add what came in (MobileNetV2's block)."""

    def __init__(self, width: int, expand: int) -> None:
        super().__init__()
        hidden = width * expand
        self.conv1 = conv_norm(width, hidden)
        self.conv2 = conv_norm(hidden, hidden, 3, groups=hidden)
        self.conv3 = conv_norm(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, Y, X) to the same."""
        hidden = F.gelu(self.conv2(F.gelu(self.conv1(x))))
        return F.gelu(x + self.conv3(hidden))


class Merge(nn.Module):
    """Go to the next stage's width, and to half the grid where the stride is 2."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv_norm(inner, outer)
        self.conv2 = conv_norm(outer, outer, 3, stride, groups=outer)
        self.conv3 = conv_norm(outer, outer)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, Y, X) to (B, C', Y/stride, X/stride)."""
        return self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))


class WindowAttention(nn.Module):
    """Attention within a window; what two tokens make of each other depends on how far apart they lie."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))

    def forward(self, x: Tensor) -> Tensor:
        """(W, N, C) tokens of W windows to the same."""
        n_windows, n, width = x.shape
        parts = self.qkv(self.norm(x)).view(n_windows, n, self.heads, 3, width // self.heads)
        q, k, v = parts.permute(3, 0, 2, 1, 4)  # (W, N, heads, 3, C) -> 3 of (W, heads, N, C)
        place = torch.arange(n, device=x.device)
        rows, columns = place // self.window, place % self.window
        apart = (rows[:, None] - rows).abs() * self.window + (columns[:, None] - columns).abs()
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=self.attention_biases[:, apart])
        return self.proj(mixed.transpose(1, 2).reshape(n_windows, n, width))


class Perceptron(nn.Module):
    """Normalise, widen, narrow."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) to the same."""
        return self.fc2(F.gelu(self.fc1(self.norm(x))))


class Block(nn.Module):
    """Attention in windows, a convolution of each channel alone, a perceptron."""

    def __init__(self, width: int, heads: int, window: int, mlp: int) -> None:
        super().__init__()
        self.attn = WindowAttention(width, heads, window)
        self.mlp = Perceptron(width, mlp)
        self.local_conv = conv_norm(width, width, 3, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, Y, X) to the same."""
        x = self.local_conv(x + self._attend(x))
        return x + self.mlp(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def _attend(self, x: Tensor) -> Tensor:
        """Attention in each window; the last ones are filled up with zeros."""
        b, c, rows, columns = x.shape
        w = self.attn.window
        x = F.pad(x, (0, -columns % w, 0, -rows % w))
        down, across = x.shape[2] // w, x.shape[3] // w
        windows = x.view(b, c, down, w, across, w).permute(0, 2, 4, 3, 5, 1).reshape(-1, w * w, c)
        tokens = self.attn(windows).view(b, down, across, w, w, c)
        return tokens.permute(0, 5, 1, 3, 2, 4).reshape(x.shape)[:, :, :rows, :columns]


class Stage(nn.Module):
    """Blocks of one width, then the way to the next stage if there is one."""

    def __init__(self, blocks: list[nn.Module], downsample: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, Y, X) to the next stage's grid and width."""
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class TinyViT(nn.Module):
    """An image encoder of a stage of convolutions and stages of windowed attention.

    Parameters
    ----------
    widths, depths : tuple of int
        Of each stage.
    heads, windows : tuple of int
        Of each stage after the first.
    expand, mlp : int
        How much wider a block is inside, in the first stage and in the others.
    out : int
        Width of the embedding.
    """

    def __init__(
        self,
        widths: tuple[int, ...],
        depths: tuple[int, ...],
        heads: tuple[int, ...],
        windows: tuple[int, ...],
        expand: int,
        mlp: int,
        out: int,
    ) -> None:
        super().__init__()
        self.patch_embed = PatchStem(widths[0])
        last = len(widths) - 1
        self.layers = nn.ModuleList()
        for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            blocks: list[nn.Module] = [
                Block(width, heads[i - 1], windows[i - 1], mlp * width)
                if i
                else InvertedResidual(width, expand)
                for _ in range(depth)
            ]
            # Differs from TinyViT as MobileSAM does: the last step keeps its grid, a sixteenth of the canvas.
            merge = Merge(width, widths[i + 1], 1 if i + 1 == last else 2) if i < last else None
            self.layers.append(Stage(blocks, merge))
        self.neck = nn.Sequential(
            nn.Conv2d(widths[-1], out, 1, bias=False),
            LayerNorm2d(out),
            nn.Conv2d(out, out, 3, padding=1, bias=False),
            LayerNorm2d(out),
        )

    def forward(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """(B, 3, Y, X) to the embedding (B, D, Y/16, X/16) and the stages' tokens (B, Y/16, X/16, C)."""
        x = self.layers[0](self.patch_embed(images))
        levels = []
        for stage in self.layers[1:]:
            x = stage(x)
            levels.append(x.permute(0, 2, 3, 1))
        return self.neck(x), tuple(levels)
