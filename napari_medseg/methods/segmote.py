"""Known structures by name, and any structure by prompts, through the same weights: SegMoTE."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Region
from napari_medseg.core.model import Model
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.prompts import Prompt
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.settings import setting
from napari_medseg.core.volume import Volume
from napari_medseg.methods._automatic import Automatic, AutomaticSettings, known_task
from napari_medseg.methods._doubt import read_doubt
from napari_medseg.methods._follow import Answer
from napari_medseg.methods._shelf import SHELF_HELP
from napari_medseg.methods.sam import Sam
from napari_medseg.methods.sam import Settings as SamSettings

if TYPE_CHECKING:
    from torch import Tensor

    from napari_medseg.networks.official import OfficialSam
    from napari_medseg.networks.sam import CompactSam
    from napari_medseg.networks.segmote import SegMoTE
    from napari_medseg.networks.segmote_asking import Named

TITLE = "Structures by name"
WAY = "automatic"
NETWORK = "segmote"
HELP = "Outlines known structures by their names; with clicks or boxes, what you point at (SegMoTE)."


@dataclass(frozen=True)
class Settings(AutomaticSettings):
    """What is kept of the network's answer, and how prompts are looked at."""

    passes: int = setting(2, "Passes", low=1, high=8, help="each is shown the mask of the one before")
    free: bool = setting(
        True, "Prompts from the image", help="tokens the model draws itself, without a click"
    )
    zoom: bool = setting(True, "Look closer at small structures", help="with prompts")
    keep: bool = setting(True, "Keep only the parts pointed at")
    stop_below: float = setting(
        0.35, "Stop following below quality", low=0.0, high=1.0, help="with prompts, in a range or volume"
    )
    memory: int = setting(256, "Memory for prepared slices", low=8, high=65536, unit="MB")
    disk: int = setting(1024, "Disk for prepared slices", low=0, high=1_000_000, unit="MB", help=SHELF_HELP)


class Prompted(Sam):
    """Clicks and boxes with the structure's name, where the model knows it."""

    def __init__(self, named: Named, model: Model, settings: Settings, device: str) -> None:
        shared = ("zoom", "keep", "cut", "stop_below", "memory", "disk")
        chosen = SamSettings(**{name: getattr(settings, name) for name in shared})
        # What is prepared depends on the encoder alone, which is the backbone's.
        super().__init__(named, replace(model, sha256=model.backbone_sha256), chosen, device)  # type: ignore[arg-type]
        self.named = named

    def _answer(
        self, request: Request, name: str, index: int, prompts: tuple[Prompt, ...], guess: Region | None
    ) -> Answer:
        """Outline one structure on one slice."""
        self.named.name = name
        return super()._answer(request, name, index, prompts, guess)


class MixtureOfTokens:
    """SegMoTE on the SAM it stands on."""

    def __init__(
        self,
        network: SegMoTE,
        sam: CompactSam | OfficialSam,
        model: Model,
        settings: Settings,
        device: str,
    ) -> None:
        from napari_medseg.networks.hsp_sam_models import tasks_of
        from napari_medseg.networks.segmote_asking import Named

        self.network, self.sam, self.model, self.settings = network, sam, model, settings
        self.tasks = tasks_of(model)
        doubt = read_doubt(model.card, model.name)
        self.runs = Automatic((network, sam), model.preparation, device, settings, doubt)
        known = {name for names in self.tasks.values() for name in names}
        self.prompted = Prompted(Named(network, sam, known), model, settings, device)

    @property
    def device(self) -> str:
        """Where the network works now; the processor, once a graphics card was full."""
        return "cpu" if "cpu" in (self.prompted.device, self.runs.device) else self.runs.device

    def prepare(self, volume: Volume, plane: Plane, slices: tuple[int, ...]) -> Job[None]:
        """Encode slices, so that a click on them is answered at once."""
        yield from self.prompted.prepare(volume, plane, slices)

    def segment(self, request: Request) -> Job[Segmentation]:
        """Outline what is pointed at, or without prompts a task's structures on every slice asked for.

        Raises
        ------
        TaskError
            If nothing is pointed at and the model was not trained for the task.
        """
        if request.prompts:
            return (yield from self.prompted.segment(request))
        slug = known_task(request, self.tasks, self.model.name)
        names = self.tasks[slug]

        def outline(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            return self._by_names(images, names)

        yield Progress(0.0, f"Looking for {', '.join(names)}")
        return (yield from self.runs.answer(request, names, outline))

    def _by_names(self, images: Tensor, names: tuple[str, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (B, K, S, S), expected overlap and presence (B, K) of names in images (B, 3, S, S)."""
        import torch
        from torch.nn import functional as F

        from napari_medseg.networks.segmote_asking import by_name

        seen, chosen = self.sam.encode(images), self.settings
        answers = [
            by_name(self.network, self.sam, seen, [name] * len(images), chosen.passes, chosen.free)
            for name in names
        ]
        masks = torch.stack([answer.masks for answer in answers], 1)
        masks = F.interpolate(masks, images.shape[-2:], mode="bilinear", align_corners=False)
        quality = torch.stack([answer.quality for answer in answers], 1)
        return masks, quality, torch.stack([answer.presence.sigmoid() for answer in answers], 1)


def build(settings: Settings, model: Model | None, device: str) -> MixtureOfTokens:
    """Load the network a model names, and the SAM it stands on.

    Raises
    ------
    TaskError
        If there is no model, or the SAM it stands on is missing.
    """
    if model is None:
        raise TaskError(
            "SegMoTE needs a model, and none is installed; run `medseg models` to see what there is."
        )
    if model.backbone is None:
        raise TaskError(
            f"'{model.name}' stands on another model, and that model is not installed; "
            "install the package again."
        )
    from napari_medseg.networks.sam import load_sam
    from napari_medseg.networks.segmote_models import load_segmote

    return MixtureOfTokens(load_segmote(model), load_sam(model.backbone), model, settings, device)
