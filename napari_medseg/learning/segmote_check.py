"""How well a SegMoTE does on held-back images: by name, with a box, and which experts it uses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from napari_medseg.core.errors import WeightsError
from napari_medseg.core.model import Model
from napari_medseg.core.progress import Job, Progress, finish
from napari_medseg.core.task import Task
from napari_medseg.imaging.prepare import normalise
from napari_medseg.learning.clicks import box_around
from napari_medseg.learning.data import read_datasets
from napari_medseg.learning.labelled import Labelled, labelled_dataset, may_show
from napari_medseg.learning.prompting import SMALLEST
from napari_medseg.networks.official import OfficialSam
from napari_medseg.networks.sam import CompactSam, load_sam
from napari_medseg.networks.sam_decoder import Encoded
from napari_medseg.networks.sam_prompts import PromptBatch, prompt_maps
from napari_medseg.networks.segmote import Answered, SegMoTE
from napari_medseg.networks.segmote_asking import asked, by_name
from napari_medseg.networks.segmote_models import load_segmote
from napari_medseg.networks.weights import CARD, amend_card

_ARMS = ("name", "box", "box by SAM")
_FOREIGN = 2  # names of other tasks asked for on each image


def check_segmote(
    sources: Sequence[Path], model: Model, *, split: str = "val", most: int = 20, seed: int = 0
) -> Job[dict[str, Any]]:
    """Ask a SegMoTE by name and by box about one split of the seen sets, and its SAM by box.

    Parameters
    ----------
    model : Model
        With its backbone looked up.
    most : int
        Slices of each set.

    Returns
    -------
    dict
        `sets`: Dice (on the canvas) of each set by name, with a box, and by the SAM with the same box, with
        the number of answers; `absent`: how often it said so of names that cannot be there, and how often
        it missed what is; `router`: share of images each expert token and each expert of the last layer
        served, by modality.

    Raises
    ------
    WeightsError
        If the backbone is not there.
    """
    if model.backbone is None:
        raise WeightsError(f"The backbone of '{model.name}' is not installed.")
    check = _Check(load_segmote(model), load_sam(model.backbone), model, seed)
    datasets = [one for one in read_datasets(sources) if one.role == "seen" and one.select(split)]
    for number, dataset in enumerate(datasets):
        yield Progress(number / len(datasets), f"Asking about {dataset.name}")
        slices = finish(labelled_dataset(dataset, split, model.preparation))
        others = [other.task for other in datasets if not may_show(other.task, dataset.task)]
        foreign = [name for other in others for name in other.structure_names]
        for i in check.random.permutation(len(slices))[:most]:
            check.ask(slices[int(i)], dataset.task, foreign)
    yield Progress(1.0, "Done")
    return check.record()


def write_down(model: Model, said: Mapping[str, Any], split: str = "val") -> Model:
    """Write into a model's card what `check_segmote` found."""
    rows = {name: (said["sets"][name], said["n"][name]) for name in said["sets"]}
    lines = [
        "",
        f"## On split {split}",
        f"Dice on a canvas of {model.preparation.long_side} px, a few slices of each set (`check_segmote`).",
        "",
        "| set | by name | with a box | the SAM below with that box |",
        "|---|---|---|---|",
        *(f"| {name} | {_cells(*row)} |" for name, row in rows.items()),
        f"| **mean of the sets** | {_cells(said['mean'], {})} |",
        "",
        f"Absent structures were said to be absent in {_percent(said['absent'])}; structures that were there "
        f"were missed in {_percent(said['missed'])}.",
        "",
        "| modality | images by expert token | share by expert of the last layer |",
        "|---|---|---|",
        *(
            f"| {kind} | {_list(one['tokens'])} | {_list(one['experts'])} |"
            for kind, one in said["router"].items()
        ),
        "",
    ]
    card = model.folder / CARD
    card.write_text(card.read_text(encoding="utf-8").rstrip() + "\n" + "\n".join(lines), encoding="utf-8")
    return amend_card(model, {"validation": dict(said)})


def _cells(dice: Mapping[str, float], n: Mapping[str, int]) -> str:
    """The three arms of one row, with the number of answers where it is known."""
    shown = (f"{dice[a]:.3f}" + (f" ({n[a]})" if a in n else "") if a in dice else "" for a in _ARMS)
    return " | ".join(shown)


def _percent(one: Mapping[str, Any]) -> str:
    said = "none" if one["said"] is None else f"{100 * one['said']:.0f} %"
    return f"{said} of {one['of']} questions"


def _list(values: Sequence[float]) -> str:
    return ", ".join(map(str, values))


