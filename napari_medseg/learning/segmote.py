"""Train SegMoTE: `medseg train SOURCE --recipe segmote`, one network for all tasks, by prompts and by name.

The SAM below is frozen, so that what its encoder sees is kept once and only the decoder's side is learnt.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_medseg.core.errors import TaskError
from napari_medseg.core.model import Model, Preparation
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.settings import setting
from napari_medseg.learning.data import Dataset, read_datasets
from napari_medseg.learning.descent import Descent
from napari_medseg.learning.labelled import labelled_dataset
from napari_medseg.learning.questions import Asker, Questions
from napari_medseg.learning.release import Seen, advance, begin_run, release, save_state
from napari_medseg.learning.release import resume as resume_from
from napari_medseg.learning.segmote_check import check_segmote, write_down
from napari_medseg.learning.segmote_loss import answer_losses, kinds_loss
from napari_medseg.learning.views import Views
from napari_medseg.networks.official import OfficialSam
from napari_medseg.networks.sam import CompactSam, load_sam
from napari_medseg.networks.segmote import SegMoTE
from napari_medseg.networks.segmote_models import preset
from napari_medseg.networks.tiny_vit import TinyViT
from napari_medseg.networks.weights import read_model

_SOFT_UNTIL = 0.2  # of the training, while the softly combined mask is learnt from as well


@dataclass(frozen=True)
class Settings:
    """How long and how hard to train, and which parts of the method."""

    canvas: int = setting(256, "Canvas", low=64, high=1024, unit="px", help="side of the images trained on")
    n_views: int = setting(
        110, "Views of a task", low=8, high=100_000, help="kept for the decoder's training"
    )
    encoding: float = setting(0.25, "Share of the time for encoding", low=0.01, high=0.9)
    n_questions: int = setting(10, "Questions a step", low=1, high=512)
    rate: float = setting(1e-3, "Learning rate", low=1e-7, high=1e-1)
    warm_up: int = setting(60, "Warm-up steps", low=0, high=10000)
    most_steps: int = setting(0, "Most steps", low=0, help="0: as many as the time allows")
    average: float = setting(0.995, "Weight averaging", low=0.0, high=0.99999)
    absent: float = setting(0.12, "Share of pictures without the task", low=0.0, high=0.5)
    prompted: float = setting(0.3, "Share of prompts alone", low=0.0, high=1.0)
    again: float = setting(0.3, "Share of second turns", low=0.0, high=1.0)
    experts: int = setting(4, "Experts", low=1, high=12)
    free: bool = setting(True, "Tokens from the image", help="Progressive Prompt Tokenization")
    plain: bool = setting(False, "One plain query", help="the control with as many parameters")
    check: int = setting(0, "Slices checked a set", low=0, help="of split val; takes further minutes")
    paper: bool = setting(False, "The paper's loss", help="Dice and balance only")


def train_segmote(
    sources: Sequence[Path],
    out: Path,
    *,
    minutes: float,
    backbone: Model,
    resume: bool = False,
    device: str = "cpu",
    seed: int = 0,
    settings: Settings | None = None,
) -> Job[Path]:
    """Train one network for all seen tasks on a frozen SAM, and write it as a model folder.

    Parameters
    ----------
    sources : folders
        Data sets, or folders of them; sets marked unseen and the other splits are never opened.
    minutes : float
        Wall time of this run, encoding included; the learning rate falls to nothing over it.
    backbone : Model
        The SAM it stands on.
    resume : bool
        Go on from the state, or from the released weights where the state is gone.

    Source
    ------
    SegMoTE (2026), its paper and code.

    Raises
    ------
    TaskError
        If there is nothing to train on, or the SAM has another encoder than SAM's own.
    """
    settings = settings or Settings()
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    datasets = [one for one in read_datasets(sources) if one.role == "seen"]
    if not datasets:
        raise TaskError("There is nothing to train on: all data sets there are marked unseen.")
    preparation = replace(backbone.preparation, long_side=settings.canvas)
    start = time.monotonic()
    tasks = []
    for dataset in datasets:
        tasks.append((dataset.task, (yield from labelled_dataset(dataset, "train", preparation))))
    sam = load_sam(backbone).to(device).requires_grad_(False)
    numbers = numbers_for(sam, settings)
    network, average = SegMoTE(**numbers).to(device), SegMoTE(**numbers).to(device).eval()
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=0.01)
    parts = {"network": network, "average": average, "optimiser": optimiser}
    seen: Seen = {"steps": 0, "samples": 0}
    if resume:
        seen = resume_from(out, parts, ("network", "average"))
        random = np.random.default_rng([seed, seen["steps"]])
    else:
        average.load_state_dict(network.state_dict())
    begun = seen["steps"] > 0
    record = {"recipe": "segmote", "seed": seed, "device": device, "backbone": backbone.name}
    seen = begin_run(seen, record | asdict(settings))
    kept = (out, parts, preparation, datasets, numbers, backbone)
    network.train()
    with tempfile.TemporaryDirectory(prefix="segmote-") as folder:
        bounds = {"most": settings.n_views, "early": numbers["early"] > 0}
        views = Views(Path(folder) / "views", tasks, sam, preparation, random, **bounds)
        for n in views.fill(60 * minutes * settings.encoding):
            yield Progress(0.0, f"Encoded {n} pictures")
        asker = Asker(views, random, settings.absent, settings.prompted)
        left = max(0.01, minutes - (time.monotonic() - start) / 60)
        descent = Descent(optimiser, network.parameters(), settings, left)
        for done in descent.steps():
            questions = asker.draw(settings.n_questions, 1.0 if begun else done)
            softly = not begun and done < _SOFT_UNTIL
            n_turns = 1 + int(random.random() < settings.again)
            descent.learn(_turns(network, sam, asker, questions, n_turns, softly, settings, random))
            descent.average(average, network, settings.average)
            seen = advance(seen, settings.n_questions, descent.minutes)
            if descent.is_time_to_save():
                _keep(*kept, seen)
            yield Progress(done, f"Step {seen['steps']}", numbers=dict(descent.running))
    _keep(*kept, seen)
    if settings.check:
        model = replace(read_model(out, "session"), backbone=backbone)
        write_down(model, (yield from check_segmote(sources, model, most=settings.check)))
    return out


def numbers_for(sam: CompactSam | OfficialSam, settings: Settings) -> dict[str, Any]:
    """Numbers of the network that stands on a SAM."""
    chosen = {"n_experts": settings.experts, "plain": settings.plain}
    width = sam.mask_decoder.transformer_dim
    if isinstance(sam, CompactSam):
        sizes = {"width": width, "fine": width // 4, "middle": width // 4, "stem": sam.stem_widths[1:]}
        return preset("compact", early=0, **sizes, **chosen)
    if isinstance(sam.image_encoder, TinyViT):
        raise TaskError("SegMoTE needs SAM's own image encoder; this model has another kind.")
    early = sam.image_encoder.blocks[0].norm1.normalized_shape[0]
    return preset("vit_b", width=width, fine=width // 8, middle=width // 4, early=early, **chosen)


def _turns(
    network: SegMoTE,
    sam: CompactSam | OfficialSam,
    asker: Asker,
    questions: Questions,
    n_turns: int,
    softly: bool,
    settings: Settings,
    random: np.random.Generator,
) -> Iterator[dict[str, Tensor]]:
    """Ask, and ask again with the answer handed back; the losses of each turn."""
    device = str(next(network.parameters()).device)
    encoded = asker.views.encoded(questions.views, device)
    for turn in range(n_turns):
        asked = questions.asked(device)
        if not settings.free:
            asked = replace(asked, is_free=torch.zeros_like(asked.is_free))
        answered = network(sam, encoded, asked)
        losses = answer_losses(answered, questions, settings.paper, softly)
        if not (turn or settings.paper):
            losses["kinds"] = 0.3 * kinds_loss(network, encoded.embedding, *asker.kinds(questions.views))
        yield {name: loss / n_turns for name, loss in losses.items()}
        if turn + 1 < n_turns:
            questions = questions.again(answered.masks, random)


def _keep(
    out: Path,
    parts: dict[str, Any],
    preparation: Preparation,
    datasets: Sequence[Dataset],
    numbers: dict[str, Any],
    backbone: Model,
    seen: Seen,
) -> None:
    """Write the state, and the averaged weights as a model."""
    save_state(out, parts, seen)
    release(
        out,
        parts["average"],
        kind="segmote",
        numbers=numbers,
        preparation=preparation,
        datasets=datasets,
        seen=seen,
        what=f"SegMoTE on the frozen {backbone.name}, trained by `medseg train --recipe segmote`",
        backbone=backbone,
        more={"tasks": {one.name: list(one.task.structure_names) for one in datasets}},
    )
