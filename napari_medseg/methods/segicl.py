"""From a few annotated examples to masks, without training: SegICL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.model import Model
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.settings import setting
from napari_medseg.core.structure import UNTITLED
from napari_medseg.core.volume import Volume
from napari_medseg.imaging.edit import remove_specks
from napari_medseg.methods._doubt import EXAMPLES, read_doubt
from napari_medseg.methods._follow import Answer
from napari_medseg.methods._gathered import Gathered, absent
from napari_medseg.methods._judged import facts_of, kind_of, read_presence
from napari_medseg.methods._looks import Looks
from napari_medseg.methods._shelf import SHELF_HELP, Shelf, shelf_folder
from napari_medseg.methods._shots import Shot, Shots, View, left_out, showing, useful

if TYPE_CHECKING:
    from torch import Tensor

    from napari_medseg.networks.matching import Memory, Seen
    from napari_medseg.networks.sam import CompactSam
    from napari_medseg.networks.segicl import SegICL

TITLE = "By comparison"
WAY = "examples"
NETWORK = "segicl"
HELP = "Annotate one to five slices as examples, and the rest follows, without training (SegICL)."
_NO_LOGIT = -20.0
_TRIPLES = 3  # of examples whose states are averaged


@dataclass(frozen=True)
class Settings:
    """How many examples count, and how much care is taken."""

    most: int = setting(8, "Most examples a slice", low=1, high=32)
    samples: int = setting(1, "Samples", low=1, high=16, help="1 is fast; the mean of 4 is more careful")
    steps: int = setting(1, "Denoising steps", low=1, high=20)
    use_text: bool = setting(True, "Use the structure's name")
    cut: float = setting(0.5, "Probability cut", low=0.05, high=0.95)
    present: float = setting(
        0.3, "Presence cut", low=0.0, high=1.0, help="where a structure is less likely there, none is drawn"
    )
    smallest: float = setting(
        0.05, "Smallest part", low=0.0, high=1.0, help="as a share of the largest; what is smaller is dropped"
    )
    memory: int = setting(256, "Memory for prepared slices", low=8, high=65536, unit="MB")
    disk: int = setting(1024, "Disk for prepared slices", low=0, high=1_000_000, unit="MB", help=SHELF_HELP)


class InContext:
    """SegICL on the shared backbone; examples are looked at once."""

    def __init__(
        self, network: SegICL, backbone: CompactSam, model: Model, settings: Settings, device: str
    ) -> None:
        self.settings, self.network = settings, network.to(device)
        weights = model.backbone.sha256 if model.backbone else ""
        shelf = Shelf(shelf_folder(), settings.disk)
        self.looks = Looks(backbone, model.preparation, settings.memory, device, weights, shelf)
        self.shots = Shots(self.looks)
        self.presence, self.doubt = (
            read_presence(model.card, model.name),
            read_doubt(model.card, model.name),
        )
        self._chances: dict[str, float] = {}

    @property
    def device(self) -> str:
        """Where the networks work now."""
        if self.looks.device == "cpu":  # a graphics card may have been full
            self.network.to("cpu")
        return self.looks.device

    def prepare(self, volume: Volume, plane: Plane, slices: tuple[int, ...]) -> Job[None]:
        """Encode slices, so that they are answered at once."""
        yield from self.shots.look(volume, plane, slices)

    def describe(self, volume: Volume, plane: Plane, slices: tuple[int, ...]) -> Job[NDArray[np.float32]]:
        """What tells slices apart, (N, F), for choosing which to annotate."""
        return (yield from self.shots.look(volume, plane, slices))

    def segment(self, request: Request) -> Job[Segmentation]:
        """Outline on every slice what the examples show.

        Raises
        ------
        TaskError
            If there is neither an example nor a name to go by.
        """
        named = [name for name in request.wanted if name != UNTITLED] if self.settings.use_text else []
        shots = list[Shot]()
        if request.examples or not named:
            shots = yield from self.shots.gather(request)
        names = [name for name in request.wanted if any(showing(shot, name) for shot in shots)] or named
        gathered, n_all, self._chances = Gathered(request, names), len(names) * len(request.slices), {}
        for index in request.slices:
            view = self.shots.view(request.volume, request.plane, index)
            for name in names:
                chosen = useful(shots, name, view, self.settings.most)
                gathered.add(name, index, self._answer(request, name, view, chosen))
                done = min(1.0, 0.2 + 0.8 * gathered.n / n_all)
                yield Progress(done, f"{name}: slice {index}", gathered.partial())
        yield Progress(1.0, "Done")
        notes = (*_notes(request, names, bool(shots)), *absent(gathered, self._chances))
        return gathered.result((*self.shots.told(), *notes))

    def _answer(self, request: Request, name: str, view: View, shots: Sequence[Shot]) -> Answer:
        """Outline one structure on one slice, unless it is not there."""
        answer, facts = self.outline(request, name, view, shots)
        presence = self.presence.get(kind_of(view, shots))
        if presence is None or not shots:
            return answer
        chance = presence.chance(facts)
        self._chances[name] = max(self._chances.get(name, 0.0), chance)
        if chance < self.settings.present:
            nothing = np.zeros_like(answer.region)
            return Answer(np.minimum(answer.probability, np.float32(chance)), nothing, 1 - chance)
        expected, low, high = self.doubt.expect(EXAMPLES, answer.quality)
        return replace(answer, quality=expected, interval=(low, high))

    def outline(
        self, request: Request, name: str, view: View, shots: Sequence[Shot]
    ) -> tuple[Answer, NDArray[np.float64]]:
        """Outline one structure on one slice as if it were there, with the facts that tell whether it is."""
        probability = self._look(request, name, view, shots)
        region = remove_specks(probability >= self.settings.cut, self.settings.smallest)
        answer = Answer(probability, region, _expected(probability, region))
        return answer, facts_of(view, probability, region, shots, name)

    def _look(self, request: Request, name: str, view: View, shots: Sequence[Shot]) -> NDArray[np.float32]:
        """The probability (rows, columns) of a structure on a slice, by all samples."""
        import torch

        device = self.device
        with torch.inference_mode():
            query = self._seen(view)
            memory = self._memory(name, shots, query)
            members = torch.arange(len(shots), device=device)[None] if shots else torch.full((1, 1), -1)
            hints = self.network.hints(query, memory, members.to(device))
            state = self._state(request, name, view, shots, memory.masks)
            n = self.settings.samples
            seed = torch.Generator().manual_seed(view.index)
            noise = torch.randn(n, 1, *hints.first.shape[-2:], generator=seed).to(device)
            logits = self.network.sample(
                hints.take(torch.zeros(n, dtype=torch.long)),
                state.expand(n, -1, -1),
                noise,
                self.settings.steps,
            )
            level = torch.logit(logits.sigmoid().mean(0), 1e-6)[0].cpu().numpy()
        shape = view.volume.slice(view.plane, view.index).shape[:2]
        back = view.frame.take_back(level, (shape[0], shape[1]), _NO_LOGIT)
        return (1 / (1 + np.exp(-np.clip(back, -30, 30)))).astype(np.float32)

    def _seen(self, view: View) -> Seen:
        """What matching needs of a slice."""
        return self.network.see(view.encoded, view.valid().to(self.device))

    def _memory(self, name: str, shots: Sequence[Shot], query: Seen) -> Memory:
        """What is kept of the examples; of none, what is kept of the slice itself and never used."""
        import torch
        from torch.nn import functional as F

        from napari_medseg.networks.matching import Memory

        if not shots:
            return self.network.remember(query, torch.zeros_like(query.valid))
        for shot in shots:
            if ("memory", name) not in shot.made:
                inside = F.avg_pool2d(shot.canvas(name), 4).to(self.device)
                shot.made["memory", name] = self.network.remember(self._seen(shot.view), inside)
        return Memory.join([shot.made["memory", name] for shot in shots])

    def _state(self, request: Request, name: str, view: View, shots: Sequence[Shot], masks: Tensor) -> Tensor:
        """The state (1, N, C), averaged over triples of the examples, whose masks are (S, 1, Y/4, X/4)."""
        import torch

        from napari_medseg.networks.state_encoder import MOST_SHOTS, read_text

        said = f"{name} in {request.volume.modality}" if self.settings.use_text and name != UNTITLED else ""
        text, query = read_text(said).to(masks.device)[None], view.encoded.embedding.float()
        seen = torch.cat([shot.view.encoded.embedding.float() for shot in shots]) if shots else query
        random, n = np.random.default_rng(0), max(1, min(MOST_SHOTS, len(shots)))
        orders = [random.permutation(len(seen))[:n] for _ in range(_TRIPLES if len(shots) > n else 1)]
        picked = torch.from_numpy(np.stack(orders)).to(masks.device)
        there = torch.full(picked.shape, float(bool(shots)), device=masks.device)
        m = len(orders)
        states: Tensor = self.network.states(
            query.expand(m, -1, -1, -1), seen[picked], masks[picked], there, text.expand(m, -1)
        )
        return states.mean(0, keepdim=True)


def _expected(probability: NDArray[np.float32], region: NDArray[np.bool_]) -> float:
    """The Dice to expect if every pixel were the structure with its probability."""
    total = float(probability.sum()) + float(region.sum())
    return 2 * float(probability[region].sum()) / total if total > 1 else 0.0


def _notes(request: Request, names: Sequence[str], has_examples: bool) -> list[str]:
    """What a person should know of the answer."""
    if not has_examples:
        return ["There is no example yet, so this goes by the name alone; annotate a slice for a better one."]
    return left_out(request, names)


def build(settings: Settings, model: Model | None, device: str) -> InContext:
    """Load the network a model names, and the backbone it works on.

    Raises
    ------
    TaskError
        If there is no model, or its backbone is missing.
    """
    if model is None:
        raise TaskError(
            "SegICL needs a model, and none is installed; run `medseg models` to see what there is."
        )
    if model.backbone is None:
        raise TaskError(
            f"'{model.name}' works on another model's features, and that model is not installed; "
            "install the package again."
        )
    import torch

    from napari_medseg.networks.sam import CompactSam, load_sam
    from napari_medseg.networks.segicl import build_segicl
    from napari_medseg.networks.weights import fill

    with torch.device("meta"):
        network = build_segicl(**model.numbers)
    fill(network, model)
    backbone = load_sam(model.backbone)
    if not isinstance(backbone, CompactSam):
        raise TaskError(f"The backbone of '{model.name}' is not a compact one; install the package again.")
    return InContext(network, backbone, model, settings, device)
