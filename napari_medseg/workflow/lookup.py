"""What there is: methods, tasks and models, and a method made ready for work."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from napari_medseg.core.errors import TaskError, WeightsError
from napari_medseg.core.model import Model
from napari_medseg.core.settings import with_overrides
from napari_medseg.core.task import Rule, Task, task_of

if TYPE_CHECKING:
    from napari_medseg.methods import Entry, Method
    from napari_medseg.session.store import Session


def menu() -> dict[str, Entry]:
    """List the methods by name."""
    from napari_medseg import methods

    return methods.menu()


def entry(method: str) -> Entry:
    """Find a method by name; TaskError if there is none."""
    from napari_medseg import methods

    return methods.entry(method)


def tasks(data: Path | None = None) -> list[Task]:
    """List the tasks that models were trained for, and those of the data sets in a folder."""
    found = {}
    for model in models():
        found.update({task.slug: task for task in _tasks_of(model)})
    if data is not None:
        from napari_medseg.learning.data import read_datasets

        found.update({dataset.name: dataset.task for dataset in read_datasets([data])})
    return [found[slug] for slug in sorted(found)]


def _tasks_of(model: Model) -> Iterator[Task]:
    """The tasks a model's card offers; what is damaged there is passed over.

    A joint model may know tasks that it does too badly to be offered; they are there for measurements.
    """
    if model.structures:
        yield task_of(str(model.card.get("task", model.name)), model.structures)
    with suppress(TypeError, ValueError, AttributeError, TaskError):
        offered = model.card.get("offered")
        for slug, names in model.card.get("tasks", {}).items():
            if offered is not None and slug not in offered:
                continue
            about = model.card.get("about", {}).get(slug, {})
            words = {key: str(about.get(key, "")) for key in ("modality", "anatomy", "objective")}
            rules = tuple(Rule(*rule) for rule in about.get("rules", ()))
            yield replace(task_of(slug, tuple(map(str, names)), **words), rules=rules)


def task(slug: str, data: Path | None = None) -> Task:
    """Find a task by its short name.

    Raises
    ------
    TaskError
        If no model and no data set knows it.
    """
    known = {task.slug: task for task in tasks(data)}
    if slug not in known:
        raise TaskError(f"There is no task '{slug}'; the tasks are: {', '.join(known) or 'none yet'}.")
    return known[slug]


def models(session: Session | None = None) -> list[Model]:
    """List the models: those of the session first, then the user's own, then the shipped ones."""
    from napari_medseg.networks.weights import find_models

    folders = [(cache_folder(), "cache"), (_shipped_folder(), "shipped")]
    if session is not None:
        folders.insert(0, (session.versions, "session"))
    return [model for folder, origin in folders for model in find_models(folder, origin)]


def model_for(
    method: str, name: str = "", session: Session | None = None, task: Task | None = None
) -> Model | None:
    """Choose the model a method works with; None if the method needs none or there is none.

    A name given must be there. Else the version in use in the session, else the last by name of the user's
    own, else of the shipped ones: what was trained in a session is used only where a person chose it.

    Raises
    ------
    TaskError, WeightsError
        If there is no such method, or no model of that name for it.
    """
    network = entry(method).network
    if not network:
        if name:
            raise TaskError(f"The method '{method}' works without a model, so '{name}' cannot be used.")
        return None
    fitting = [model for model in models(session) if model.network == network]
    if task is not None:
        fitting = [model for model in fitting if not model.structures or task.fits(model.structures)]
        name = name or (session.in_use(method, task) if session is not None else None) or ""
    if name:
        for model in fitting:
            if model.name == name:
                return model
        known = ", ".join(model.name for model in fitting) or "none"
        raise WeightsError(f"There is no model '{name}' for the method '{method}'; there are: {known}.")
    places = dict.fromkeys(model.origin for model in fitting if model.origin != "session")
    return next(
        (max((m for m in fitting if m.origin == place), key=lambda m: m.name) for place in places), None
    )


def build(
    method: str,
    *,
    model: str = "",
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    session: Session | None = None,
    task: Task | None = None,
) -> Method:
    """Make a method ready: check its settings, choose the device, load the weights.

    Slow where there are weights: call it inside a job.

    Raises
    ------
    TaskError, WeightsError
        If a setting, the device or the model is not there or not usable.
    """
    chosen = entry(method)
    values = with_overrides(chosen.settings(), settings or {})
    found = model_for(method, model, session, task)
    if chosen.network and found is None:
        raise WeightsError(
            f"The method '{method}' needs a model and none is installed; "
            "see 'medseg models' for those that can be downloaded or imported."
        )
    # A method without a network runs on the CPU, and torch is not loaded to learn that.
    idle = not chosen.network and device in ("auto", "cpu")
    if found is not None:
        found = with_backbone(found, session)
    return chosen.build(values, found, "cpu" if idle else choose_device(device))


def with_backbone(model: Model, session: Session | None = None) -> Model:
    """A model with the one it works on looked up in all places, and the one that works on, to the last."""
    if not model.backbone_sha256 or model.backbone is not None:
        return model
    fitting = (other for other in models(session) if other.sha256 == model.backbone_sha256)
    found = next(fitting, None)
    return model if found is None else replace(model, backbone=with_backbone(found, session))


def load_ahead(method: str) -> None:
    """Begin to load what a method calculates with, while a person chooses a scan or it is read.

    Raises
    ------
    TaskError
        If there is no such method.
    """
    network = entry(method).network
    if network:
        Thread(target=_load, args=(f"napari_medseg.networks.{network}",), name="load ahead").start()


def _load(name: str) -> None:
    # What is not there, `build` says; a program that ends meanwhile lets nothing be loaded any more.
    with suppress(ImportError, RuntimeError):
        import_module(name)


def prepared_folder() -> Path:
    """Where prepared slices are kept: the folder MEDSEG_CACHE, else the user's cache."""
    from napari_medseg.methods._shelf import shelf_folder

    return shelf_folder()


def clear_prepared() -> int:
    """Remove all prepared slices from the disk; how many bytes they took."""
    from napari_medseg.methods._shelf import clear_shelf

    return clear_shelf()


def choose_device(wanted: str = "auto") -> str:
    """Turn auto, cpu, cuda, cuda:n or mps into a device that is there; TaskError if it is not."""
    from napari_medseg.networks import device

    return device.choose_device(wanted)


def cache_folder() -> Path:
    """Where the user's own models lie: the folder MEDSEG_MODELS, else the user's cache."""
    from platformdirs import user_cache_path

    return Path(os.environ.get("MEDSEG_MODELS") or user_cache_path("napari-medseg") / "models")


def _shipped_folder() -> Path:
    """The models in the wheel, or those beside the package in a source tree."""
    package = Path(__file__).resolve().parents[1]
    return package / "models" if (package / "models").is_dir() else package.parent / "models"
