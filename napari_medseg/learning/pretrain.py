"""Pretrain the embedded promptable SAM: `medseg train SOURCE --recipe pretrain`.

Boxes, clicks, scribbles and rough masks first, then corrective clicks from the error map with the
previous mask handed back, as in SAM's own recipe (Kirillov et al., 2023, appendix A).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.losses.dice import DiceLoss
from torch import Tensor
from torch.nn import functional as F

from napari_medseg.core.errors import MedsegError, TaskError
from napari_medseg.core.model import Preparation
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.settings import setting
from napari_medseg.learning.clicks import correct, first_prompts
from napari_medseg.learning.data import Dataset, read_datasets
from napari_medseg.learning.samples import Sampler, load_slices
from napari_medseg.networks.sam import CompactSam
from napari_medseg.networks.weights import fill, find_models, save_model


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
    if minutes <= 0:
        raise TaskError("Training needs more than 0 minutes.")
    torch.manual_seed(seed)
    random = np.random.default_rng(seed + int(resume))
    datasets = [one for one in read_datasets(sources) if one.role == "seen"]
    preparation = Preparation(long_side=settings.canvas)
    slices = []
    for position, dataset in enumerate(datasets):
        yield Progress(0.0, f"Reading {dataset.name} ({position + 1} of {len(datasets)})")
        slices += load_slices(dataset, "train", preparation)
    sampler = Sampler(slices, preparation, random)
    network = CompactSam().to(device)
    average = CompactSam().to(device).eval()
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.rate, weight_decay=0.05, betas=(0.9, 0.98)
    )
    state_file = out.parent / f".{out.name}.state"
    seen = _resume(out, state_file, network, average, optimiser) if resume else {"steps": 0, "samples": 0}
    average.load_state_dict(network.state_dict()) if not resume else None
    start = last_saved = time.monotonic()
    step, running = 0, 0.0
    while True:
        done = max((time.monotonic() - start) / (60 * minutes), step / (settings.most_steps or math.inf))
        if done >= 1.0:
            break
        warm = min(1.0, (step + 1) / max(1, settings.warm_up))
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * warm * (0.505 + 0.495 * math.cos(math.pi * done))
        images, targets = sampler.draw(settings.n_images, settings.n_targets)
        loss = _loss(
            network, images.to(device), targets, int(random.integers(settings.n_corrections + 1)), random
        )
        if not torch.isfinite(loss):
            raise MedsegError(
                f"Training stopped at step {step}: the loss is not finite; lower the learning rate."
            )
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        step += 1
        _follow(average, network, min(settings.average, step / (step + 10)))
        running = loss.item() if step == 1 else 0.98 * running + 0.02 * loss.item()
        seen = {"steps": seen["steps"] + 1, "samples": seen["samples"] + targets.shape[0] * targets.shape[1]}
        if time.monotonic() - last_saved > 300:
            _save_state(state_file, network, average, optimiser, seen)
            _release(out, average, preparation, datasets, settings, seed, seen)
            last_saved = time.monotonic()
        yield Progress(min(done, 1.0), f"Step {seen['steps']}", numbers={"loss": running})
    _save_state(state_file, network, average, optimiser, seen)
    _release(out, average, preparation, datasets, settings, seed, seen)
    return out


def _loss(
    network: CompactSam,
    images: Tensor,
    targets: np.ndarray[Any, Any],
    n_corrections: int,
    random: np.random.Generator,
) -> Tensor:
    """Loss of a first prompt and of some corrections for (B, 3, S, S) images and (B, P, S, S) targets."""
    preparation = Preparation()
    mean = torch.tensor(preparation.mean, device=images.device)[:, None, None]
    std = torch.tensor(preparation.std, device=images.device)[:, None, None]
    n_images, n_targets = targets.shape[:2]
    truth = targets.reshape(-1, *targets.shape[2:])
    owner = torch.arange(n_images, device=images.device).repeat_interleave(n_targets)
    encoded = network.encode((images - mean) / std).take(owner)
    wanted = F.avg_pool2d(torch.from_numpy(truth).to(images.device).float()[:, None], 2)
    marks = first_prompts(truth, random)
    total = torch.zeros((), device=images.device)
    for turn in range(n_corrections + 1):
        batch = marks.batch().to(images.device)
        logits, quality = network.decode(encoded, batch)
        total = total + mask_loss(logits, quality, wanted)
        if turn < n_corrections:
            best = (
                quality.argmax(1)
                if turn == 0
                else torch.zeros(len(truth), dtype=torch.long, device=quality.device)
            )
            marks = correct(marks, logits[torch.arange(len(truth)), best], truth, random)
    return total / (n_corrections + 1)


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
    dice = DiceLoss(sigmoid=True, reduction="none")(scaled, truth)[..., 0, 0]
    each = 2.0 * entropy + dice  # (P, 4)
    with torch.no_grad():
        answer, real = scaled > 0, truth > 0.5
        overlap = (answer & real).sum((2, 3)) / (answer | real).sum((2, 3)).clamp(min=1)
    total: Tensor = (each[:, 0] + each[:, 1:].amin(1)).mean() + F.mse_loss(quality, overlap)
    return total


@torch.no_grad()
def _follow(average: CompactSam, network: CompactSam, keep: float) -> None:
    """Move the averaged weights a little towards the current ones."""
    for slow, fast in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        slow.lerp_(fast, 1 - keep) if slow.is_floating_point() else slow.copy_(fast)


def _save_state(file: Path, network: Any, average: Any, optimiser: Any, seen: dict[str, int]) -> None:
    """Keep what resuming needs; written aside and renamed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(file.name + ".new")
    state = {"network": network.state_dict(), "average": average.state_dict(), "seen": seen}
    torch.save({**state, "optimiser": optimiser.state_dict()}, fresh)
    fresh.replace(file)


def _resume(out: Path, file: Path, network: Any, average: Any, optimiser: Any) -> dict[str, int]:
    """Go on from the state file, or from the released half-precision weights."""
    if file.is_file():
        state = torch.load(file, weights_only=True, map_location="cpu")
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        return dict(state["seen"])
    released = [model for model in find_models(out.parent, "session") if model.name == out.name]
    if not released:
        raise TaskError(f"There is nothing to resume: neither {file.name} nor a model in {out}.")
    fill(network, released[0])
    average.load_state_dict(network.state_dict())
    network.train()
    return dict(released[0].card["seen"])


def _release(
    out: Path,
    average: CompactSam,
    preparation: Preparation,
    datasets: Sequence[Dataset],
    settings: Settings,
    seed: int,
    seen: dict[str, int],
) -> None:
    """Write the averaged weights with their card."""
    sets = {one.name: len(one.select("train")) for one in datasets}
    terms = {one.name: one.terms for one in datasets}
    card = {
        "sets": sets,
        "terms": terms,
        "settings": asdict(settings),
        "seed": seed,
        "seen": seen,
        "recipe": "pretrain",
    }
    lines = "\n".join(f"- {name}: {n} training images; terms: {terms[name]}" for name, n in sets.items())
    text = (
        f"# {out.name}\n\nA compact promptable SAM (compact-1), trained from nothing by "
        f"`medseg train --recipe pretrain`: {seen['samples']} prompted targets in {seen['steps']} steps.\n"
        f"Weights inherit the terms of these sets, some of which are non-commercial; research use only.\n\n"
        f"{lines}\n\nSettings: `{json.dumps(asdict(settings), sort_keys=True)}`, seed {seed}.\n"
    )
    save_model(out, average, kind="sam", numbers={}, preparation=preparation, card=card, card_text=text)
