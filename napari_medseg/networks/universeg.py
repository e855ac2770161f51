"""Segments a picture from pictures with masks, mixing them at every scale: UniverSeg's idea."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CrossBlock(nn.Module):
    """Lets a query and each of its supports see each other; the query keeps the mean of what it saw.

    Source
    ------
    Butoi et al., UniverSeg, ICCV 2023, eq. 2 and 3: one convolution crosses the query with each support; then
    one for the query, over the mean, and one for each support.
    """

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.cross = nn.Conv2d(2 * channels_in, channels, 3, padding=1)
        self.query = nn.Conv2d(channels, channels, 3, padding=1)
        self.support = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, query: Tensor, support: Tensor) -> tuple[Tensor, Tensor]:
        """Take (B, C, Y, X) and (B, S, C, Y, X) to the same with other channels."""
        batch, number = support.shape[:2]
        both = torch.cat([query[:, None].expand_as(support), support], 2).flatten(0, 1)
        crossed = F.gelu(self.cross(both))  # (B S, C, Y, X)
        mean = crossed.unflatten(0, (batch, number)).mean(1)
        seen = F.gelu(self.support(crossed)).unflatten(0, (batch, number))
        return F.gelu(self.query(mean)), seen


class UniverSeg(nn.Module):
    """A U-Net of cross blocks; any number of supports, in any order.

    Parameters
    ----------
    width : int
        Channels of every level.
    depth : int
        Number of levels; each halves the resolution.

    Source
    ------
    Butoi et al., UniverSeg: Universal Medical Image Segmentation, ICCV 2023, section 3.2.

    Differs
    -------
    The first level sees 2 x 2 pixels as channels, so that it works at half the resolution, and the last one
    answers four pixels at a time: a quarter of the work on a CPU. Pictures have three channels.
    """

    def __init__(self, width: int = 32, depth: int = 4) -> None:
        super().__init__()
        self.enter_query = nn.Conv2d(12, width, 1)
        self.enter_support = nn.Conv2d(16, width, 1)
        self.down = nn.ModuleList(CrossBlock(width, width) for _ in range(depth))
        self.up = nn.ModuleList(CrossBlock(2 * width, width) for _ in range(depth - 1))
        self.leave = nn.Conv2d(width, 4, 1)

    @classmethod
    def tiny(cls) -> UniverSeg:
        """A very small one, for tests."""
        return cls(width=4, depth=2)

    def forward(self, image: Tensor, images: Tensor, masks: Tensor) -> Tensor:
        """Segment pictures from supports.

        Parameters
        ----------
        image : (B, 3, Y, X)
            The queries, 0 to 1; sides divisible by 2 to the power of depth.
        images : (B, S, 3, Y, X)
            The supports of each.
        masks : (B, S, 1, Y, X)
            Their masks, 0 or 1.

        Returns
        -------
        (B, 1, Y, X)
            Logits.
        """
        query = self.enter_query(F.pixel_unshuffle(image - 0.5, 2))
        pairs = torch.cat([images - 0.5, masks - 0.5], 2)
        support = _over(pairs, lambda x: self.enter_support(F.pixel_unshuffle(x, 2)))
        kept: list[tuple[Tensor, Tensor]] = []
        for level, block in enumerate(self.down):
            if level:
                query, support = F.max_pool2d(query, 2), _over(support, lambda x: F.max_pool2d(x, 2))
            query, support = block(query, support)
            kept.append((query, support))
        kept.pop()
        for block in self.up:
            query_before, support_before = kept.pop()
            query = torch.cat([_double(query), query_before], 1)
            support = torch.cat([_over(support, _double), support_before], 2)
            query, support = block(query, support)
        return F.pixel_shuffle(self.leave(query), 2)


def _double(values: Tensor) -> Tensor:
    return F.interpolate(values, scale_factor=2.0, mode="bilinear", align_corners=False)


def _over(values: Tensor, work: Callable[[Tensor], Tensor]) -> Tensor:
    """Do something with each of (B, S, C, Y, X)."""
    return work(values.flatten(0, 1)).unflatten(0, values.shape[:2])
