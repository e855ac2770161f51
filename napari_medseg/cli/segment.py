"""medseg segment: images in, label maps out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_medseg.cli.options import AsJson, Device, PlaneName, Settings, answer, overrides, run
from napari_medseg.core.errors import TaskError
from napari_medseg.core.structure import UNTITLED
from napari_medseg.core.task import Task, task_of

if TYPE_CHECKING:
    from napari_medseg.cli.prompts import Typed
    from napari_medseg.core.request import Example, Segmentation
    from napari_medseg.core.volume import Volume
    from napari_medseg.methods import Method

_Inputs = Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Image files or DICOM folders.")]
_Out = Annotated[Path, typer.Option("-o", "--out", help="A file; a folder for several inputs.")]
_Points = Annotated[list[str], typer.Option("--point", metavar="Z,Y,X[,0|1]", help="A click; 0 is outside.")]
_Boxes = Annotated[list[str], typer.Option("--box", metavar="Z,Y0,X0,Y1,X1", help="A box, half-open.")]
_HOLDS_LABELS = (".nii.gz", ".nii", ".nrrd", ".mha", ".png", ".tif", ".tiff")


def register(app: typer.Typer) -> None:
    """Add this verb."""
    app.command()(segment)


def segment(
    inputs: _Inputs,
    out: _Out,
    method: Annotated[str, typer.Option("--method", help="One of 'medseg methods'.")],
    task: Annotated[str | None, typer.Option("--task", help="One of 'medseg tasks'.")] = None,
    model: Annotated[str, typer.Option("--model", help="One of 'medseg models'.")] = "",
    settings: Settings = [],  # noqa: B006 - typer reads the default
    label: Annotated[str, typer.Option("--label", help="Name of the structure.")] = "",
    points: _Points = [],  # noqa: B006
    boxes: _Boxes = [],  # noqa: B006
    mask: Annotated[Path | None, typer.Option("--mask", help="A first guess to refine.")] = None,
    examples: Annotated[
        Path | None, typer.Option("--examples", metavar="DIR", help="Folder with images/ and masks/.")
    ] = None,
    plane: Annotated[PlaneName | None, typer.Option("--plane", help="By default that of the slices.")] = None,
    slices: Annotated[str | None, typer.Option("--slices", metavar="A:B", help="A up to, not B.")] = None,
    series: Annotated[str | None, typer.Option("--series", help="Which series of a DICOM folder.")] = None,
    as_json: AsJson = False,
    device: Device = "auto",
) -> None:
    """Outline structures on images; a label map for each, placed as the image was.

    Without --slices the slices with prompts are done, or, without prompts, all of them. Methods that learn
    from examples outline what these show, or of that only what --label or --task names.
    """
    from napari_medseg import workflow
    from napari_medseg.cli.prompts import Typed, read_shown

    targets = _targets(inputs, out)
    typed = Typed(tuple(points), tuple(boxes), mask, plane.value if plane else None, slices)
    wanted, shown, told = read_shown(method, examples, _task(task, label), label)
    used = workflow.model_for(method, model, task=wanted)
    workflow.load_ahead(method)
    given = overrides(settings)
    ready = cache(partial(workflow.build, method, model=model, settings=given, device=device, task=wanted))
    results = [
        {**_one(path, target, ready, typed, wanted, label, series, shown), "model": used.name if used else ""}
        for path, target in zip(inputs, targets, strict=True)
    ]
    lines = [*told, *(line for result in results for line in _lines(result))]
    answer({"method": method, "results": results} | ({"notes": told} if examples else {}), lines, as_json)


def _one(
    path: Path,
    target: Path,
    ready: Callable[[], Method],
    typed: Typed,
    task: Task,
    label: str,
    series: str | None,
    shown: tuple[Example, ...],
) -> dict[str, Any]:
    """Segment one image and write its label map."""
    from napari_medseg import workflow
    from napari_medseg.cli.prompts import read_prompts, wanted_slices
    from napari_medseg.core.mask import Mask
    from napari_medseg.core.request import Request

    began = time.perf_counter()
    volume = workflow.open_volume(path, series)
    plane, prompts = read_prompts(typed, volume, label or task.structure_names[0])
    chosen = wanted_slices(typed, volume, plane, prompts)
    request = Request(volume, plane, chosen, task, prompts, shown)
    proposal = run(workflow.segment(ready(), request))
    whole = Mask.empty(volume.geometry, task.structures).paste(proposal.mask, proposal.start)
    written = workflow.save_mask(whole, volume, target)
    record = {"input": path, "output": written, "plane": plane, "slices": [chosen[0], chosen[-1] + 1]}
    seconds, notes = time.perf_counter() - began, workflow.unlike(shown, volume)
    return record | _account(whole, volume, proposal, notes, seconds)


def _account(
    whole: Any, volume: Volume, proposal: Segmentation, notes: Sequence[str], seconds: float
) -> dict[str, Any]:
    """What was found: voxels, millilitres where the spacing is known, expected quality, notes."""
    structures = {}
    for value, name in enumerate(whole.names, start=1):
        ml = round(whole.ml(name), 4) if volume.geometry.spacing_known else None
        voxels = int(whole.of(name).sum())
        quality = [round(float(q), 4) for q in proposal.quality.get(name, ())]
        structures[name] = {"value": value, "voxels": voxels, "ml": ml, "quality": quality}
    told = [*volume.notes, *notes, *proposal.notes]
    return {"structures": structures, "notes": told, "seconds": round(seconds, 3)}


def _lines(result: dict[str, Any]) -> list[str]:
    """The account for a person."""
    found = [
        f"{name} {one['voxels']} voxels" + (f", {one['ml']:.2f} mL" if one["ml"] is not None else "")
        for name, one in result["structures"].items()
    ]
    first, stop = result["slices"]
    slices = f"{result['plane']} slices {first} to {stop - 1}"
    return [
        f"{result['output']}: {'; '.join(found)} ({slices})",
        *(f"    {note}" for note in result["notes"]),
    ]


def _task(slug: str | None, label: str) -> Task:
    """The task asked for, or one of a single structure with the label as its name."""
    from napari_medseg import workflow

    if slug is None:
        return task_of("untitled", (label or UNTITLED,))
    task = workflow.task(slug)
    if label:
        task.structure(label)
    return task


def _targets(inputs: Sequence[Path], out: Path) -> list[Path]:
    """Where each label map goes; never over an input, never two to one place."""
    if len(inputs) > 1 or out.is_dir() or not _suffix(out):
        targets = [out / _label_name(path) for path in inputs]
    else:
        targets = [out]
    resolved = [path.resolve() for path in targets]
    if len(set(resolved)) < len(resolved):
        raise TaskError("Two inputs have the same name, so their masks would overwrite each other in OUT.")
    if set(resolved) & {path.resolve() for path in inputs}:
        raise TaskError("A mask would overwrite its own image; choose another file or folder for OUT.")
    for path in targets:
        path.parent.mkdir(parents=True, exist_ok=True)
    return targets


def _label_name(path: Path) -> str:
    """Keep an image's name; MHD becomes MHA, other formats without labels PNG, DICOM NIfTI."""
    name = path.resolve().name
    if path.is_dir() or name.lower().endswith((".dcm", ".dicom", ".ima")) or "." not in name:
        return name.removesuffix(".dcm") + ".nii.gz"
    stem, kind = name.rsplit(".", 1)
    return name if _suffix(path) else stem + (".mha" if kind.lower() == "mhd" else ".png")


def _suffix(path: Path) -> str:
    """The suffix of a format that holds labels, "" for others."""
    return next((suffix for suffix in _HOLDS_LABELS if path.name.lower().endswith(suffix)), "")
