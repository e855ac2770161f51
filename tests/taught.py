"""Sessions of made-up pictures with a bright disc, and a recipe that learns its grey value in a moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_medseg import methods
from napari_medseg.core.geometry import Geometry
from napari_medseg.core.mask import Mask
from napari_medseg.core.model import Model, Preparation
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.task import Task, task_of
from napari_medseg.core.volume import Volume
from napari_medseg.methods import Entry
from napari_medseg.session.accepted import Accepted
from napari_medseg.session.store import Session
from napari_medseg.workflow import recipes
from napari_medseg.workflow.recipes import Recipe, Terms

TASK = task_of("discs", ("disc",))
SIZE = 48


def picture(seed: int, shape: tuple[int, int, int] = (1, SIZE, SIZE)) -> tuple[Volume, Mask]:
    """A disc of grey value 160 on 60 with noise, somewhere near the middle."""
    rng = np.random.default_rng(seed)
    z, y, x = np.indices(shape)
    row, column = rng.uniform(0.4, 0.6, 2) * SIZE
    inside = (y - row) ** 2 + (x - column) ** 2 < (SIZE * rng.uniform(0.16, 0.2)) ** 2
    array = np.clip(np.where(inside, 160, 60) + rng.normal(0, 20, shape), 0, 255).astype(np.uint8)
    geometry = Geometry.of_pixels(shape)
    return Volume(array, geometry, f"disc {seed}"), Mask.empty(geometry, TASK.structures).put("disc", inside)


def teach(session: Session, seeds: Sequence[int], patient: Callable[[int], str] = str) -> None:
    """Accept one picture a seed."""
    for seed in seeds:
        volume, mask = picture(seed)
        case = session.add_case(session.folder.parent / f"{seed}.png", volume, patient=patient(seed))
        session.accept(case, mask.review("axial", [0]), volume)


def taught(folder: Path, n: int = 20, task: Task = TASK) -> Session:
    """A session with n accepted pictures, each of a patient of its own."""
    session = Session.create(folder, task)
    teach(session, range(n))
    return session


@dataclass(frozen=True)
class Settings:
    """None."""


class Bright:
    """Outlines what is brighter than the model's level."""

    def __init__(self, level: float) -> None:
        self.level = level

    def prepare(self, volume: Volume, plane: Any, slices: tuple[int, ...]) -> Job[None]:
        """Nothing to do."""
        yield Progress(1.0)

    def segment(self, request: Request) -> Job[Segmentation]:
        """Cut at the level."""
        yield Progress(0.5)
        region = request.volume.array[request.where] > self.level
        return Segmentation(request.mask_of({name: region for name in request.wanted}), request.start)


def write_model(folder: Path, level: float, structures: tuple[str, ...] = ("disc",)) -> Model:
    """A model that is nothing but a level."""
    import torch

    from napari_medseg.networks.weights import save_model

    return save_model(
        folder, torch.nn.Linear(1, 1), kind="bright", numbers={"level": level}, structures=structures,
        preparation=Preparation(), card={}, card_text="# bright\n",
    )  # fmt: skip


def _learn(slices: Sequence[Accepted], out: Path, terms: Terms) -> Job[Model]:
    """Half-way between inside and outside, in the minutes given; seed 9 learns nonsense, seed 8 breaks."""
    start = time.monotonic()
    while (part := (time.monotonic() - start) / (60 * terms.minutes)) < 1:
        yield Progress(part, "Training", numbers={"loss": 1 - part})
        time.sleep(0.01)
    if terms.seed == 8:
        raise ZeroDivisionError("a fault of the program")
    inside = np.mean([one.image.array[one.regions["disc"]].mean() for one in slices if one.shows("disc")])
    outside = np.mean([one.image.array[~one.regions["disc"]].mean() for one in slices])
    level = 250.0 if terms.seed == 9 else float(inside + outside) / 2
    return write_model(out, level, terms.task.structure_names)


BRIGHT = Recipe("bright", lambda n: 0.001 * n, _learn)


def install(recipe: Recipe = BRIGHT, level: float | None = 150.0) -> None:
    """Put the method in the menu and the recipe under the name of the quick rounds."""
    build = lambda settings, model, device: Bright(model.numbers["level"])  # noqa: E731
    methods.menu()["bright"] = Entry("bright", "Bright", "automatic", "", "bright", Settings, build)
    recipes.RECIPES["hsp_sam"] = recipe
    if level is not None:
        from napari_medseg.learning.round import Before

        found = recipes.before
        recipes.before = lambda recipe, session, task, device: (
            found(recipe, session, task, device)
            if recipes.version_in_use(recipe, session, task)
            else Before("from five examples", Bright(level))
        )
