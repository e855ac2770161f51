"""Bring models in from elsewhere: a folder, an archive or a download, checked before it is kept."""

from __future__ import annotations

import os
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from napari_medseg.core.errors import WeightsError
from napari_medseg.core.model import Model
from napari_medseg.core.progress import Job, Progress
from napari_medseg.workflow.lookup import cache_folder, models

_FILES = ("model.json", "weights.safetensors", "card.md")
_LARGEST = 6_000_000_000  # bytes an archive may unpack to


@dataclass(frozen=True)
class Download:
    """A model that can be fetched: an archive with the three files of a model folder."""

    url: str
    sha256: str
    licence: str
    help: str


# Only models whose SHA-256 and licence are known for certain and which a method of the menu can use.
CATALOGUE: dict[str, Download] = {}


def import_model(source: Path) -> Job[Model]:
    """Copy a model from a folder or a .zip archive into the user's own models, if it proves sound.

    Raises
    ------
    WeightsError
        If it is no model, is damaged, or a model of that name is there already.
    """
    source = Path(source)
    yield Progress(0.0, f"reading {source.name}")
    if source.is_dir():
        return (yield from _take(source, source.name))
    if not zipfile.is_zipfile(source):
        raise WeightsError(
            f"'{source}' is neither a model folder nor a .zip of one; a model holds {', '.join(_FILES)}."
        )
    with TemporaryDirectory() as scratch:
        folder = _unpack(source, Path(scratch) / source.stem)
        yield Progress(0.3, "unpacked")
        return (yield from _take(folder, source.stem))


def download_model(name: str) -> Job[Model]:
    """Fetch a model of the catalogue, check its SHA-256 and keep it among the user's own.

    Raises
    ------
    WeightsError
        If the catalogue has no such model, or what came is not what was expected.
    """
    if name not in CATALOGUE:
        known = ", ".join(CATALOGUE) or "none; the released models travel with the program"
        raise WeightsError(f"There is no model '{name}' to download; there are: {known}.")
    import pooch

    item = CATALOGUE[name]
    yield Progress(0.0, f"downloading {name} ({item.licence})")
    with TemporaryDirectory() as scratch:
        try:
            pooch.retrieve(item.url, f"sha256:{item.sha256}", fname=f"{name}.zip", path=scratch)
        except (ValueError, OSError):
            raise WeightsError(
                f"The model '{name}' could not be downloaded unharmed; check the connection and try again."
            ) from None
        yield Progress(0.8, "downloaded")
        return (yield from import_model(Path(scratch) / f"{name}.zip"))


def verify_models() -> Job[dict[str, str]]:
    """Check the weights of every model; returns what is wrong by "origin/name", "" where nothing is."""
    from napari_medseg.networks.weights import verify

    found, result = models(), {}
    for number, model in enumerate(found):
        yield Progress(number / len(found), f"checking {model.name}")
        try:
            verify(model)
            result[f"{model.origin}/{model.name}"] = ""
        except WeightsError as problem:
            result[f"{model.origin}/{model.name}"] = str(problem)
    return result


def _take(folder: Path, name: str) -> Job[Model]:
    """Check a model folder and copy its files; the folder gets its name when it is whole."""
    from napari_medseg.networks.weights import read_model, verify

    yield Progress(0.5, "checking the weights")
    verify(read_model(folder, "cache"))
    target = cache_folder() / name
    if target.exists():
        raise WeightsError(f"There is a model '{name}' already in {target.parent}; remove it first.")
    fresh = target.with_name(f".{name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for file in _FILES:
        if (folder / file).is_file():
            shutil.copyfile(folder / file, fresh / file)
    os.replace(fresh, target)
    yield Progress(1.0, "kept")
    return read_model(target, "cache")


def _unpack(archive: Path, folder: Path) -> Path:
    """Unpack the three files a model consists of, and nothing else, whatever paths the archive names."""
    folder.mkdir(parents=True)
    try:
        with zipfile.ZipFile(archive) as files:
            members = {PurePosixPath(item.filename).name: item for item in files.infolist()}
            wanted = {name: members[name] for name in _FILES if name in members}
            if sum(item.file_size for item in wanted.values()) > _LARGEST:
                raise WeightsError(f"'{archive.name}' unpacks to more than a model can be.")
            for name, item in wanted.items():
                with files.open(item) as packed, (folder / name).open("wb") as file:
                    shutil.copyfileobj(packed, file)
    except (zipfile.BadZipFile, EOFError, OSError):
        raise WeightsError(f"The archive '{archive.name}' is damaged.") from None
    return folder
