"""What is wrong with SegMoTE's answers.

Source: IMIS-Net's and SegMoTE's code: 20 times focal loss, Dice, squared error of the expected overlap, and a
hundredth of the balance. The paper names Dice and balance only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from monai.losses.dice import DiceLoss
from monai.losses.focal_loss import FocalLoss
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from napari_medseg.learning.questions import Questions
from napari_medseg.networks.segmote import Answered, SegMoTE
from napari_medseg.networks.state_encoder import read_text


def answer_losses(answered: Answered, questions: Questions, paper: bool, softly: bool) -> dict[str, Tensor]:
    """What is wrong with some answers; as in the authors' code, or as in their paper."""
    device = answered.masks.device
    wanted = F.avg_pool2d(torch.from_numpy(questions.truth).to(device).float()[:, None], 2)
    losses = {"mask": mask_loss(answered.masks, wanted, paper), "balance": 0.01 * answered.balance()}
    if softly:
        losses["soft"] = 0.5 * mask_loss(answered.soft, wanted, paper)
    if paper:
        return losses
    with torch.no_grad():
        drawn, real = _enlarged(answered.masks, wanted)[:, 0] > 0, wanted[:, 0] > 0.5
        union = (drawn | real).sum((1, 2))
        overlap = torch.where(union > 0, (drawn & real).sum((1, 2)) / union.clamp(min=1), 1.0)
    losses["quality"] = F.mse_loss(answered.quality, overlap)
    by_name = torch.from_numpy(questions.is_named & ~questions.is_prompted).to(device).float()
    there = torch.from_numpy(questions.truth.any((1, 2))).to(device).float()
    presence = F.binary_cross_entropy_with_logits(answered.presence, there, reduction="none")
    losses["presence"] = 0.3 * (presence * by_name).sum() / by_name.sum().clamp(min=1)
    return losses


def kinds_loss(
    network: SegMoTE, embedding: Tensor, names: Sequence[str], shown: NDArray[np.float32]
) -> Tensor:
    """Cross entropy of which names (J) pictures can show (P, J), those that can weighing like the others."""
    truth = torch.from_numpy(shown).to(embedding.device)
    text = torch.stack([read_text(name) for name in names]).to(embedding.device)
    known = ~truth.isnan()
    each = F.binary_cross_entropy_with_logits(
        network.fits(embedding, text)[known], truth[known], reduction="none"
    )
    yes = truth[known]
    return sum(((each * w).sum() / w.sum().clamp(min=1) for w in (yes, 1 - yes)), each.new_zeros(())) / 2


def mask_loss(logits: Tensor, wanted: Tensor, paper: bool = False) -> Tensor:
    """20 times focal loss and Dice, or the paper's Dice alone, of (P, Y/4, X/4) against (P, 1, Y/2, X/2)."""
    masks = _enlarged(logits, wanted)
    dice: Tensor = DiceLoss(sigmoid=True, smooth_nr=1.0, smooth_dr=1.0)(masks, wanted)
    if paper:
        return dice
    focal: Tensor = FocalLoss(gamma=2.0, alpha=0.25)(masks, wanted)
    return dice + 20.0 * focal


def _enlarged(logits: Tensor, wanted: Tensor) -> Tensor:
    return F.interpolate(logits[:, None], wanted.shape[-2:], mode="bilinear", align_corners=False)
