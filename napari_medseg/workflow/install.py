"""Bring models in from elsewhere: a folder, an archive, a published checkpoint or a download."""

from __future__ import annotations

import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from napari_medseg.core.errors import WeightsError
from napari_medseg.core.model import Model, Preparation
from napari_medseg.core.progress import Job, Progress
from napari_medseg.workflow.catalogue import CATALOGUE
from napari_medseg.workflow.lookup import cache_folder, models

_FILES = ("model.json", "weights.safetensors", "card.md")
_CHECKPOINTS = (".pth", ".pt", ".safetensors")
_LARGEST = 6_000_000_000  # bytes an archive may unpack to
_PATCH = 16  # pixels of a SAM's canvas in one token


def import_model(source: Path, like: str = "") -> Job[Model]:
    """Take a model from a folder, a .zip archive or a published checkpoint into the user's own models.

    Parameters
    ----------
    like : str
        A model of the catalogue whose images are prepared as this checkpoint's were; by default the one
        it is, else as SAM's.

    Raises
    ------
    WeightsError
        If it is no model, is damaged, or a model of that name is there already.
    """
    source = Path(source)
    if like and like not in CATALOGUE:
        raise WeightsError(f"There is no model '{like}' to be like; there are: {', '.join(CATALOGUE)}.")
    yield Progress(0.0, f"reading {source.name}")
    return (yield from _keep(source, source.name if source.is_dir() else source.stem, like))


def download_model(name: str) -> Job[Model]:
    """Fetch a model of the catalogue, check its SHA-256 and keep it among the user's own.

    The licence is told before the first byte comes. Stopped downloads go on where they stopped.

    Raises
    ------
    WeightsError
        If the catalogue has no such model, or what came is not what was expected.
    """
    from napari_medseg.workflow.transfer import fetch

    if name not in CATALOGUE:
        raise WeightsError(f"There is no model '{name}' to download; there are: {', '.join(CATALOGUE)}.")
    item = CATALOGUE[name]
    _free_place(name)
    yield Progress(0.0, f"{name}, {item.n_bytes / 1e6:.0f} MB from {item.url}. Licence: {item.licence}")
    file = yield from fetch(name, item, cache_folder() / ".downloads")
    model = yield from _keep(file, name, "")
    file.unlink()
    return model


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


def _keep(source: Path, name: str, like: str) -> Job[Model]:
    """Keep whatever a model can be among the user's own."""
    if source.is_dir():
        return (yield from _take(source, name))
    if _is_archive(source):
        with TemporaryDirectory() as scratch:
            return (yield from _take(_unpack(source, Path(scratch) / name), name))
    if source.suffix not in _CHECKPOINTS or not source.is_file():
        raise WeightsError(
            f"'{source}' is neither a model folder, nor a .zip of one ({', '.join(_FILES)}), nor a "
            f"checkpoint ({', '.join(_CHECKPOINTS)})."
        )
    return (yield from _convert(source, name, like))


def _take(folder: Path, name: str) -> Job[Model]:
    """Check a model folder and copy its files; the folder gets its name when it is whole."""
    from napari_medseg.networks.weights import read_model, verify

    yield Progress(0.85, "checking the weights")
    verify(read_model(folder, "cache"))
    target, fresh = _free_place(name)
    fresh.mkdir(parents=True)
    for file in _FILES:
        if (folder / file).is_file():
            shutil.copyfile(folder / file, fresh / file)
    os.replace(fresh, target)
    yield Progress(1.0, "kept")
    return read_model(target, "cache")


def _convert(file: Path, name: str, like: str) -> Job[Model]:
    """Make a model of a published checkpoint; its weights stay as they are, bit for bit."""
    from napari_medseg.networks.checkpoints import official_sam, read_checkpoint
    from napari_medseg.networks.weights import read_model, save_model, sha256_of

    network, numbers = official_sam(read_checkpoint(file))
    yield Progress(0.85, "a published SAM; taking its SHA-256")
    sha256 = sha256_of(file)
    known = next((title for title, item in CATALOGUE.items() if item.sha256 == sha256), "")
    target, fresh = _free_place(known or name)
    preparation = CATALOGUE[like or known].preparation if like or known else Preparation()
    long_side = _PATCH * numbers["encoder"].get("grid", 64)
    card = _card(file, sha256, known)
    yield Progress(0.9, "writing the model")
    save_model(
        fresh, network, kind="sam", numbers=numbers, preparation=replace(preparation, long_side=long_side),
        card=card, card_text=_card_text(target.name, card), half=False,
    )  # fmt: skip
    os.replace(fresh, target)
    yield Progress(1.0, "kept")
    return read_model(target, "cache")


def _card(file: Path, sha256: str, known: str) -> dict[str, Any]:
    """Where a checkpoint came from and what its authors allow."""
    item = CATALOGUE.get(known)
    return {
        "what": item.help if item else "A published SAM imported from a file.",
        "source": item.url if item else file.name,
        "licence": item.licence if item else "not known; see where the file came from",
        "source_sha256": sha256,
    }


def _card_text(name: str, card: dict[str, Any]) -> str:
    """The same to be read."""
    return (
        f"# {name}\n\n{card['what']}\n\n- Source: {card['source']}\n- Licence: {card['licence']}\n"
        f"- SHA-256 of the source: {card['source_sha256']}\n\n"
        "The weights are those of the source, bit for bit.\n"
    )


def _free_place(name: str) -> tuple[Path, Path]:
    """Where a model of that name goes, and an empty place to make it in."""
    target = cache_folder() / name
    if target.exists():
        raise WeightsError(f"There is a model '{name}' already in {target.parent}; remove it first.")
    fresh = target.with_name(f".{name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    return target, fresh


def _is_archive(file: Path) -> bool:
    """Whether a file is a .zip of a model folder; torch's checkpoints are .zip files as well."""
    return file.suffix == ".zip" and zipfile.is_zipfile(file)


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
