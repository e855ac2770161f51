"""Adapt HSP-SAM to one task in minutes: only the encoder's low-rank part and the task's prompts learn."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from torch import nn

from napari_medseg.core.errors import TaskError
from napari_medseg.core.model import Model
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.settings import setting
from napari_medseg.core.task import Task
from napari_medseg.learning.augment import moved, normalised, still
from napari_medseg.learning.descent import Descent
from napari_medseg.learning.labelled import Labelled
from napari_medseg.learning.outlines import Lessons, outline_loss
from napari_medseg.networks.hsp_sam import OWN, HspSam
from napari_medseg.networks.hsp_sam_models import fresh_rows, load_hsp_sam, rows_of, tasks_of
from napari_medseg.networks.official import OfficialSam
from napari_medseg.networks.sam import CompactSam
from napari_medseg.networks.weights import save_model

_LOOKED_AT = 6  # slices by which the nearest known structures are found
_SMALL = 128  # pixels of the canvas on which they are looked at
_APART = 0.05  # how far fresh prompts lie from those they begin as, in parts of their spread


@dataclass(frozen=True)
class AdapterSettings:
    """How long and how hard an adapter is trained."""

    canvas: int = setting(256, "Canvas", low=64, high=1024, unit="px", help="side of the images trained on")
    n_images: int = setting(4, "Images a step", low=1, high=128)
    rate: float = setting(1e-3, "Learning rate", low=1e-7, high=1e-1)
    rows: float = setting(5.0, "Times the rate for prompts", low=0.1, high=100.0)
    warm_up: int = setting(20, "Warm-up steps", low=0, high=10000)
    most_steps: int = setting(600, "Most steps", low=1)
    average: float = setting(0.99, "Weight averaging", low=0.0, high=0.99999)
    absent: float = setting(0.12, "Share of pictures without the task", low=0.0, high=0.5)


def train_adapter(
    slices: Sequence[Labelled],
    task: Task,
    out: Path,
    *,
    minutes: float,
    joint: Model,
    start: Model | None = None,
    device: str = "cpu",
    seed: int = 0,
    settings: AdapterSettings | None = None,
) -> Job[Model]:
    """Train low-rank adaptation and prompts for one task, and write them as a model.

    Parameters
    ----------
    slices : sequence
        With regions in the order of the task's structures.
    minutes : float
        Wall time at most; the learning rate falls to nothing over it, or over the settings' steps.
    joint : Model
        The network for many tasks on which it stands, its own SAM looked up.
    start : Model, optional
        An earlier adapter of the task to go on from.

    Raises
    ------
    TaskError
        If there is no slice, or the task has no structure.
    WeightsError
        If the joint model, its SAM or `start` cannot be used.
    """
    settings = settings or AdapterSettings()
    if not slices or not task.structures:
        raise TaskError("There is nothing to train on: outline and accept some slices first.")
    torch.manual_seed(seed)
    drawn = Lessons([(task, slices)], np.random.default_rng(seed), settings.absent)
    yield Progress(0.0, "Loading the model")
    if start is not None:
        network, sam = load_hsp_sam(start)
    else:
        known, sam = load_hsp_sam(joint)
        yield Progress(0.0, "Looking for the nearest known structures")
        rows = _nearest(known.to(device), sam.to(device), slices, task, joint)
        network = fresh_rows(known, joint, len(rows))
        _begin_as(network, known, rows)
    network, sam = network.to(device).train(), sam.to(device).requires_grad_(False)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith(OWN))
    learnt = [parameter for parameter in network.parameters() if parameter.requires_grad]
    average = copy.deepcopy(network).eval()
    optimiser = torch.optim.AdamW(network.groups(settings.rows), lr=settings.rate, weight_decay=0.01)
    rows_here = torch.arange(len(task.structures) + 1, device=device)
    descent = Descent(optimiser, learnt, settings, minutes)
    for done in descent.steps():
        batch = drawn.draw(settings.n_images, settings.canvas)
        answer = network(sam, normalised(batch.images.to(device), joint.preparation), rows_here)
        loss = outline_loss(answer, batch.regions.to(device), batch.known.to(device), 0.0)
        descent.learn({"loss": loss})
        descent.average(average, network, settings.average)
        yield Progress(done, f"Step {descent.n}", numbers=dict(descent.running))
    record = {
        "task": task.slug,
        "date": datetime.now(UTC).date().isoformat(),
        "recipe": "hsp_sam",
        "steps": descent.n,
        "slices": len(slices),
        "groups": len({one.group for one in slices}),
        "settings": asdict(settings) | {"minutes": minutes, "seed": seed, "device": device},
    }
    return save_model(
        out,
        average.own_state(),
        kind="hsp_sam",
        numbers={"n_rows": len(rows_here)},
        preparation=joint.preparation,
        structures=task.structure_names,
        card=record,
        card_text=f"# {out.name}\n\nAn adapter on {joint.name}, trained here. Research use only.\n",
        backbone=joint,
    )


@torch.inference_mode()
def _nearest(
    known: HspSam, sam: CompactSam | OfficialSam, slices: Sequence[Labelled], task: Task, joint: Model
) -> list[int]:
    """Rows to begin from: the task's own, else those whose outlines lie nearest on a few slices."""
    tasks, rows = tasks_of(joint), rows_of(tasks_of(joint))
    if tasks.get(task.slug) == task.structure_names:
        return [int(row) for row in rows[task.slug]]
    device, n = known.summary.device, min(_LOOKED_AT, len(slices))
    picked = [slices[i] for i in np.linspace(0, len(slices) - 1, n).round().astype(int)]
    stored = picked[0].canvas.shape[0]
    pictures = torch.from_numpy(np.stack([one.canvas for one in picked])).permute(0, 3, 1, 2).float() / 255
    truth = torch.from_numpy(np.stack([one.regions for one in picked])).float()
    images, truth = moved(pictures, truth, still([one.size for one in picked], stored, _SMALL))
    images, truth = normalised(images, joint.preparation).to(device), truth.to(device)
    score = torch.full((len(task.structures), int(max(map(max, rows.values()))) + 1), -1.0)
    background = {}
    for own in rows.values():
        shown = known(sam, images, own.to(device)).masks.sigmoid()
        for number, row in enumerate(own[1:].tolist()):
            overlap = 2 * (truth * shown[:, number : number + 1]).sum((0, 2, 3))
            score[:, row] = (overlap / (truth.sum((0, 2, 3)) + shown[:, number].sum()).clamp(min=1)).cpu()
            background[row] = int(own[0])
    best = score.argmax(1).tolist()
    return [background[best[0]], *best]


def _begin_as(network: HspSam, known: HspSam, rows: Sequence[int]) -> None:
    """Fill a network's rows with those of another; a little apart, so that two that begin alike may part."""
    theirs = known.task.state_dict()
    for name, parameter in network.task.named_parameters():
        taken = theirs[name][list(rows)]
        nn.init.normal_(parameter, std=_APART * float(taken.std()))
        parameter.data += taken
