"""Train SegICL on episodes: `medseg train SOURCE --recipe segicl`.

Every step shows a few studies; each of their images is asked about in turn, with some of the others as its
examples. The backbone stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.losses.dice import DiceCELoss
from monai.networks.schedulers.ddim import DDIMScheduler
from torch import Tensor
from torch.nn import functional as F

from napari_medseg.core.errors import TaskError
from napari_medseg.core.model import Model
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.settings import setting
from napari_medseg.learning.augment import normalised
from napari_medseg.learning.data import Dataset, read_datasets
from napari_medseg.learning.descent import Descent
from napari_medseg.learning.episodes import Episodes, Study, load_targets
from napari_medseg.learning.release import Seen, advance, begin_run, release, save_state
from napari_medseg.learning.release import resume as resume_from
from napari_medseg.networks.sam import CompactSam, load_sam
from napari_medseg.networks.segicl import T_STEPS, SegICL
from napari_medseg.networks.state_encoder import MOST_SHOTS, read_text

_SHOTS = (0, 1, 2, 3, 4, 5)
_CHANCE = (0.06, 0.22, 0.22, 0.2, 0.15, 0.15)


@dataclass(frozen=True)
class Settings:
    """How long and how hard to train."""

    canvas: int = setting(0, "Canvas", low=0, high=1024, unit="px", help="0: as the backbone's")
    n_studies: int = setting(2, "Studies a step", low=1, high=64)
    n_images: int = setting(7, "Images a study", low=3, high=64)
    rate: float = setting(8e-4, "Learning rate", low=1e-7, high=1e-1)
    warm_up: int = setting(60, "Warm-up steps", low=0, high=10000)
    most_steps: int = setting(0, "Most steps", low=0, help="0: as many as the time allows")
    average: float = setting(0.995, "Weight averaging", low=0.0, high=0.99999)
    superpixels: float = setting(0.25, "Share of superpixels", low=0.0, high=0.5)
    synthetic: float = setting(0.25, "Share of synthetic studies", low=0.0, high=0.5)
    denoised: float = setting(0.5, "Share of queries denoised", low=0.1, high=1.0)


def train_segicl(
    sources: Sequence[Path],
    out: Path,
    *,
    backbone: Model,
    minutes: float,
    resume: bool = False,
    device: str = "cpu",
    seed: int = 0,
    settings: Settings | None = None,
) -> Job[Path]:
    """Train on the train split of the seen sets, superpixels and synthetic pictures; write a model folder.

    Parameters
    ----------
    sources : folders
        Data sets, or folders of them; sets marked unseen and the other splits are never opened.
    out : Path
        The model's folder; `out/../.NAME.state` holds what resuming needs.
    backbone : Model
        The compact SAM whose encoder is shared; it is not trained.
    minutes : float
        Wall time of this run; the learning rate falls to nothing over it.

    Source
    ------
    Shen et al., SegICL, 2024: diffusion loss, and alignment of the state with the code of the true mask.

    Differs
    -------
    One run in place of three stages: the state learns beside the decoder, which in a quarter of the cases is
    given the mask's own code; mask losses in place of the noise's error.
    """
    settings = settings or Settings()
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    canvas = settings.canvas or backbone.preparation.long_side
    eye = load_sam(backbone).to(device)
    if not isinstance(eye, CompactSam):
        raise TaskError(f"SegICL is trained on a compact backbone, and '{backbone.name}' is not one.")
    datasets = [one for one in read_datasets(sources) if one.role == "seen"]
    targets = []
    for position, dataset in enumerate(datasets):
        yield Progress(0.0, f"Reading {dataset.name} ({position + 1} of {len(datasets)})")
        targets += load_targets(dataset, "train", canvas)
    episodes = Episodes(targets, canvas, random, (settings.superpixels, settings.synthetic))
    numbers: dict[str, Any] = {"seen": (*eye.stem_widths[1:], eye.image_encoder.neck[0].out_channels)}
    network, average = SegICL(**numbers).to(device), SegICL(**numbers).to(device).eval()
    learnt = list(network.parameters())
    optimiser = torch.optim.AdamW(learnt, lr=settings.rate, weight_decay=0.02, betas=(0.9, 0.98))
    descent = Descent(optimiser, learnt, settings, minutes)
    parts = {"network": network, "average": average, "optimiser": optimiser}
    seen: Seen = {"steps": 0, "samples": 0}
    if resume:
        seen = resume_from(out, parts, ("network", "average"))
        random = episodes.random = np.random.default_rng([seed, seen["steps"]])
    else:
        average.load_state_dict(network.state_dict())
    seen = begin_run(seen, {"recipe": "segicl", "seed": seed, "device": device, **asdict(settings)})
    for done in descent.steps():
        studies = [episodes.draw(settings.n_images) for _ in range(settings.n_studies)]
        descent.learn(_losses(network, eye, studies, backbone, random, settings.denoised, 1.0 - 0.9 * done))
        descent.average(average, network, settings.average)
        seen = advance(seen, settings.n_studies * settings.n_images, descent.minutes)
        if descent.is_time_to_save():
            _keep(out, parts, backbone, numbers, datasets, seen)
        yield Progress(done, f"Step {seen['steps']}", numbers=dict(descent.running))
    _keep(out, parts, backbone, numbers, datasets, seen)
    return out


def _losses(
    network: SegICL,
    eye: CompactSam,
    studies: Sequence[Study],
    backbone: Model,
    random: np.random.Generator,
    denoised: float,
    alignment: float,
) -> dict[str, Tensor]:
    """Losses of the first answer, of the denoised one, and of the state."""
    device = next(network.parameters()).device
    images, masks, valid = (
        torch.cat([getattr(study, name) for study in studies]).to(device)
        for name in ("images", "masks", "valid")
    )
    n_shots = int(random.choice(_SHOTS, p=_CHANCE))
    members, text = who_explains_whom(studies, masks, n_shots, random)
    with torch.no_grad():
        encoded = eye.encode(normalised(images, backbone.preparation))
    small, valid = F.avg_pool2d(masks, 4), F.avg_pool2d(valid, 4)
    seen = network.see(encoded, valid)
    hints = network.hints(seen, network.remember(seen, small), members)
    some = members[:, :MOST_SHOTS]
    shown = some.clamp(min=0)
    state = network.states(
        encoded.embedding, encoded.embedding[shown], small[shown], (some >= 0).float(), text.to(device)
    )
    code = network.codes(small)
    aligned = F.mse_loss(state, code.detach()) + (1 - F.cosine_similarity(state, code.detach(), -1)).mean()
    chosen = torch.from_numpy(random.permutation(len(masks))[: max(1, round(denoised * len(masks)))])
    told = torch.where(torch.rand(len(chosen), 1, 1) < 0.25, code[chosen], state[chosen])
    answer = _denoise(network, masks[chosen], hints.take(chosen), told, random)
    return {
        "first": mask_loss(hints.first, masks),
        "denoised": mask_loss(answer, masks[chosen]),
        "aligned": 0.3 * alignment * aligned,
    }


def who_explains_whom(
    studies: Sequence[Study], masks: Tensor, n_shots: int, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Who explains whom: members (B, S), -1 for none, and what is said in words (B, W)."""
    members = np.full((len(masks), max(1, n_shots)), -1)
    texts, first = [], 0
    is_there = (masks.sum((1, 2, 3)) > 0).cpu().numpy()
    for study in studies:
        places = np.arange(first, first + len(study.images))
        first += len(study.images)
        # Without words and without examples nothing is asked.
        n = n_shots if study.text else max(1, n_shots)
        for i in places:
            others = random.permutation(places[places != i])
            others = others[np.argsort(~is_there[others], kind="stable")] if random.random() < 0.8 else others
            members[i, :n] = others[:n] if n <= len(others) else [*others, *[-1] * (n - len(others))]
            said = bool(study.text) and (n == 0 or random.random() < 0.5)
            texts.append(read_text(study.text if said else ""))
    return torch.from_numpy(members).to(masks.device), torch.stack(texts)


