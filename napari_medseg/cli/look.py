"""medseg demo, info, methods, tasks and models: what there is."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_medseg import __version__
from napari_medseg.cli.options import AsJson, Device, answer, check_device, run
from napari_medseg.core.errors import WeightsError

if TYPE_CHECKING:
    from napari_medseg.core.model import Model
    from napari_medseg.core.task import Task

models_app = typer.Typer(help="List, import, download or verify models.", rich_markup_mode=None)
_Folder = Annotated[Path, typer.Option("--out", help="Folder for the pictures and masks.")]
_Like = Annotated[
    str, typer.Option("--like", metavar="NAME", help="Prepare images as this model of the catalogue does.")
]
_Clear = Annotated[bool, typer.Option("--clear-cache", help="Remove all prepared slices from the disk.")]
_Data = Annotated[Path | None, typer.Option("--data", help="A folder of data sets whose tasks to list too.")]


def register(app: typer.Typer) -> None:
    """Add these verbs."""
    app.command()(demo)
    app.command()(info)
    app.command()(methods)
    app.command()(tasks)
    models_app.callback(invoke_without_command=True)(models)
    models_app.command("import")(import_)
    models_app.command("download")(download)
    models_app.command("verify")(verify)
    app.add_typer(models_app, name="models")


def demo(out: _Folder = Path("demo"), as_json: AsJson = False, device: Device = "auto") -> None:
    """Do the main job from end to end on the embedded model, with pictures to look at."""
    from napari_medseg import workflow

    written = run(workflow.demo(out, device))
    answer({"files": written}, [str(path) for path in written], as_json)


def info(clear_cache: _Clear = False, as_json: AsJson = False, device: Device = "auto") -> None:
    """Say which version this is, what it stands on, where it keeps things and which device it would use."""
    from importlib.metadata import version

    from napari_medseg import workflow

    packages = ("torch", "monai", "SimpleITK", "nibabel", "pydicom", "numpy")
    record: dict[str, Any] = {
        "version": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "device": workflow.choose_device(device),
        "packages": {name: version(name) for name in packages},
        "models_folder": workflow.cache_folder(),
        "prepared_slices_folder": workflow.prepared_folder(),
        "research_use": "Research use only; not a medical device.",
    }
    if clear_cache:
        record["cleared_bytes"] = workflow.clear_prepared()
    lines = [f"{name}: {value}" for name, value in record.items() if name != "packages"]
    lines += [f"{name} {number}" for name, number in record["packages"].items()]
    answer(record, lines, as_json)


def methods(as_json: AsJson = False, device: Device = "auto") -> None:
    """List the ways to get a mask, and their settings."""
    from napari_medseg import workflow
    from napari_medseg.core.settings import fields_of

    check_device(device)
    found: list[dict[str, Any]] = []
    for entry in workflow.menu().values():
        settings = [
            {"name": f.name, "kind": f.kind.__name__, "default": f.default, "low": f.low, "high": f.high,
             "choices": f.choices, "unit": f.unit, "title": f.title, "help": f.help}
            for f in fields_of(entry.settings)
        ]  # fmt: skip
        words = {"title": entry.title, "way": entry.way, "help": entry.help, "network": entry.network}
        found.append({"name": entry.name, **words, "settings": settings})
    lines = []
    for one in found:
        lines.append(f"{one['name']}: {one['title']} ({one['way']}). {one['help']}")
        lines += [f"    --set {s['name']}={s['default']}  {s['title']}" for s in one["settings"]]
    answer({"methods": found}, lines, as_json)


def tasks(data: _Data = None, as_json: AsJson = False, device: Device = "auto") -> None:
    """List the tasks models were trained for, and those of data sets."""
    from napari_medseg import workflow

    check_device(device)
    found = workflow.tasks(data)
    lines = [f"{task.slug}: {', '.join(task.structure_names)}" for task in found]
    answer({"tasks": [_task(task) for task in found]}, lines or ["No model knows a task yet."], as_json)


def models(context: typer.Context, as_json: AsJson = False, device: Device = "auto") -> None:
    """List the models: the user's own, then the shipped ones."""
    from napari_medseg import workflow

    if context.invoked_subcommand is not None:
        return
    check_device(device)
    found = workflow.models()
    lines = [
        f"{m.name} ({m.network}, {m.origin}, {_megabytes(_size(m))}): {', '.join(m.structures) or 'anything'}"
        + (f". Licence: {m.card['licence']}" if "licence" in m.card else "")
        for m in found
    ]
    catalogue = {
        name: {"licence": item.licence, "help": item.help, "bytes": item.n_bytes, "sha256": item.sha256}
        for name, item in workflow.CATALOGUE.items()
    }
    lines += [
        f"{name} (can be downloaded, {_megabytes(item.n_bytes)}, {item.licence}): {item.help}"
        for name, item in workflow.CATALOGUE.items()
        if name not in {model.name for model in found}
    ]
    record = {"models": [_model(model) for model in found], "catalogue": catalogue}
    answer(record, lines or ["There is no model yet."], as_json)


def import_(file: Path, like: _Like = "", as_json: AsJson = False, device: Device = "auto") -> None:
    """Take a model folder, a .zip of one, or a published SAM checkpoint into your own models."""
    from napari_medseg import workflow

    check_device(device)
    model = run(workflow.import_model(file, like))
    answer({"model": _model(model)}, _kept(model), as_json)


def download(name: str, as_json: AsJson = False, device: Device = "auto") -> None:
    """Fetch a model of the catalogue and check its SHA-256; goes on where it stopped."""
    from napari_medseg import workflow

    check_device(device)
    model = run(workflow.download_model(name))
    answer({"model": _model(model)}, _kept(model), as_json)


def verify(as_json: AsJson = False, device: Device = "auto") -> None:
    """Check every model's weights against their SHA-256."""
    from napari_medseg import workflow

    check_device(device)
    found = run(workflow.verify_models())
    wrong = [problem for problem in found.values() if problem]
    if wrong:
        raise WeightsError(" ".join(wrong))
    answer({"verified": list(found)}, [f"{name}: sound" for name in found] or ["There is no model."], as_json)


def _model(model: Model) -> dict[str, Any]:
    return {
        "name": model.name, "network": model.network, "origin": model.origin, "structures": model.structures,
        "sha256": model.sha256, "folder": model.folder, "card": dict(model.card), "bytes": _size(model),
    }  # fmt: skip


def _kept(model: Model) -> list[str]:
    lines = [f"{model.name} is in {model.folder}"]
    return lines + [f"Licence: {model.card['licence']}"] if "licence" in model.card else lines


def _size(model: Model) -> int:
    return sum(file.stat().st_size for file in model.folder.iterdir() if file.is_file())


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.0f} MB"


def _task(task: Task) -> dict[str, Any]:
    words = {"modality": task.modality, "anatomy": task.anatomy, "objective": task.objective}
    rules = [[rule.kind, rule.first, rule.second] for rule in task.rules]
    return {"slug": task.slug, "structures": task.structure_names, **words, "rules": rules}
