"""medseg evaluate, train and benchmark: how good masks are, and how models come to be."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_medseg.cli.options import AsJson, Device, Settings, answer, check_device, overrides, run
from napari_medseg.core.errors import ReadError, TaskError

_Sources = Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Data-set folders.")]
_Minutes = Annotated[float, typer.Option("--minutes", help="How long it may take.")]
_Resume = Annotated[bool, typer.Option("--resume", help="Go on where the last run stopped.")]


class What(StrEnum):
    """A benchmark."""

    speed = "speed"
    quality = "quality"


class Preset(StrEnum):
    """What the quality benchmark asks for."""

    slices = "slices"
    volumes = "volumes"


class Split(StrEnum):
    """Which images a benchmark looks at."""

    test = "test"
    all = "all"


def register(app: typer.Typer) -> None:
    """Add these verbs."""
    app.command()(evaluate)
    app.command()(train)
    app.command()(benchmark)


def evaluate(pred: Path, truth: Path, as_json: AsJson = False, device: Device = "auto") -> None:
    """Score masks against the truth: two files, or two folders whose files are matched by name."""
    from napari_medseg import workflow

    check_device(device)
    table = run(workflow.evaluate(pred, truth))
    answer(table.record(), table.lines(), as_json)


def train(
    sources: _Sources,
    recipe: Annotated[str, typer.Option("--recipe", help="pretrain or calibrate.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The new model's folder, named as the model.")],
    minutes: _Minutes = 60.0,
    resume: _Resume = False,
    seed: Annotated[int, typer.Option("--seed", help="Of everything random.")] = 0,
    settings: Settings = [],  # noqa: B006 - typer reads the default
    as_json: AsJson = False,
    device: Device = "auto",
) -> None:
    """Train a model on data-set folders."""
    from napari_medseg import workflow

    words: dict[str, Any] = {"minutes": minutes, "resume": resume, "device": device, "seed": seed}
    folder = run(workflow.train(sources, recipe, out, settings=overrides(settings), **words))
    answer({"model": folder}, [f"The model is in {folder}"], as_json)


def benchmark(
    what: Annotated[What, typer.Argument(metavar="speed|quality")],
    data: Annotated[Path | None, typer.Option("--data", help="A data set, or a folder of them.")] = None,
    minutes: _Minutes = 30.0,
    preset: Annotated[
        Preset, typer.Option("--preset", help="Quality: one slice, or volumes.")
    ] = Preset.slices,
    split: Annotated[Split, typer.Option("--split", help="Which images.")] = Split.test,
    resume: _Resume = False,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="By default runs/ and its name.")] = None,
    model: Annotated[str, typer.Option("--model", help="One of 'medseg models'.")] = "",
    seed: Annotated[int, typer.Option("--seed", help="Of everything random.")] = 0,
    networks: Annotated[bool, typer.Option("--networks", help="Speed beside others' code.")] = False,
    as_json: AsJson = False,
    device: Device = "auto",
) -> None:
    """Measure how fast and how good the methods are, beside the classical floors."""
    check_device(device)
    in_volumes = what is What.quality and preset is Preset.volumes
    folder = out or Path("runs") / (preset.value if in_volumes else what.value)
    if what is What.speed and networks:
        from napari_medseg.benchmarks.networks import run as race

        found = run(race(minutes=minutes, device=device, out=folder))
        answer(found.record(), found.lines(), as_json)
        return
    if what is What.speed:
        from napari_medseg.benchmarks import speed

        timings = run(speed.run(minutes=minutes, device=device, out=folder, model=model))
        answer(timings.record(), timings.lines(), as_json)
        return
    from napari_medseg.benchmarks import quality, volumes

    words: dict[str, Any] = {
        "minutes": minutes,
        "split": split.value,
        "device": device,
        "model": model,
        "seed": seed,
    }
    measure = volumes.run if in_volumes else quality.run
    table: Any = run(measure(_data(data), out=folder, resume=resume, **words))
    answer(table.record(), table.lines(), as_json)


def _data(folder: Path | None) -> Path:
    """The data sets to measure on: those named, else those of MEDSEG_DATA."""
    found = folder or Path(os.environ.get("MEDSEG_DATA") or "")
    if found == Path():
        raise TaskError("Which data? Name a data set, or a folder of them, with --data.")
    if not found.is_dir():
        raise ReadError(f"There is no folder '{found}'.")
    return found
