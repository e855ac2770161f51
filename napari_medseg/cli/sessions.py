"""medseg session new, add, list, accept and export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_medseg.cli.options import AsJson, Device, answer, check_device, run, slice_range
from napari_medseg.core.structure import UNTITLED
from napari_medseg.core.task import task_of

_Session = Annotated[Path, typer.Argument(metavar="SESSION", help="The session's folder.")]


def register(app: typer.Typer) -> None:
    """Add these verbs."""
    group = typer.Typer(help="Keep cases and accepted masks in a folder.", rich_markup_mode=None)
    group.command("new")(new)
    group.command("add")(add)
    group.command("list")(list_)
    group.command("accept")(accept)
    group.command("export")(export)
    app.add_typer(group, name="session")


def new(
    folder: _Session,
    task: Annotated[str | None, typer.Option("--task", help="One of 'medseg tasks'.")] = None,
    labels: Annotated[list[str], typer.Option("--label", help="A structure, in order.")] = [],  # noqa: B006
    as_json: AsJson = False,
    device: Device = "auto",
) -> None:
    """Begin a session."""
    from napari_medseg import workflow

    check_device(device)
    wanted = workflow.task(task) if task else task_of("untitled", tuple(labels) or (UNTITLED,))
    with workflow.create_session(folder, wanted) as session:
        record = {"session": session.folder, "task": wanted.slug, "structures": wanted.structure_names}
        answer(record, [f"{session.folder}: {', '.join(wanted.structure_names)}"], as_json)


def add(
    folder: _Session,
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Image files or DICOM folders.")],
    series: Annotated[str | None, typer.Option("--series", help="Which series of a DICOM folder.")] = None,
    as_json: AsJson = False,
    device: Device = "auto",
) -> None:
    """Put images into a session; they stay where they are."""
    from napari_medseg import workflow

    check_device(device)
    with workflow.open_session(folder) as session:
        ids = [workflow.add_case(session, path, series) for path in inputs]
        names = {record.id: record.name for record in session.cases()}
        added = [
            {"id": one, "name": names[one], "input": path} for one, path in zip(ids, inputs, strict=True)
        ]
    answer({"cases": added}, [f"{one['name']}: {one['input']}" for one in added], as_json)


def list_(folder: _Session, as_json: AsJson = False, device: Device = "auto") -> None:
    """List the cases of a session."""
    from napari_medseg import workflow

    check_device(device)
    with workflow.open_session(folder) as session:
        cases = [_case(record) for record in session.cases()]
        names = session.task.structure_names
    lines = [f"{one['name']}: {one['state']}, {one['n_reviewed']} slices accepted" for one in cases]
    answer({"task": list(names), "cases": cases}, lines or ["There is no case yet."], as_json)


def accept(
    folder: _Session,
    case: Annotated[str, typer.Argument(metavar="CASE", help="The case's number, name or id.")],
    mask: Annotated[Path, typer.Argument(metavar="MASK", help="A label map: 1 is the first structure.")],
    slices: Annotated[str | None, typer.Option("--slices", metavar="A:B", help="Those looked at.")] = None,
    as_json: AsJson = False,
    device: Device = "auto",
) -> None:
    """Accept a label map as a person's work; --slices says which slices were looked at, all by default."""
    from napari_medseg import workflow

    check_device(device)
    with workflow.open_session(folder) as session:
        record = workflow.find_case(session, case)
        chosen = slice_range(slices, record.shape[0])
        revision = workflow.accept_file(session, record.id, mask, chosen)
    answer({"case": record.name, "revision": revision}, [f"{record.name}: revision {revision}"], as_json)


def export(
    folder: _Session,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the masks and the table.")],
    suffix: Annotated[str, typer.Option("--format", help=".nii.gz, .nii, .nrrd or .mha.")] = ".nii.gz",
    as_json: AsJson = False,
    device: Device = "auto",
) -> None:
    """Write the accepted masks, how each was made, and a table of volumes."""
    from napari_medseg import workflow

    check_device(device)
    with workflow.open_session(folder) as session:
        written = run(workflow.export_session(session, out, suffix))
    answer({"files": written}, [str(path) for path in written], as_json)


def _case(record: Any) -> dict[str, Any]:
    """What a session knows of a case, without where it came from."""
    words = ("id", "name", "state", "n_reviewed", "seconds", "clicks", "changed_voxels", "added")
    return {word: getattr(record, word) for word in words}
