"""Train the UniverSeg-style network, a rival of SegICL that benchmarks compare it with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.losses.dice import DiceCELoss
from safetensors.torch import save_file
from torch import Tensor

from napari_medseg.core.errors import TaskError
from napari_medseg.core.progress import Job, Progress
from napari_medseg.learning.data import read_datasets
from napari_medseg.learning.descent import Descent
from napari_medseg.learning.episodes import Episodes, Study, load_targets
from napari_medseg.networks.universeg import UniverSeg

SIDE = 128
WEIGHTS, STATE = "universeg.safetensors", "universeg.state"
_KEEP = 0.99
_QUERIES, _MOST_IMAGES = 2, 10  # of a step


@dataclass(frozen=True)
class _Pace:
    rate: float = 1e-3
    warm_up: int = 50
    most_steps: int = 0


def train_universeg(
    sources: Sequence[Path], out: Path, *, minutes: float, resume: bool = False, seed: int = 0
) -> Job[Path]:
    """Train on SegICL's episodes, some images of each as queries and the others as supports.

    Parameters
    ----------
    sources : folders
        Data sets, or folders of them; only the train split of the seen ones is used.
    out : Path
        A benchmark's folder; the average of the weights and what resuming needs are written there.
    minutes : float
        Wall time; the learning rate falls to nothing over it.

    Returns
    -------
    Path
        The file of weights.

    Raises
    ------
    TaskError
        If there is nothing to train on, or a run is to be resumed and there is none.
    """
    torch.manual_seed(seed)
    datasets = [one for one in read_datasets(sources) if one.role == "seen"]
    targets = []
    for position, dataset in enumerate(datasets):
        yield Progress(0.0, f"Reading {dataset.name} ({position + 1} of {len(datasets)})")
        targets += load_targets(dataset, "train", SIDE)
    network, average = UniverSeg(), UniverSeg()
    optimiser = torch.optim.AdamW(network.parameters(), lr=_Pace.rate, weight_decay=0.01)
    descent = Descent(optimiser, network.parameters(), _Pace(), minutes)
    parts: dict[str, Any] = {"network": network, "average": average, "optimiser": optimiser}
    step = _go_on(out, parts) if resume else 0
    if not step:
        average.load_state_dict(network.state_dict())
    random = np.random.default_rng([seed, step])
    episodes = Episodes(targets, SIDE, random)
    for done in descent.steps():
        study = episodes.draw(int(random.integers(3, _MOST_IMAGES + 1)))
        descent.learn({"loss": study_loss(network, study)})
        descent.average(average, network, _KEEP)
        step += 1
        yield Progress(done, f"UniverSeg, step {step}", numbers=dict(descent.running))
        if descent.is_time_to_save():
            _keep(out, parts, step)
    return _keep(out, parts, step)


def _keep(out: Path, parts: dict[str, Any], step: int) -> Path:
    """Write what resuming needs, and the average of the weights; written aside and renamed."""
    out.mkdir(parents=True, exist_ok=True)
    torch.save(
        {name: part.state_dict() for name, part in parts.items()} | {"step": step}, out / f"{STATE}.new"
    )
    save_file(parts["average"].state_dict(), out / f"{WEIGHTS}.new")
    for name in (STATE, WEIGHTS):
        (out / f"{name}.new").replace(out / name)
    return out / WEIGHTS


def study_loss(network: UniverSeg, study: Study) -> Tensor:
    """Dice and cross entropy of some images of a study, each answered from a random part of the others."""
    images, masks = study.images, (study.masks > 0.5).float()
    order = torch.randperm(len(images))
    queries = order[:_QUERIES] if len(order) > _QUERIES else order[:1]
    left = order[len(queries) :]
    supports = left[: int(torch.randint(1, len(left) + 1, ()))]
    shown = [part[supports][None].expand(len(queries), -1, -1, -1, -1) for part in (images, masks)]
    loss: Tensor = DiceCELoss(sigmoid=True)(network(images[queries], *shown), masks[queries])
    return loss


def _go_on(out: Path, parts: dict[str, Any]) -> int:
    """Fill network, average and optimiser from the state; how many steps they have done."""
    if not (out / STATE).is_file():
        raise TaskError(f"There is no training to go on with in {out.name}.")
    state = torch.load(out / STATE, weights_only=True, map_location="cpu")
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["step"])
