"""What a training run leaves behind: a state to go on from, and a model with its card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from napari_medseg.core.errors import TaskError
from napari_medseg.core.model import Model, Preparation
from napari_medseg.core.task import Task
from napari_medseg.learning.data import Dataset
from napari_medseg.networks.weights import find_models, load_state, save_model

Seen = dict[str, Any]  # steps, samples, and the runs so far, each with its settings


def state_file(out: Path) -> Path:
    """Where the state for resuming lies: beside the model's folder, outside version control."""
    return out.parent / f".{out.name}.state"


def save_state(out: Path, parts: dict[str, Any], seen: Seen) -> None:
    """Keep the state of every part (networks, optimiser); written aside and renamed."""
    file = state_file(out)
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(file.name + ".new")
    torch.save({name: part.state_dict() for name, part in parts.items()} | {"seen": seen}, fresh)
    fresh.replace(file)


def resume(out: Path, parts: dict[str, Any], networks: Sequence[str]) -> Seen:
    """Go on from the state, or fill the networks named from the released half-precision weights.

    Raises
    ------
    TaskError
        If there is neither.
    """
    file = state_file(out)
    if file.is_file():
        state = torch.load(file, weights_only=True, map_location="cpu")
        for name, part in parts.items():
            if name in state:
                part.load_state_dict(state[name])
        return dict(state["seen"])
    released = [model for model in find_models(out.parent, "session") if model.name == out.name]
    if not released:
        raise TaskError(f"There is nothing to resume: neither {file.name} nor a model in {out}.")
    for name in networks:
        parts[name].load_state_dict(load_state(released[0]))  # in place: the optimiser holds these tensors
    return dict(released[0].card["seen"])


def begin_run(seen: Seen, record: dict[str, Any]) -> Seen:
    """Note a new run with its settings, from the step it begins at."""
    run = {"date": datetime.now(UTC).date().isoformat(), "from_step": seen["steps"], **record}
    return {**seen, "runs": [*seen.get("runs", []), run]}


def advance(seen: Seen, samples: int, minutes: float) -> Seen:
    """Count one more step and its samples; `minutes` are those of the run so far, not those it was given."""
    steps = seen["steps"] + 1
    runs = [*seen["runs"][:-1], {**seen["runs"][-1], "to_step": steps, "minutes": round(minutes, 1)}]
    return {**seen, "steps": steps, "samples": seen["samples"] + samples, "runs": runs}


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, keep: float) -> None:
    """Move averaged weights a little towards the current ones."""
    for slow, fast in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        slow.lerp_(fast, 1 - keep) if slow.is_floating_point() else slow.copy_(fast)


def release(
    out: Path,
    network: nn.Module,
    *,
    kind: str,
    numbers: dict[str, Any],
    preparation: Preparation,
    datasets: Sequence[Dataset],
    seen: Seen,
    what: str,
    backbone: Model | None = None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write a model with a card that names its sets, their terms and every run, and what `more` says."""
    sets = {one.name: len(one.select("train")) for one in datasets}
    terms = {one.name: one.terms for one in datasets}
    card = {"sets": sets, "terms": terms, "seen": seen, "recipe": seen["runs"][-1]["recipe"]}
    card |= {"about": {one.name: _about(one.task) for one in datasets}} | dict(more or {})
    lines = [
        f"# {out.name}",
        "",
        f"{what}: {seen['samples']} targets in {seen['steps']} steps.",
        "",
        "**Research use only.** The weights inherit the terms of the sets below, some non-commercial.",
        "Only their train split was used; sets marked unseen trained nothing.",
        "",
        "## Runs",
        *(f"- {_words(run)}" for run in seen["runs"]),
        "",
        "## Training sets",
        *(f"- {name}: {n} training images. Terms: {terms[name]}" for name, n in sets.items()),
        "",
    ]
    save_model(
        out,
        network,
        kind=kind,
        numbers=numbers,
        preparation=preparation,
        card=card,
        card_text="\n".join(lines),
        backbone=backbone,
    )


def _about(task: Task) -> dict[str, Any]:
    """What a task says of its images, and its rules, for a card."""
    rules = [[rule.kind, rule.first, rule.second] for rule in task.rules]
    words = {"modality": task.modality, "anatomy": task.anatomy, "objective": task.objective}
    return words | {"rules": rules}


def _words(run: dict[str, Any]) -> str:
    """One run in words."""
    rest = {
        name: value for name, value in run.items() if name not in ("date", "from_step", "to_step", "note")
    }
    note = f"{run['note']} " if "note" in run else ""
    settings = json.dumps(rest, sort_keys=True)
    return f"{run['date']}, steps {run['from_step']} to {run.get('to_step', '?')}. {note}`{settings}`"
