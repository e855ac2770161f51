"""Train HSP-SAM: `medseg train SOURCE --recipe hsp_sam`, one network for all tasks of its sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_medseg.core.errors import TaskError
from napari_medseg.core.model import Model, Preparation
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.settings import setting
from napari_medseg.learning.augment import normalised
from napari_medseg.learning.data import Dataset, read_datasets
from napari_medseg.learning.descent import Descent
from napari_medseg.learning.labelled import labelled_dataset
from napari_medseg.learning.outlines import Lessons, outline_loss
from napari_medseg.learning.release import Seen, advance, begin_run, release, save_state
from napari_medseg.learning.release import resume as resume_from
from napari_medseg.networks.hsp_sam import HspSam
from napari_medseg.networks.hsp_sam_models import numbers_for, rows_of
from napari_medseg.networks.sam import load_sam


@dataclass(frozen=True)
class Settings:
    """How long and how hard to train, and which parts of the method."""

    canvas: int = setting(256, "Canvas", low=64, high=1024, unit="px", help="side of the images trained on")
    picture: int = setting(256, "Picture size", low=64, high=1024, unit="px", help="side when it is used")
    n_images: int = setting(4, "Images of a task", low=1, high=128)
    n_tasks: int = setting(3, "Tasks a step", low=1, high=64)
    rate: float = setting(6e-4, "Learning rate", low=1e-7, high=1e-1)
    rows: float = setting(8.0, "Times the rate for prompts", low=0.1, high=100.0)
    warm_up: int = setting(100, "Warm-up steps", low=0, high=10000)
    most_steps: int = setting(0, "Most steps", low=0, help="0: as many as the time allows")
    average: float = setting(0.998, "Weight averaging", low=0.0, high=0.99999)
    absent: float = setting(0.12, "Share of pictures without the task", low=0.0, high=0.5)
    aside: float = setting(0.4, "Weight of the upper levels", low=0.0, high=10.0)
    rank: int = setting(32, "Rank of the adaptation", low=0, high=256)
    prompted: bool = setting(True, "Self-prompts")
    hierarchical: bool = setting(True, "Decoders at all levels")
    skip: str = setting("decoder_top", "Skip", choices=("decoder_top", "encoder_top", "none"))


def train_hsp_sam(
    sources: Sequence[Path],
    out: Path,
    *,
    minutes: float,
    backbone: Model,
    resume: bool = False,
    device: str = "cpu",
    seed: int = 0,
    settings: Settings | None = None,
) -> Job[Path]:
    """Train one network for all seen tasks on a frozen SAM, and write it as a model folder.

    Parameters
    ----------
    sources : folders
        Data sets, or folders of them; sets marked unseen and the other splits are never opened.
    minutes : float
        Wall time of this run; the learning rate falls to nothing over it.
    backbone : Model
        The SAM it stands on.
    resume : bool
        Go on from the state, or from the released weights where the state is gone.

    Raises
    ------
    TaskError
        If there is nothing to train on.
    """
    settings = settings or Settings()
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    datasets = sorted((one for one in read_datasets(sources) if one.role == "seen"), key=lambda one: one.name)
    if not datasets:
        raise TaskError("There is nothing to train on: all data sets there are marked unseen.")
    preparation = replace(backbone.preparation, long_side=settings.picture)
    lessons = []
    for dataset in datasets:
        lessons.append((dataset.task, (yield from labelled_dataset(dataset, "train", preparation))))
    drawn = Lessons(lessons, random, settings.absent)
    tasks = {one.name: list(one.task.structure_names) for one in datasets}
    rows = {slug: row.to(device) for slug, row in rows_of(tasks).items()}
    sam = load_sam(backbone).to(device).requires_grad_(False)
    chosen = {name: getattr(settings, name) for name in ("rank", "prompted", "hierarchical", "skip")}
    numbers = numbers_for(sam, sum(map(len, rows.values())), **chosen)
    network, average = HspSam(**numbers).to(device), HspSam(**numbers).to(device).eval()
    network.begin_as(sam)
    optimiser = torch.optim.AdamW(network.groups(settings.rows), lr=settings.rate, weight_decay=0.1)
    descent = Descent(optimiser, network.parameters(), settings, minutes)
    parts = {"network": network, "average": average, "optimiser": optimiser}
    seen: Seen = {"steps": 0, "samples": 0}
    if resume:
        seen = resume_from(out, parts, ("network", "average"))
        drawn.random = np.random.default_rng([seed, seen["steps"]])
    else:
        average.load_state_dict(network.state_dict())
    record = {"recipe": "hsp_sam", "seed": seed, "device": device, "backbone": backbone.name}
    seen = begin_run(seen, record | asdict(settings))
    kept = (out, parts, preparation, datasets, numbers, tasks, backbone)

    def wrong() -> Iterator[dict[str, Tensor]]:
        """The losses of a few tasks."""
        for _ in range(settings.n_tasks):
            batch = drawn.draw(settings.n_images, settings.canvas)
            answer = network(sam, normalised(batch.images.to(device), preparation), rows[batch.task])
            loss = outline_loss(answer, batch.regions.to(device), batch.known.to(device), settings.aside)
            yield {"loss": loss / settings.n_tasks}

    for done in descent.steps():
        descent.learn(wrong())
        descent.average(average, network, settings.average)
        seen = advance(seen, settings.n_tasks * settings.n_images, descent.minutes)
        if descent.is_time_to_save():
            _keep(*kept, seen)
        yield Progress(done, f"Step {seen['steps']}", numbers=dict(descent.running))
    _keep(*kept, seen)
    return out


def _keep(
    out: Path,
    parts: dict[str, Any],
    preparation: Preparation,
    datasets: Sequence[Dataset],
    numbers: dict[str, Any],
    tasks: dict[str, list[str]],
    backbone: Model,
    seen: Seen,
) -> None:
    """Write the state, and the averaged weights as a model."""
    save_state(out, parts, seen)
    release(
        out,
        parts["average"],
        kind="hsp_sam",
        numbers=numbers,
        preparation=preparation,
        datasets=datasets,
        seen=seen,
        what="HSP-SAM for many tasks, trained by `medseg train --recipe hsp_sam`",
        backbone=backbone,
        more={"tasks": tasks},
    )
