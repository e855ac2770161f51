"""Outline all structures of a known task without a click: HSP-SAM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.model import Model
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.volume import Volume
from napari_medseg.methods._automatic import Automatic, AutomaticSettings, known_task
from napari_medseg.methods._doubt import read_doubt

if TYPE_CHECKING:
    from torch import Tensor

    from napari_medseg.networks.hsp_sam import HspSam
    from napari_medseg.networks.official import OfficialSam
    from napari_medseg.networks.sam import CompactSam

TITLE = "Known structures"
WAY = "automatic"
NETWORK = "hsp_sam"
HELP = "Outlines what the model was trained for, on every slice, without a click (HSP-SAM)."


@dataclass(frozen=True)
class Settings(AutomaticSettings):
    """What is kept of the network's answer."""


class SelfPrompted:
    """HSP-SAM on the SAM it stands on."""

    def __init__(
        self,
        network: HspSam,
        sam: CompactSam | OfficialSam,
        model: Model,
        settings: Settings,
        device: str,
    ) -> None:
        from napari_medseg.networks.hsp_sam_models import rows_of, tasks_of

        self.network, self.sam, self.model = network, sam, model
        self.tasks = tasks_of(model)
        self.rows = rows_of(self.tasks)
        doubt, present = read_doubt(model.card, model.name), float(model.card.get("present", 0.5))
        self.runs = Automatic((network, sam), model.preparation, device, settings, doubt, present)

    @property
    def device(self) -> str:
        """Where the network works now; the processor, once a graphics card was full."""
        return self.runs.device

    def prepare(self, volume: Volume, plane: Plane, slices: tuple[int, ...]) -> Job[None]:
        """Nothing can be done before the task is known."""
        yield Progress(1.0, "Ready")

    def segment(self, request: Request) -> Job[Segmentation]:
        """Outline a task's structures on every slice asked for.

        Raises
        ------
        TaskError
            If the model was not trained for the task.
        """
        slug = known_task(request, self.tasks, self.model.name)

        def outline(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            answer = self.network(self.sam, images, self.rows[slug].to(images.device))
            return answer.masks, answer.quality.sigmoid(), answer.presence.sigmoid()

        return (yield from self.runs.answer(request, self.tasks[slug], outline))


def build(settings: Settings, model: Model | None, device: str) -> SelfPrompted:
    """Load the network a model names, and the SAM it stands on.

    Raises
    ------
    TaskError
        If there is no model.
    """
    if model is None:
        raise TaskError(
            "This method needs a model, and none is installed; run `medseg models` to see what there is."
        )
    from napari_medseg.networks.hsp_sam_models import load_hsp_sam

    network, sam = load_hsp_sam(model)
    return SelfPrompted(network, sam, model, settings, device)