def _denoise(
    network: SegICL, masks: Tensor, hints: Any, state: Tensor, random: np.random.Generator
) -> Tensor:
    """Foretell clean masks from noisy ones, half of them nothing but noise: logits (B, 1, Y, X)."""
    n, device = len(masks), masks.device
    steps = np.where(random.random(n) < 0.5, T_STEPS - 1, random.integers(0, T_STEPS, n))
    t = torch.from_numpy(steps).to(device)
    scheduler = DDIMScheduler(T_STEPS, schedule="cosine", prediction_type="sample")
    noisy = scheduler.add_noise(masks * 2 - 1, torch.randn_like(masks), t)
    keep = torch.from_numpy((random.random((n, 1, 1, 1)) < 0.7).astype(np.float32)).to(device)
    before = torch.tanh(hints.first.detach() / 2) * keep
    return network.denoise(noisy, t, before, hints, state)


def mask_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross entropy and Dice of logits (B, 1, Y, X) against masks of the same shape, 0 to 1."""
    loss: Tensor = DiceCELoss(sigmoid=True, lambda_ce=2.0, smooth_nr=1.0, smooth_dr=1.0)(logits, masks)
    return loss


def _keep(
    out: Path,
    parts: dict[str, Any],
    backbone: Model,
    numbers: dict[str, Any],
    datasets: Sequence[Dataset],
    seen: Seen,
) -> None:
    """Write the state, and the averaged weights as a model."""
    save_state(out, parts, seen)
    release(
        out,
        parts["average"],
        kind="segicl",
        numbers=numbers,
        preparation=backbone.preparation,
        datasets=datasets,
        seen=seen,
        what=f"SegICL on the features of {backbone.name}, trained by `medseg train --recipe segicl`",
        backbone=backbone,
    )
