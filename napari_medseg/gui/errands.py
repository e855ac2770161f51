"""Errands for the panel's threads: what is looked up or written while the window lives on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_medseg import workflow
from napari_medseg.core.mask import Mask
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.volume import Volume

if TYPE_CHECKING:
    from napari_medseg.core.model import Model
    from napari_medseg.core.task import Task
    from napari_medseg.session.store import Session


def models_and_tasks(method: str, session: Session | None) -> Job[tuple[str, list[Model], list[Task]]]:
    """List the models of a method, the one in use first, and the known tasks; this may load torch."""
    yield Progress(0.0, "Looking for models")
    network = workflow.menu()[method].network
    models = [model for model in workflow.models(session) if model.network == network]
    first = workflow.model_for(method, session=session)
    models.sort(key=lambda model: (first is None or model.name != first.name, model.name))
    return method, models, workflow.tasks()


def write(mask: Mask, volume: Volume, path: Path) -> Job[Path]:
    """Write the accepted mask to a file."""
    yield Progress(0.2, "Writing the mask")
    return workflow.save_mask(mask.copy(), volume, path)
