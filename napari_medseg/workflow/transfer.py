"""Downloads that a user started: they go on where they stopped, and only the right bits are kept."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from napari_medseg.core.errors import WeightsError
from napari_medseg.core.progress import Job, Progress
from napari_medseg.workflow.catalogue import Download

_PIECE = 1 << 18  # bytes
_PATIENCE = 20.0  # seconds without a byte
_LOOK = 0.2  # seconds from one look at the progress to the next
_NOT_SATISFIABLE = 416  # HTTP: there is nothing from there on


def fetch(name: str, item: Download, folder: Path) -> Job[Path]:
    """Download a file into a folder, going on with what is there of it, and check its SHA-256.

    Not to ask for the next step stops it; what came so far stays for the next time.

    Raises
    ------
    WeightsError
        If the connection or the disk fails, or what came is not what was published.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < 2 * item.n_bytes:  # the file, then the model made of it
        raise WeightsError(f"'{name}' needs {2 * item.n_bytes / 1e9:.1f} GB of free disk in {folder}.")
    part = folder / f"{item.sha256}.part"
    try:
        return (yield from _transfer(name, item, part))
    except OSError:
        here = _size(part)
        raise WeightsError(
            f"The download of '{name}' stopped after {here / 1e6:.0f} of {item.n_bytes / 1e6:.0f} MB; check "
            "the connection and start it again: it goes on from there."
        ) from None
    except ValueError:
        raise WeightsError(
            f"What came for '{name}' is not the file its authors published (another SHA-256), so it was "
            "thrown away; try again later, or from another network."
        ) from None


def _transfer(name: str, item: Download, part: Path) -> Job[Path]:
    """Let pooch fetch and check the file meanwhile; OSError if it is cut, ValueError if it is another."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    stop = Event()
    get = partial(_go_on, part, item.n_bytes, stop)
    known, target = f"sha256:{item.sha256}", item.file_name
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(pooch.retrieve, item.url, known, target, part.parent, downloader=get)
        try:
            while not work.done():
                here = _size(part)
                done = 0.8 * min(1.0, here / item.n_bytes)
                yield Progress(done, f"downloading {name}", numbers={"MB": here / 1e6})
                wait([work], timeout=_LOOK)
        finally:
            stop.set()
    return Path(work.result())


def _go_on(part: Path, n_bytes: int, stop: Event, url: str, output_file: str, _pooch: Any) -> None:
    """Fetch what is missing of a file, as pooch asks for it; ConnectionError if it is still not whole."""
    import requests

    here = _size(part)
    if here < n_bytes:
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={here}-"} if here else {})
        with requests.get(url, headers=headers, stream=True, timeout=_PATIENCE) as answer:
            if answer.status_code == _NOT_SATISFIABLE:  # what is here belongs to another file
                part.unlink()
            answer.raise_for_status()
            goes_on = answer.status_code == requests.codes.partial_content and answer.headers.get(
                "Content-Range", ""
            ).startswith(f"bytes {here}-")
            with part.open("ab" if goes_on else "wb") as file:
                for piece in answer.iter_content(_PIECE):
                    file.write(piece)
                    if stop.is_set() or file.tell() > n_bytes:
                        break
    if _size(part) < n_bytes:
        raise ConnectionError("not whole")
    shutil.move(part, output_file)


def _size(file: Path) -> int:
    """Bytes of a file, 0 where there is none."""
    return file.stat().st_size if file.is_file() else 0