class _Check:
    """The networks, and what was measured so far."""

    def __init__(self, network: SegMoTE, sam: CompactSam | OfficialSam, model: Model, seed: int) -> None:
        self.network, self.sam, self.preparation = network, sam, model.preparation
        self.random = np.random.default_rng(seed)
        self.dice: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.absent: list[bool] = []
        self.missed: list[bool] = []
        self.tokens: dict[str, list[int]] = defaultdict(list)
        self.experts: dict[str, list[NDArray[np.float64]]] = defaultdict(list)

    @torch.no_grad()
    def ask(self, one: Labelled, task: Task, foreign: Sequence[str]) -> None:
        """All questions about one slice."""
        seen = self.sam.encode(torch.from_numpy(normalise(one.canvas, self.preparation))[None])
        for name, region, known in zip(task.structure_names, one.regions, one.known, strict=True):
            if known:
                self._by_name(seen, name, region, task)
                self._by_box(seen, name, region, task)
        for name in self.random.permutation(foreign)[:_FOREIGN] if len(foreign) else ():
            answer = by_name(self.network, self.sam, seen, [str(name)])
            self.absent.append(not _is_there(answer))

    def _by_name(self, seen: Encoded, name: str, region: NDArray[np.bool_], task: Task) -> None:
        """One structure by its name."""
        answer = by_name(self.network, self.sam, seen, [name])
        is_there = _is_there(answer)
        (self.missed if region.any() else self.absent).append(not is_there)
        mask = _on_canvas(answer.masks[0], len(region)) if is_there else np.zeros_like(region)
        self.dice[task.slug]["name"].append(_dice(mask, region))
        self.tokens[task.modality].append(int(answer.token[0]))
        if answer.routing:
            used = answer.routing[-1]
            counts = np.bincount(used.chosen[0].numpy(), minlength=used.share.shape[-1])
            self.experts[task.modality].append(counts / counts.sum())

    def _by_box(self, seen: Encoded, name: str, region: NDArray[np.bool_], task: Task) -> None:
        """The largest part of one structure by a box, and the same by the SAM alone."""
        part = _largest(region)
        if part is None:
            return
        side = len(region)
        corners, labels = torch.from_numpy(box_around(part, self.random))[None], torch.tensor([[2, 3]])
        maps = prompt_maps(corners, labels, torch.zeros(1, side // 4, side // 4))
        prompts = PromptBatch(corners, labels, maps)
        named = asked(prompts, [name], prompted=True)
        answers = {
            "box": self.network(self.sam, seen, named).masks[0],
            "box by SAM": self.sam.decode(seen, prompts)[0][0, 0],
        }
        for arm, logits in answers.items():
            self.dice[task.slug][arm].append(_dice(_on_canvas(logits, side), part))

    def record(self) -> dict[str, Any]:
        """Everything as plain values."""
        sets = {
            slug: {arm: round(fmean(values), 4) for arm, values in arms.items()}
            for slug, arms in self.dice.items()
        }
        arms = sorted({arm for one in sets.values() for arm in one})
        router = {
            kind: {
                "tokens": np.bincount(tokens, minlength=len(self.network.tokens)).tolist(),
                "experts": np.round(np.mean(self.experts[kind], 0), 3).tolist() if self.experts[kind] else [],
            }
            for kind, tokens in self.tokens.items()
        }
        return {
            "mean": {arm: round(fmean(one[arm] for one in sets.values() if arm in one), 4) for arm in arms},
            "sets": sets,
            "n": {slug: {arm: len(v) for arm, v in arms.items()} for slug, arms in self.dice.items()},
            "absent": {"said": _share(self.absent), "of": len(self.absent)},
            "missed": {"said": _share(self.missed), "of": len(self.missed)},
            "router": router,
        }


def _on_canvas(logits: Tensor, side: int) -> NDArray[np.bool_]:
    """Logits (Y/4, X/4) as a mask (S, S)."""
    large = F.interpolate(logits[None, None], (side, side), mode="bilinear", align_corners=False)
    return np.asarray(large[0, 0].numpy() > 0)


def _largest(region: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """The largest component, None where it is too small to point at."""
    parts, n = ndimage.label(region)
    sizes = np.bincount(parts.ravel(), minlength=n + 1)[1:]
    if not n or sizes.max() < SMALLEST:
        return None
    return np.asarray(parts == 1 + int(np.argmax(sizes)))


def _dice(pred: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Both empty 1."""
    total = int(pred.sum()) + int(truth.sum())
    return 2 * int((pred & truth).sum()) / total if total else 1.0


def _is_there(answer: Answered) -> bool:
    return bool(answer.presence.sigmoid()[0] >= 0.5)


def _share(said: Sequence[bool]) -> float | None:
    return round(fmean(said), 4) if said else None
