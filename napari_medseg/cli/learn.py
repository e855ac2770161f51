"""medseg evaluate, train and benchmark: how good masks are, and how models come to be."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_medseg.cli import rounds
from napari_medseg.cli.options import AsJson, Device, Settings, answer, check_device, overrides, run
from napari_medseg.core.errors import ReadError, TaskError

_Sources = Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Data-set folders, or a session.")]
_Minutes = Annotated[float, typer.Option("--minutes", help="How long it may take.")]
_Resume = Annotated[bool, typer.Option("--resume", help="Go on where the last run stopped.")]


class What(StrEnum):
    """A benchmark."""

    speed = "speed"
    quality = "quality"
    few_shot = "few-shot"


class Preset(StrEnum):
    """What the quality or the few-shot benchmark asks for."""

    slices = "slices"
    volumes = "volumes"
    automatic = "automatic"
    effort = "effort"
    universeg = "universeg"


class Split(StrEnum):
    """Which images a benchmark looks at."""

    test = "test"
    val = "val"
    all = "all"


_PRESETS = {
    What.quality: (Preset.slices, Preset.volumes, Preset.automatic),
    What.few_shot: (Preset.slices, Preset.effort, Preset.universeg),
}


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
    recipe: Annotated[str, typer.Option("--recipe", help="pretrain, calibrate, segicl, hsp_sam or segmote.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="The new model's folder.")] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", help="How long it may take.")] = None,
    resume: _Resume = False,
    seed: Annotated[int, typer.Option("--seed", help="Of everything random.")] = 0,
    settings: Settings = [],  # noqa: B006 - typer reads the default
    as_json: AsJson = False,
    device: Device = "auto",
) -> None:
    """Train a model on data-set folders, or a candidate version on what was accepted in a session."""
    from napari_medseg import workflow

    if any(workflow.is_session(source) for source in sources):
        if len(sources) > 1 or out or resume or settings:
            raise TaskError("A session is trained on alone, without -o, --resume and --set.")
        rounds.train_session(sources[0], recipe, minutes, seed, device, as_json)
        return
    if out is None:
        raise TaskError(
            "Where to? Name the new model's folder with -o; the model is called as the folder is."
        )
    words: dict[str, Any] = {"minutes": minutes or 60.0, "resume": resume, "device": device, "seed": seed}
    folder = run(workflow.train(sources, recipe, out, settings=overrides(settings), **words))
    answer({"model": folder}, [f"The model is in {folder}"], as_json)


def benchmark(
    what: Annotated[What, typer.Argument(metavar="speed|quality|few-shot")],
    data: Annotated[Path | None, typer.Option("--data", help="A data set, or a folder of them.")] = None,
    minutes: _Minutes = 30.0,
    preset: Annotated[
        Preset,
        typer.Option(
            "--preset",
            help="Quality: slices, volumes, or automatic, which trains rivals first. Few-shot: slices, the "
            "effort of a reader who labels ten cases, or universeg, which trains that rival.",
        ),
    ] = Preset.slices,
    split: Annotated[Split, typer.Option("--split", help="Which images.")] = Split.test,
    resume: _Resume = False,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="By default runs/ and its name.")] = None,
    model: Annotated[str, typer.Option("--model", help="One of 'medseg models'.")] = "",
    seed: Annotated[int, typer.Option("--seed", help="Of everything random.")] = 0,
    arms: Annotated[str, typer.Option("--arms", help="Few-shot, automatic: only these, with commas.")] = "",
    networks: Annotated[bool, typer.Option("--networks", help="Speed beside others' code.")] = False,
    as_json: AsJson = False,
    device: Device = "auto",
) -> None:
    """Measure how fast and how good the methods are, beside the classical floors."""
    check_device(device)
    offered = _PRESETS.get(what, (Preset.slices,))
    if preset not in offered:
        raise TaskError(f"The benchmark '{what}' has no preset '{preset}'; it has: {', '.join(offered)}.")
    own_folder = preset in (Preset.volumes, Preset.automatic, Preset.effort)
    folder = out or Path("runs") / (preset.value if own_folder else what.value)
    known: dict[str, Any] = {"minutes": minutes, "device": device, "out": folder}
    if what is What.speed:
        found = run(_speed(networks, model, known))
        answer(found.record(), found.lines(), as_json)
        return
    known |= {"split": split.value, "resume": resume, "model": model, "seed": seed}
    if preset is Preset.universeg:
        from napari_medseg.learning.universeg import train_universeg

        words = {name: known[name] for name in ("minutes", "resume", "seed")}
        file = run(train_universeg([_data(data)], folder, **words))
        answer({"weights": file}, [f"The rival's weights are in {file}"], as_json)
        return
    if what is What.few_shot or preset is Preset.automatic:
        known["arms"] = [name.strip() for name in arms.split(",") if name.strip()]
    table: Any = run(_measure(what, preset)(_data(data), **known))
    answer(table.record(), table.lines(), as_json)


def _speed(networks: bool, model: str, known: dict[str, Any]) -> Any:
    """The job that times the methods, or the networks beside others' code."""
    if networks:
        from napari_medseg.benchmarks.networks import run as race

        return race(**known)
    from napari_medseg.benchmarks import speed

    return speed.run(**known, model=model)


def _measure(what: What, preset: Preset) -> Any:
    """The function that measures quality."""
    if what is What.few_shot:
        from napari_medseg.benchmarks import effort, few_shot

        return effort.run if preset is Preset.effort else few_shot.run
    from napari_medseg.benchmarks import automatic, quality, volumes

    ways = {Preset.volumes: volumes.run, Preset.automatic: automatic.run}
    return ways.get(preset, quality.run)


def _data(folder: Path | None) -> Path:
    """The data sets to measure on: those named, else those of MEDSEG_DATA."""
    found = folder or Path(os.environ.get("MEDSEG_DATA") or "")
    if found == Path():
        raise TaskError("Which data? Name a data set, or a folder of them, with --data.")
    if not found.is_dir():
        raise ReadError(f"There is no folder '{found}'.")
    return found
