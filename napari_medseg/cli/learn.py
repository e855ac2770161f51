"""medseg evaluate, train and benchmark: how good masks are, and how models come to be."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from napari_medseg.cli.options import AsJson, Device, answer, check_device, run

_Sources = Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Data-set folders.")]
_Minutes = Annotated[float, typer.Option("--minutes", help="How long it may take.")]
_Resume = Annotated[bool, typer.Option("--resume", help="Go on where the last run stopped.")]


class What(StrEnum):
    """A benchmark."""

    speed = "speed"
    quality = "quality"


class Split(StrEnum):
    """Which images a benchmark looks at."""

    test = "test"
    all = "all"


def register(app: typer.Typer) -> None:
    """Add these verbs."""
    app.command()(evaluate)
    app.command()(train)


def evaluate(pred: Path, truth: Path, as_json: AsJson = False, device: Device = "auto") -> None:
    """Score masks against the truth: two files, or two folders whose files are matched by name."""
    from napari_medseg import workflow

    check_device(device)
    table = run(workflow.evaluate(pred, truth))
    answer(table.record(), table.lines(), as_json)


def train(
    sources: _Sources,
    recipe: Annotated[str, typer.Option("--recipe", help="pretrain.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The new model's folder, named as the model.")],
    minutes: _Minutes = 60.0,
    resume: _Resume = False,
    seed: Annotated[int, typer.Option("--seed", help="Of everything random.")] = 0,
    as_json: AsJson = False,
    device: Device = "auto",
) -> None:
    """Train a model on data-set folders."""
    from napari_medseg import workflow

    folder = run(
        workflow.train(sources, recipe, out, minutes=minutes, resume=resume, device=device, seed=seed)
    )
    answer({"model": folder}, [f"The model is in {folder}"], as_json)
