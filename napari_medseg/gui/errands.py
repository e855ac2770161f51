"""Errands for the panel's threads: what is looked up or written while the window lives on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from napari_medseg import workflow
from napari_medseg.core.mask import Mask
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.volume import Volume
from napari_medseg.gui.example_pictures import Colour, example_picture
from napari_medseg.gui.example_pieces import Other
from napari_medseg.gui.learnt import task_for

if TYPE_CHECKING:
    from napari_medseg.core.model import Model
    from napari_medseg.core.task import Task
    from napari_medseg.session.store import Session


def models_and_tasks(
    method: str, session: Session | None, task: Task | None
) -> Job[tuple[str, list[Model], list[Task]]]:
    """List a method's models for a task, the one in use first, and the known tasks; this may load torch."""
    yield Progress(0.0, "Looking for models")
    network = workflow.menu()[method].network
    models = [model for model in workflow.models(session) if model.network == network]
    if task is not None:
        models = [model for model in models if set(model.structures) <= set(task.structure_names)]
        task = task_for(method, "", session, task)
    first = workflow.model_for(method, session=session, task=task)
    models.sort(key=lambda model: (first is None or model.name != first.name, model.name))
    return method, models, workflow.tasks()


def write(mask: Mask, volume: Volume, path: Path) -> Job[Path]:
    """Write the accepted mask to a file."""
    yield Progress(0.2, "Writing the mask")
    return workflow.save_mask(mask.copy(), volume, path)


def examples_drawn(
    reading: Job[workflow.Examples], colours: Mapping[str, Colour]
) -> Job[tuple[list[Other], tuple[str, ...]]]:
    """Read examples and draw a picture of each; returns them with what to say."""
    read = yield from reading
    found = []
    for n, example in enumerate(read.examples):
        yield Progress(n / len(read.examples), "Drawing the examples")
        case = read.cases[n] if read.cases else ""
        other = Other(example, example.volume.name, case, example_picture(example, colours))
        assert other.key  # worked out here, as it looks at pixels
        found.append(other)
    return found, read.notes


def n_accepted_elsewhere(session: Session, case: str) -> Job[int]:
    """How many slices are accepted in the other cases of a session."""
    yield Progress(0.0, "Looking through the session")
    return sum(record.n_reviewed for record in workflow.other_cases(session, case))
