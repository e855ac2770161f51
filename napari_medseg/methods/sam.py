"""Point at a structure and get its outline: clicks, boxes, scribbles, a lasso or a rough mask."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.likeness import FOREIGN
from napari_medseg.core.mask import Region
from napari_medseg.core.model import Model
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.prompts import Box, Lasso, MaskPrompt, Prompt
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.settings import setting
from napari_medseg.core.volume import Volume
from napari_medseg.imaging.prepare import Frame
from napari_medseg.methods._doubt import Doubt, kind_of, read_doubt
from napari_medseg.methods._follow import Answer, Track, is_known
from napari_medseg.methods._gathered import Gathered
from napari_medseg.methods._looks import Looks
from napari_medseg.methods._marks import Pointed, keep_prompted, pointed, span_around
from napari_medseg.methods._shelf import SHELF_HELP, Shelf, shelf_folder

if TYPE_CHECKING:
    from napari_medseg.networks.official import OfficialSam
    from napari_medseg.networks.sam import CompactSam

TITLE = "Click, box or scribble"
WAY = "prompt"
NETWORK = "sam"
HELP = "Click, draw a box, scribble or lasso; the Segment Anything Model (SAM) outlines it."
_NO_LOGIT = -20.0  # outside the frame: surely not the structure
_MOST_ZOOM = 0.5  # a structure smaller than this part of the slice is looked at more closely
_MOST_SECOND = 0.3  # the same for a second look, after clicks


@dataclass(frozen=True)
class Settings:
    """How the model looks and what is kept of its answer."""

    zoom: bool = setting(
        True, "Look closer at small structures", help="a second look around the first answer"
    )
    keep: bool = setting(True, "Keep only the parts pointed at")
    canvas: int = setting(0, "Picture size", low=0, high=2048, unit="px", help="0 as the model was made for")
    cut: float = setting(0.5, "Probability cut", low=0.05, high=0.95)
    stop_below: float = setting(
        0.35, "Stop following below quality", low=0.0, high=1.0, help="in a range or volume"
    )
    memory: int = setting(256, "Memory for prepared slices", low=8, high=65536, unit="MB")
    disk: int = setting(1024, "Disk for prepared slices", low=0, high=1_000_000, unit="MB", help=SHELF_HELP)


class Sam:
    """A promptable model with its prepared slices; one volume at a time."""

    def __init__(
        self, network: CompactSam | OfficialSam, model: Model, settings: Settings, device: str
    ) -> None:
        self.settings = settings
        shelf = Shelf(shelf_folder(), settings.disk)
        long_side = -(-settings.canvas // 16) * 16 or model.preparation.long_side
        preparation = replace(model.preparation, long_side=long_side)
        self.looks = Looks(network, preparation, settings.memory, device, model.sha256, shelf)
        # What the card knows of errors and images holds for the size the model was calibrated at.
        is_own_size = long_side == model.preparation.long_side
        self.doubt = read_doubt(model.card, model.name) if is_own_size else Doubt()
        self._foreign: tuple[Volume, Plane, bool] | None = None

    @property
    def device(self) -> str:
        """Where the network works now; the processor, once a graphics card was full."""
        return self.looks.device

    def prepare(self, volume: Volume, plane: Plane, slices: tuple[int, ...]) -> Job[None]:
        """Encode whole slices, so that a click on them is answered at once."""
        yield Progress(0.0, f"Looking at {len(slices)} slices")
        for done in self.looks.ahead(volume, plane, slices):
            yield Progress(done / len(slices), f"Looked at slice {slices[done - 1]}")
        yield Progress(1.0, "Ready")

    def segment(self, request: Request) -> Job[Segmentation]:
        """Answer the prompts on their slices, then follow each structure to the other slices asked for.

        Raises
        ------
        TaskError
            If nothing was pointed at on the slices asked for.
        """
        names = [name for name in request.wanted if is_known(request, name)]
        if not names:
            raise TaskError("Nothing is pointed at on these slices; click, draw a box or scribble first.")
        gathered, notes = Gathered(request, names), list[str]()
        n_all = len(names) * len(request.slices)
        for name in names:
            track = Track(request, name, partial(self._answer, request, name), self.settings.stop_below)
            for index, answer in track.follow():
                gathered.add(name, index, answer)
                yield Progress(min(1.0, gathered.n / n_all), f"{name}: slice {index}", gathered.partial())
            notes += track.notes
        notes += [FOREIGN] if self._is_foreign(request) else []
        yield Progress(1.0, "Done")
        return gathered.result((*self.looks.told(), *notes))

    def strangeness(self, volume: Volume, plane: Plane, index: int) -> float:
        """How unlike the images it learnt from a slice is to the model; above 1 it counts as foreign."""
        if self.doubt.home is None:
            return 0.0
        frame = self.looks.frame(volume, plane)
        return self.doubt.strangeness(self.looks.at(volume, plane, index, frame), frame)

    def _is_foreign(self, request: Request) -> bool:
        """Whether the image is unlike those the model learnt from, by one slice of it."""
        volume, plane = request.volume, request.plane
        if self._foreign is None or self._foreign[:2] != (volume, plane):
            pointed_at = (i for i in request.slices if any(request.prompts_on(n, i) for n in request.wanted))
            index = next(pointed_at, request.slices[len(request.slices) // 2])
            self._foreign = volume, plane, self.strangeness(volume, plane, index) > 1.0
        return self._foreign[2]

    def _answer(
        self, request: Request, name: str, index: int, prompts: tuple[Prompt, ...], guess: Region | None
    ) -> Answer:
        """Outline one structure on one slice from its prompts, or from a guess, such as the slice before."""
        shape = request.volume.slice(request.plane, index).shape[:2]
        previous = guess
        if previous is None and request.previous is not None and name in request.previous.names:
            old = request.previous.on_slice(name, request.plane, index)
            previous = old if old.any() else None
        what = pointed(prompts, request.axis, (shape[0], shape[1]), previous)
        frame = whole = self.looks.frame(request.volume, request.plane)
        # Clicks do not tell how far a structure reaches, and an answer to be corrected may be far too small.
        says_where = guess is not None or any(isinstance(p, (Box, MaskPrompt, Lasso)) for p in prompts)
        if self.settings.zoom and says_where:
            frame = self._closer(request, what, _MOST_ZOOM) or whole
        answer = self._decode(request, index, frame, what)
        if self.settings.zoom and not says_where and answer.region.any():
            seen = replace(what, previous=answer.region)
            if closer := self._closer(request, seen, _MOST_SECOND):
                again = self._decode(request, index, closer, seen)
                if again.region.any():
                    others = ((again.region, again.quality), *answer.others[1:]) if answer.others else ()
                    answer = replace(again, others=others)
        return self._calibrated(answer, kind_of(what))

    def _closer(self, request: Request, what: Pointed, most: float) -> Frame | None:
        """The frame around a small structure, None where the whole slice should be looked at."""
        span = span_around(what, what.shape, most)
        return None if span is None else self.looks.frame(request.volume, request.plane, span)

    def _calibrated(self, answer: Answer, kind: str) -> Answer:
        """What the model's word on its answers is worth."""
        if not self.doubt.calibrations:
            return answer
        expected, low, high = self.doubt.expect(kind, answer.quality)
        others = tuple((region, self.doubt.expect(kind, said)[0]) for region, said in answer.others)
        return replace(answer, quality=expected, interval=(low, high), others=others)

    def _decode(self, request: Request, index: int, frame: Frame, what: Pointed) -> Answer:
        """Ask the network about one frame and bring its answer back to the slice."""
        import torch

        from napari_medseg.networks.sam_prompts import PromptBatch, prompt_maps

        encoded = self.looks.at(request.volume, request.plane, index, frame)
        points, labels, previous = (torch.from_numpy(part)[None] for part in what.on_canvas(frame))
        batch = PromptBatch(points, labels, prompt_maps(points, labels, previous)).to(self.looks.device)
        with torch.inference_mode():
            logits, expected = self.looks.network.decode(encoded, batch)
        overlaps = expected[0].float().cpu().numpy()
        maps = logits[0].float().cpu().numpy()
        if not what.is_one_click:
            return self._read(frame.take_back(maps[0], what.shape, _NO_LOGIT), what, float(overlaps[0]))
        # As in SAM, readings answer an unclear prompt; the single answer hedges between them and stays out.
        found = [
            self._read(frame.take_back(level, what.shape, _NO_LOGIT), what, float(overlap))
            for level, overlap in zip(maps[1:], overlaps[1:], strict=True)
        ]
        found.sort(key=lambda answer: -answer.quality)
        others = tuple((answer.region, answer.quality) for answer in found)
        return replace(found[0], others=others)

    def _read(self, level: NDArray[np.float32], what: Pointed, overlap: float) -> Answer:
        """Cut a map of logits (rows, columns) and turn the expected overlap into the expected Dice."""
        probability = (1.0 / (1.0 + np.exp(-np.clip(level, -30, 30)))).astype(np.float32)
        region = what.without_cut_away(probability >= self.settings.cut)
        region = keep_prompted(region, what) if self.settings.keep else region
        return Answer(probability, region, 2 * overlap / (1 + overlap))


def build(settings: Settings, model: Model | None, device: str) -> Sam:
    """Load the network a model names.

    Raises
    ------
    TaskError
        If there is no model.
    """
    if model is None:
        raise TaskError("SAM needs a model, and none is installed; run `medseg models` to see what there is.")
    from napari_medseg.networks.sam import load_sam

    return Sam(load_sam(model), model, settings, device)
