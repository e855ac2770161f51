"""How a session's slices become a version: the recipes of rounds, and what a new version is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from napari_medseg.core.errors import TaskError, WeightsError
from napari_medseg.core.model import Model
from napari_medseg.core.progress import Job
from napari_medseg.core.task import Task
from napari_medseg.workflow.lookup import build, choose_device, entry, model_for, models, with_backbone

if TYPE_CHECKING:
    from napari_medseg.learning.round import Before
    from napari_medseg.methods import Method
    from napari_medseg.session.accepted import Accepted
    from napari_medseg.session.store import Session


@dataclass(frozen=True)
class Terms:
    """What a recipe is given besides slices and a folder."""

    task: Task
    minutes: float
    device: str
    seed: int
    session: Session
    start: Model | None  # the version in use, to go on from


class Teach(Protocol):
    """A recipe's own part: accepted slices to a model in a folder, named as the folder."""

    def __call__(self, slices: Sequence[Accepted], out: Path, terms: Terms) -> Job[Model]:
        """Train; each `Progress` is a step at which it can be paused or stopped."""


@dataclass(frozen=True)
class Recipe:
    """One way to learn from a session.

    Parameters
    ----------
    method : str
        Which one of the menu works with its versions.
    minutes : callable
        Number of slices to the minutes that training is given unless a person says otherwise.
    """

    method: str
    minutes: Callable[[int], float]
    teach: Teach


def _teach_adapter(slices: Sequence[Accepted], out: Path, terms: Terms) -> Job[Model]:
    """A small adapter on the joint model: LoRA and prompts for one task."""
    from napari_medseg.learning.adapter import train_adapter
    from napari_medseg.learning.labelled import labelled_example

    joint = _joint("hsp_sam")
    names = terms.task.structure_names
    labelled = [
        item
        for one in slices
        for item in labelled_example(one.example(), names, one.group, joint.preparation)
    ]
    words: dict[str, Any] = {"minutes": terms.minutes, "device": terms.device, "seed": terms.seed}
    return (yield from train_adapter(labelled, terms.task, out, joint=joint, start=terms.start, **words))


def _joint(network: str) -> Model:
    """The model of all known tasks that adapters work on: the last one that is installed.

    Raises
    ------
    WeightsError
        If there is none.
    """
    found = [model for model in models() if model.network == network and model.card.get("tasks")]
    if not found:
        raise WeightsError(
            "The model that quick rounds build on is not installed; install the package again."
        )
    return with_backbone(found[-1])


RECIPES: dict[str, Recipe] = {
    "hsp_sam": Recipe("hsp_sam", lambda n: min(10.0, max(2.0, n / 10)), _teach_adapter),
}


def recipe_named(name: str) -> Recipe:
    """Find a recipe of rounds.

    Raises
    ------
    TaskError
        If there is none of that name.
    """
    if name not in RECIPES:
        known = ", ".join(RECIPES)
        raise TaskError(f"There is no recipe '{name}' for a session; the recipes are: {known}.")
    return RECIPES[name]


def ready(recipe: Recipe, model: Model, session: Session, device: str) -> Method:
    """A method that works with a model, wherever that lies."""
    chosen = entry(recipe.method)
    return chosen.build(chosen.settings(), with_backbone(model, session), choose_device(device))


def version_in_use(recipe: Recipe, session: Session, task: Task) -> Model | None:
    """The version a person chose for a task, if one was, with all it works on.

    Raises
    ------
    WeightsError
        If it is not there any more.
    """
    name = session.in_use(recipe.method, task)
    found = model_for(recipe.method, name, session, task) if name else None
    return with_backbone(found, session) if found is not None else None


def before(recipe: Recipe, session: Session, task: Task, device: str) -> Before | None:
    """What a new version is compared with.

    The version in use; else the joint model, where it knows the task; else the linear head on five examples;
    None where no model is installed that such a head could use.
    """
    from napari_medseg.learning.round import Before

    current = version_in_use(recipe, session, task)
    if current is not None:
        return Before("", ready(recipe, current, session, device))
    for model in models():
        tasks = dict(model.card.get("tasks", {}))
        meant = [slug for slug, names in tasks.items() if task.fits(names)]
        if model.network == entry(recipe.method).network and (task.slug in meant or len(meant) == 1):
            return Before("as installed", ready(recipe, model, session, device))
    if model_for("examples_head") is None:
        return None
    return Before("from five examples", build("examples_head", device=device), by_examples=True)
