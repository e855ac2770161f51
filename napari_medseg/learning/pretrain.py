"""Pretrain the embedded promptable SAM: `medseg train SOURCE --recipe pretrain`.

Boxes, clicks, scribbles and rough masks first, then corrective clicks from the error map with the
previous mask handed back, as in SAM's own recipe (Kirillov et al., 2023, appendix A).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.losses.dice import DiceLoss
from torch import Tensor
from torch.nn import functional as F

from napari_medseg.core.model import Preparation
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.settings import setting
from napari_medseg.learning.augment import normalised
from napari_medseg.learning.clicks import correct, first_prompts
from napari_medseg.learning.data import Dataset, read_datasets
from napari_medseg.learning.descent import Descent
from napari_medseg.learning.release import Seen, advance, begin_run, release, save_state
from napari_medseg.learning.release import resume as resume_from
from napari_medseg.learning.samples import Sample, Sampler, load_slices
from napari_medseg.networks.sam import CompactSam
from napari_medseg.networks.teacher import Pupil, Teacher


@dataclass(frozen=True)
class Settings:
    """How long and how hard to train."""

    canvas: int = setting(128, "Canvas", low=64, high=1024, unit="px", help="side of the images trained on")
    n_images: int = setting(12, "Images a step", low=1, high=512)
    n_targets: int = setting(3, "Targets an image", low=1, high=64)
    n_corrections: int = setting(2, "Most corrective clicks", low=0, high=8)
    rate: float = setting(6e-4, "Learning rate", low=1e-7, high=1e-1)
    warm_up: int = setting(150, "Warm-up steps", low=0, high=10000)
    most_steps: int = setting(0, "Most steps", low=0, help="0: as many as the time allows")
    average: float = setting(0.998, "Weight averaging", low=0.0, high=0.99999)
    superpixels: float = setting(0.1, "Share of superpixels", low=0.0, high=0.4)
    shapes: float = setting(0.1, "Share of laid-in shapes", low=0.0, high=0.3)
    absent: float = setting(0.04, "Share of prompts at nothing", low=0.0, high=0.2)
    teacher: str = setting("", "Teacher", help="file of a network whose features are foretold; none if empty")
    distil: float = setting(0.5, "Weight of the teacher", low=0.0, high=10.0)


def pretrain(
    sources: Sequence[Path],
    out: Path,
    *,
    minutes: float,
    resume: bool = False,
    device: str = "cpu",
    seed: int = 0,
    settings: Settings | None = None,
) -> Job[Path]:
    """Train a compact SAM on the train split of the seen sets and write it as a model folder.

    Parameters
    ----------
    sources : folders
        Data sets, or folders of them; sets marked unseen and the other splits are never opened.
    out : Path
        The model's folder; its name becomes the model's name. `out/../.NAME.state` holds what
        resuming needs and stays outside version control.
    minutes : float
        Wall time of this run; the learning rate falls to nothing over it.
    resume : bool
        Go on from the state, or from the released weights where the state is gone.

    Returns
    -------
    Path
        The model's folder.
    """
    settings = settings or Settings()
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    datasets = [one for one in read_datasets(sources) if one.role == "seen"]
    preparation = Preparation(long_side=settings.canvas)
    slices = []
    for position, dataset in enumerate(datasets):
        yield Progress(0.0, f"Reading {dataset.name} ({position + 1} of {len(datasets)})")
        slices += load_slices(dataset, "train", preparation)
    shares = (settings.superpixels, settings.shapes, settings.absent)
    sampler = Sampler(slices, preparation, random, shares)
    network, average = CompactSam().to(device), CompactSam().to(device).eval()
    teacher = Teacher(Path(settings.teacher), device) if settings.teacher else None
    pupil = Pupil((network.stem_widths[2], network.width, network.width)).to(device)
    learnt = [*network.parameters(), *(pupil.parameters() if teacher else ())]
    optimiser = torch.optim.AdamW(learnt, lr=settings.rate, weight_decay=0.05, betas=(0.9, 0.98))
    descent = Descent(optimiser, learnt, settings, minutes)
    parts = {"network": network, "average": average, "optimiser": optimiser, "pupil": pupil}
    seen: Seen = {"steps": 0, "samples": 0}
    if resume:
        seen = resume_from(out, parts, ("network", "average"))
        random = sampler.random = np.random.default_rng([seed, seen["steps"]])
    else:
        average.load_state_dict(network.state_dict())
    network.train()
    record = asdict(settings) | {"teacher": Path(settings.teacher).name}
    seen = begin_run(seen, {"recipe": "pretrain", "seed": seed, "device": device, **record})
    for done in descent.steps():
        sample = sampler.draw(settings.n_images, settings.n_targets)
        n_corrections = int(random.integers(settings.n_corrections + 1))
        loss = _loss(network, sample, n_corrections, random, teacher, pupil, settings.distil)
        descent.learn({"loss": loss})
        descent.average(average, network, settings.average)
        seen = advance(seen, sample.targets.shape[0] * sample.targets.shape[1], descent.minutes)
        if descent.is_time_to_save():
            _keep(out, parts, preparation, datasets, seen)
        yield Progress(done, f"Step {seen['steps']}", numbers=dict(descent.running))
    _keep(out, parts, preparation, datasets, seen)
    return out


def _loss(
    network: CompactSam,
    sample: Sample,
    n_corrections: int,
    random: np.random.Generator,
    teacher: Teacher | None,
    pupil: Pupil,
    distil: float,
) -> Tensor:
    """Loss of first prompts and of some corrections, and of foretelling the teacher's features."""
    device = next(network.parameters()).device
    images = sample.images.to(device)
    n_images, n_targets = sample.targets.shape[:2]
    truth = sample.targets.reshape(-1, *sample.targets.shape[2:])
    pointed = sample.pointed.reshape(truth.shape)
    owner = torch.arange(n_images, device=device).repeat_interleave(n_targets)
    looked = network.encode(normalised(images, Preparation()))
    encoded = looked.take(owner)
    wanted = F.avg_pool2d(torch.from_numpy(truth).to(device).float()[:, None], 2)
    marks = first_prompts(pointed, random, np.asarray(~truth.any((1, 2))), sample.is_vague.ravel())
    total = torch.zeros((), device=device)
    for turn in range(n_corrections + 1):
        logits, quality = network.decode(encoded, marks.batch().to(device))
        total = total + mask_loss(logits, quality, wanted)
        if turn < n_corrections:
            best = quality.argmax(1) if turn == 0 else torch.zeros_like(owner)
            marks = correct(marks, logits[torch.arange(len(truth), device=device), best], truth, random)
    total = total / (n_corrections + 1)
    if teacher is None:
        return total
    ours = [looked.stem[1], *(level.permute(0, 3, 1, 2) for level in (looked.levels[1], looked.levels[-1]))]
    return total + distil * pupil.loss(ours, teacher.features(images))


