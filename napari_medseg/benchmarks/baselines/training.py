"""Train a rival on the train split of one or several tasks; the validation split chooses its weights."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.losses.dice import DiceLoss
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from napari_medseg.benchmarks.baselines.material import PREPARATION, Material, Rival, rows_of
from napari_medseg.core.errors import MedsegError
from napari_medseg.core.metrics import dice
from napari_medseg.core.progress import Job, Progress
from napari_medseg.learning.augment import normalised
from napari_medseg.learning.labelled import Labelled
from napari_medseg.learning.outlines import Lessons

ABSENT = 0.12  # share of pictures without the task, as for HSP-SAM
_BATCH, _RATE, _DECAY = 4, 1e-3, 1e-4
_LOOK = 40  # steps from one look at the validation split to the next
_PATIENCE, _SLOWER, _MOST_CUTS = (
    5,
    0.3,
    2,
)  # looks without gain until the rate is cut
_GAIN = 0.002


@dataclass
class Learnt:
    """How far a rival is: minutes of processor time, steps, and whether it is done.

    `best` is the highest Dice on the validation split so far, on a canvas of `canvas` pixels; `waited` counts
    looks since then, `cuts` how often the rate was cut.
    """

    minutes: float = 0.0
    steps: int = 0
    canvas: int = 0
    best: float = -1.0
    waited: int = 0
    cuts: int = 0
    finished: bool = False


def learnt(file: Path) -> Learnt:
    """How far the rival of a file of weights is."""
    about = file.with_suffix(".json")
    return Learnt(**json.loads(about.read_text(encoding="utf-8"))) if about.is_file() else Learnt()


def note(file: Path, far: Learnt) -> None:
    """Write down how far the rival of a file of weights is."""
    about = json.dumps(asdict(far), indent=1)
    _written(file.with_suffix(".json"), lambda fresh: fresh.write_text(about, encoding="utf-8"))


def train_rival(
    rival: Rival,
    material: Sequence[Material],
    file: Path,
    *,
    minutes: float,
    budget: float | None = None,
    device: str = "cpu",
    seed: int = 0,
) -> Job[Learnt]:
    """Train for some minutes, going on from where an earlier call stopped; weights are written at the end.

    Pictures have half the canvas first, which takes a quarter of the time: until half the budget is spent, or
    the rate is cut for the first time.

    Parameters
    ----------
    file : Path
        Of the weights (safetensors); what resuming needs, and how far it is, lies beside it.
    minutes : float
        Time of this call, by the clock on the wall.
    budget : float, optional
        Minutes of processor time in all, so that other work beside it takes nothing away; over them the
        learning rate falls to nothing. Without a budget the rate is cut when the validation split gains no
        more, and training ends when the second cut has gained nothing either.

    Raises
    ------
    MedsegError
        If the loss is not finite.
    """
    if (far := learnt(file)).finished:
        return far
    course = _Course(rival, material, file, device, seed)
    before, start, worked = course.far.minutes, time.monotonic(), time.process_time()
    while not course.far.finished:
        spent = (time.monotonic() - start) / 60
        course.far.minutes = before + (time.process_time() - worked) / 60
        course.far.finished = _is_over(course.far, budget)
        if course.far.finished or (spent >= minutes and course.far.steps):
            break
        course.look_at(_is_small(course.far, budget))
        loss = course.step(_rate(course.far, budget))
        if course.far.steps % _LOOK == 0:
            course.look()
        done = max(spent / minutes if minutes else 1.0, course.far.minutes / budget if budget else 0.0)
        said = f"{file.parent.name} {file.stem}, step {course.far.steps}"
        yield Progress(min(1.0, done), said, numbers={"loss": loss})
    course.keep()
    return course.far


def _is_over(far: Learnt, budget: float | None) -> bool:
    """Whether the budget is spent, or nothing more was gained."""
    return far.minutes >= budget and far.steps > 0 if budget is not None else far.cuts > _MOST_CUTS


def _is_small(far: Learnt, budget: float | None) -> bool:
    """Whether it still learns at half the canvas."""
    return far.cuts == 0 if budget is None else far.minutes < budget / 2


def _rate(far: Learnt, budget: float | None) -> float:
    """The learning rate: along a cosine over the budget, else by the number of cuts."""
    if budget is None:
        return _RATE * _SLOWER**far.cuts
    return _RATE * (1 + math.cos(math.pi * min(1.0, far.minutes / budget if budget else 1.0))) / 2


class _Course:
    """A network on its way, with the best it has been."""

    def __init__(
        self, rival: Rival, material: Sequence[Material], file: Path, device: str, seed: int
    ) -> None:
        torch.manual_seed(seed)
        self.rival, self.material, self.file, self.device = rival, material, file, device
        self.rows = rows_of([one.task for one in material])
        self.network = rival.network(sum(map(len, self.rows.values()))).to(device)
        self.best = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=_RATE, weight_decay=_DECAY)
        self.far = learnt(file)
        if self.far.steps:
            self._go_on()
        random = np.random.default_rng([seed, self.far.steps])
        self.lessons = Lessons([(one.task, one.train) for one in material], random, ABSENT)

    def look_at(self, small: bool) -> None:
        """Choose the canvas; another one begins its own search for the best weights."""
        canvas = self.material[0].train[0].canvas.shape[0] // (2 if small else 1)
        if canvas != self.far.canvas:
            self.far.canvas, self.far.best, self.far.waited = canvas, -1.0, 0

    def step(self, rate: float) -> float:
        """Learn from one batch."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.network.train()
        batch = self.lessons.draw(_BATCH, self.far.canvas)
        drawn = self._logits(batch.images, batch.task)
        wrong = _wrong(drawn, batch.regions.to(self.device), batch.known.to(self.device))
        if not torch.isfinite(wrong):
            raise MedsegError(f"Training of {self.file.stem} stopped: the loss is not finite.")
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(wrong)
        self.optimiser.step()
        self.far.steps += 1
        return wrong.item()

    def look(self) -> None:
        """Score the validation split; keep the weights where they gain, count the wait where not."""
        self.network.eval()
        with torch.inference_mode():
            found = [self._dice(one, task.task.slug) for task in self.material for one in task.val]
        score = float(np.mean(found)) if found else 0.0
        gained = score > self.far.best + _GAIN
        if score > self.far.best or not found:
            self.far.best = score
            self.best = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        self.far.waited = 0 if gained else self.far.waited + 1
        if self.far.waited >= _PATIENCE:
            self.far.waited, self.far.cuts = 0, self.far.cuts + 1
        self.keep()

    def keep(self) -> None:
        """Write what going on needs, and at the end the weights."""
        if self.far.finished:
            if self.far.best < 0:
                self.look()
            _written(self.file, lambda fresh: save_file(self.best, fresh))
            self._state.unlink(missing_ok=True)
        else:
            parts = {"network": self.network.state_dict(), "best": self.best}
            parts["optimiser"] = self.optimiser.state_dict()
            _written(self._state, lambda fresh: torch.save(parts, fresh))
        note(self.file, self.far)

    @property
    def _state(self) -> Path:
        return self.file.with_suffix(".state")

    def _go_on(self) -> None:
        state = torch.load(self._state, weights_only=True, map_location=self.device)
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.best = state["best"]

    def _logits(self, images: Tensor, slug: str) -> Tensor:
        """What it answers for the structures of one task."""
        images = normalised(images.to(self.device), PREPARATION)
        return self.rival.logits(self.network, images)[:, self.rows[slug]]

    def _dice(self, one: Labelled, slug: str) -> float:
        """Mean over the structures that were looked for."""
        image = torch.from_numpy(one.canvas).permute(2, 0, 1)[None].float() / 255
        small = F.interpolate(image, (self.far.canvas, self.far.canvas), mode="area")
        logits = F.interpolate(self._logits(small, slug), image.shape[-2:], mode="bilinear")
        drawn = (logits[0] > 0).cpu().numpy()
        return float(np.mean([dice(drawn[k], one.regions[k]) for k in np.flatnonzero(one.known)]))


def _wrong(logits: Tensor, regions: Tensor, known: Tensor) -> Tensor:
    """Dice and cross entropy of each structure, where the truth is known."""
    overlap = DiceLoss(sigmoid=True, reduction="none", smooth_nr=1.0, smooth_dr=1.0)
    entropy = F.binary_cross_entropy_with_logits(logits, regions, reduction="none").mean((2, 3))
    each = overlap(logits, regions)[..., 0, 0] + entropy
    total: Tensor = (each * known).sum() / known.sum().clamp(min=1)
    return total


def _written(file: Path, write: Callable[[Path], Any]) -> None:
    """Write a file aside, then give it its name."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(file.name + ".new")
    write(fresh)
    fresh.replace(file)
