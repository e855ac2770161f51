"""Where on this machine the images lie: one local file, so that no path enters the database."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from napari_medseg.core.errors import SessionError
from napari_medseg.session.durable import plain_errors, write_file

FILE = "sources.json"
Source = tuple[str, str]  # path of a file or folder, series in it


def source_of(path: Path, series: str) -> Source:
    """The place of an image as it is kept: a full path and a series."""
    return os.path.abspath(path), series


def read(folder: Path) -> dict[str, Source]:
    """Case id to source; nothing where the file is missing, as in a session from another machine.

    Raises
    ------
    SessionError
        If the file is damaged.
    """
    file = folder / FILE
    with plain_errors(folder):
        if not file.exists():
            return {}
        data = file.read_bytes()
    try:
        return {case_id: (path, series) for case_id, (path, series) in json.loads(data).items()}
    except (ValueError, TypeError, AttributeError):
        raise SessionError(f"{file} is damaged: remove it and open the images again.") from None


def write(folder: Path, sources: Mapping[str, Source]) -> None:
    """Put all sources in the place of those there are; the caller holds the session's lock."""
    write_file(folder / FILE, json.dumps(sources, indent=1).encode(), mode=0o600)