def mask_loss(logits: Tensor, quality: Tensor, wanted: Tensor) -> Tensor:
    """Cross entropy and Dice of the single answer and of the best alternative, and the quality's error.

    Parameters
    ----------
    logits : (P, 4, Y/4, X/4)
        The single answer first, then the alternatives.
    quality : (P, 4)
        Expected intersection over union.
    wanted : (P, 1, Y/2, X/2)
        Truth, 0 to 1.
    """
    scaled = F.interpolate(logits, wanted.shape[-2:], mode="bilinear", align_corners=False)
    truth = wanted.expand_as(scaled)
    entropy = F.binary_cross_entropy_with_logits(scaled, truth, reduction="none").mean((2, 3))
    dice = DiceLoss(sigmoid=True, reduction="none", smooth_nr=1.0, smooth_dr=1.0)(scaled, truth)[..., 0, 0]
    each = 2.0 * entropy + dice  # (P, 4)
    with torch.no_grad():
        answer, real = scaled > 0, truth > 0.5
        union = (answer | real).sum((2, 3))  # both empty: right, hence 1
        overlap = torch.where(union > 0, (answer & real).sum((2, 3)) / union.clamp(min=1), 1.0)
    total: Tensor = (each[:, 0] + each[:, 1:].amin(1)).mean() + F.mse_loss(quality, overlap)
    return total


def _keep(
    out: Path, parts: dict[str, Any], preparation: Preparation, datasets: Sequence[Dataset], seen: Seen
) -> None:
    """Write the state, and the averaged weights as a model."""
    save_state(out, parts, seen)
    what = "A compact promptable SAM (compact-1), trained by `medseg train --recipe pretrain`"
    release(
        out,
        parts["average"],
        kind="sam",
        numbers={},
        preparation=preparation,
        datasets=datasets,
        seen=seen,
        what=what,
    )
