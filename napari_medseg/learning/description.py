"""The two small files of a data set, which come from elsewhere: dataset.json and index.csv."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_medseg.core.errors import ReadError

SPLITS = ("train", "val", "test", "")
_LARGEST = 50_000_000  # bytes of dataset.json or index.csv; larger ones are not ours


def read_json(path: Path) -> dict[str, Any]:
    """Read a small JSON object.

    Raises
    ------
    ReadError
        If the file is missing, too large or no JSON object.
    """
    where = f"{path.parent.name}/{path.name}"
    try:
        about = json.loads(_text(path))
    except (ValueError, RecursionError):
        raise ReadError(f"{where} is damaged: it is not JSON.") from None
    if not isinstance(about, dict):
        raise ReadError(f"{where} is damaged: it is not a JSON object.")
    return about


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read the file, group and split of each image of a data set, "" where there is none.

    Raises
    ------
    ReadError
        If the file is missing, too large or damaged, names no files, or has a split of another name.
    """
    where = f"{path.parent.name}/{path.name}"
    try:
        rows = list(csv.DictReader(io.StringIO(_text(path), newline="")))
    except csv.Error:
        raise ReadError(f"{where} is damaged: it is not a table.") from None
    found = [{key: (row.get(key) or "").strip() for key in ("file", "group", "split")} for row in rows]
    if not found or not all(row["file"] for row in found):
        raise ReadError(f'{where} names no files; it needs a column "file" with the name of each image.')
    for row in found:
        if row["split"] not in SPLITS:
            raise ReadError(f"{where} has a split '{row['split']}'; the splits are train, val and test.")
    return found


def classes_and_regions(
    about: Mapping[str, Any], folder: str
) -> tuple[dict[int, str], dict[str, tuple[int, ...]]]:
    """Class numbers above 0 with their names, and structures with their classes: by default one each.

    Raises
    ------
    ReadError
        If there are no classes, two of one name, numbers above 255, or regions of unknown classes.
    """
    where = f"{folder}/dataset.json"
    try:
        named = {int(number): str(name).strip() for number, name in dict(about.get("classes") or {}).items()}
        given = {str(name): _numbers(part) for name, part in dict(about.get("regions") or {}).items()}
    except (ValueError, TypeError, OverflowError):
        raise ReadError(f"{where} is damaged: its classes or regions are not as they should be.") from None
    classes = {number: name for number, name in sorted(named.items()) if number != 0}
    regions = given or {name: (number,) for number, name in classes.items()}
    if not classes:
        raise ReadError(f'{where} names no classes; add a "classes" entry.')
    if min(classes) < 0 or max(classes) > 255:
        raise ReadError(f"{where} has class numbers outside 0 to 255.")
    if len(set(classes.values())) < len(classes) or not all((*classes.values(), *map(str.strip, regions))):
        raise ReadError(f"{where} has classes of one name, or without a name; every class needs its own.")
    unknown = {number for part in regions.values() for number in part} - set(classes)
    if unknown or not all(regions.values()):
        wrong = ", ".join(map(str, sorted(unknown))) or "none at all"
        raise ReadError(f"{where} has regions of classes it does not name: {wrong}.")
    return classes, regions


def _numbers(part: Any) -> tuple[int, ...]:
    """Class numbers of a region; TypeError where it is no list."""
    if not isinstance(part, list):
        raise TypeError
    return tuple(int(number) for number in part)


def _text(path: Path) -> str:
    """Read a small text file; ReadError in words if that is not possible."""
    where = f"{path.parent.name}/{path.name}"
    try:
        if path.stat().st_size > _LARGEST:
            raise ReadError(f"{where} is too large to be a data set's description.")
        return path.read_text(encoding="utf-8-sig")  # Excel puts a mark before the first letter
    except FileNotFoundError:
        raise ReadError(f"{path.parent.name} has no {path.name}, so it is not a data set.") from None
    except UnicodeDecodeError:
        raise ReadError(f"{where} is damaged: it is not text.") from None
    except OSError as error:
        raise ReadError(f"{where} could not be opened: {error.strerror}.") from None
