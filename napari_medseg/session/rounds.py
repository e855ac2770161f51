"""The files of training rounds inside a session: `rounds/N/`, and the lock that says that one lives."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self

from filelock import FileLock, Timeout

from napari_medseg.core.errors import SessionError
from napari_medseg.session.durable import make_folder, plain_errors, sync_folder, write_file
from napari_medseg.session.records import plain

ROUNDS, VERSIONS = "rounds", "versions"
ABOUT, PROGRESS, CONTROL, END, WORK = "round.json", "progress.jsonl", "control", "verdict.json", "work"
LOCK, LOG = "lock", "log"  # beside the rounds' folders: one round at a time
Wish = Literal["go on", "pause", "cancel"]
_LOOK_SECONDS = 0.06  # how long a look at the lock waits for another one's look
_START_SECONDS = 2.0
_LAST = 8192  # bytes at the end of the progress that hold its last line


class RoundFolder:
    """One round on disk: what it is, how far it is, what is asked of it, what became of it.

    Patients' names, paths and file names are in none of its files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = int(folder.name)
        self.work = folder / WORK  # what it writes while it trains; gone when it ends

    @classmethod
    def begin(cls, session: Path, about: Mapping[str, Any]) -> Self:
        """Make the folder of a session's next round; whoever does so holds the lock (`only_one`)."""
        before = rounds_of(session)
        with plain_errors(session):
            for old in before:
                shutil.rmtree(old.work, ignore_errors=True)  # left by a round that was killed
            number = 1 + max((old.number for old in before), default=0)
            here = cls(make_folder(session / ROUNDS / f"{number}"))
            make_folder(here.work)
            write_file(here.folder / ABOUT, _bytes(about))
        return here

    @property
    def about(self) -> dict[str, Any]:
        """What the round is: recipe, structures, settings, when it began; empty where it died at once."""
        return self._read(ABOUT)

    @property
    def end(self) -> dict[str, Any]:
        """What became of it; empty as long as that is open, and for ever where its process was killed."""
        return self._read(END)

    def finish(self, record: Mapping[str, Any]) -> None:
        """Write down what became of it, durably, and remove what it worked with."""
        with plain_errors(self.folder):
            write_file(self.folder / END, _bytes(record))
            shutil.rmtree(self.work, ignore_errors=True)

    def tell(self, line: Mapping[str, Any]) -> None:
        """Append how far it is."""
        with plain_errors(self.folder), (self.folder / PROGRESS).open("ab") as file:
            file.write(_bytes(line) + b"\n")

    @property
    def last(self) -> dict[str, Any]:
        """How far it is: the last line that is whole."""
        with plain_errors(self.folder):
            if not (self.folder / PROGRESS).exists():
                return {}
            with (self.folder / PROGRESS).open("rb") as file:
                file.seek(max(0, file.seek(0, 2) - _LAST))
                tail = file.read()
        for line in reversed(tail[: tail.rfind(b"\n") + 1].splitlines()):
            try:
                return dict(json.loads(line))
            except ValueError:  # torn, or cut by where the reading began
                continue
        return {}

    @property
    def wish(self) -> Wish:
        """What is asked of it."""
        with plain_errors(self.folder):
            path = self.folder / CONTROL
            word = path.read_text(encoding="ascii").strip() if path.exists() else ""
        return "pause" if word == "pause" else "cancel" if word == "cancel" else "go on"

    def ask(self, wish: Wish) -> None:
        """Ask it to go on, to pause or to stop; it obeys within a step of its work."""
        with plain_errors(self.folder):
            write_file(self.folder / CONTROL, wish.encode())

    def _read(self, name: str) -> dict[str, Any]:
        with plain_errors(self.folder):
            path = self.folder / name
            text = path.read_text(encoding="utf-8") if path.exists() else "{}"
        try:
            return dict(json.loads(text))
        except ValueError:
            raise SessionError(f"{path} is damaged: remove the folder of this round.") from None


def rounds_of(session: Path) -> list[RoundFolder]:
    """The rounds of a session's folder, oldest first."""
    found = [path for path in (session / ROUNDS).glob("[0-9]*") if path.name.isdigit() and path.is_dir()]
    return [RoundFolder(path) for path in sorted(found, key=lambda path: int(path.name))]


def log_file(session: Path) -> Path:
    """Where a round's process writes what it has to say, over what the one before said."""
    with plain_errors(session):
        return make_folder(session / ROUNDS) / LOG


def is_alive(session: Path) -> bool:
    """Whether a process trains in this session now; a killed one does not, whatever it left."""
    if not (session / ROUNDS / LOCK).exists():
        return False
    with plain_errors(session):
        lock = FileLock(session / ROUNDS / LOCK, thread_local=False)
        try:
            lock.acquire(timeout=_LOOK_SECONDS, poll_interval=0.02)
        except Timeout:
            return True
        lock.release()
        return False


@contextmanager
def only_one(session: Path) -> Iterator[None]:
    """Hold the lock of a session's rounds, which the system gives back when this process dies.

    Raises
    ------
    SessionError
        If another process trains in this session.
    """
    with plain_errors(session):
        lock = FileLock(make_folder(session / ROUNDS) / LOCK, thread_local=False)
        try:
            lock.acquire(timeout=_START_SECONDS, poll_interval=0.02)
        except Timeout:
            raise SessionError(
                "A round is training in this session already: wait for it, or cancel it first."
            ) from None
    try:
        yield
    finally:
        lock.release()


def keep_version(session: Path, made: Path) -> Path:
    """Copy a finished model to the session's versions, durably and whole or not at all; its name stays."""
    with plain_errors(session):
        part = make_folder(made.with_name(f"{made.name}.kept"))  # a half copy is never among the versions
        for file in made.iterdir():
            write_file(part / file.name, file.read_bytes())
        os.replace(part, make_folder(session / VERSIONS) / made.name)
        sync_folder(session / VERSIONS)
    return session / VERSIONS / made.name


def _bytes(record: Mapping[str, Any]) -> bytes:
    """One line of JSON."""
    return json.dumps(dict(record), default=plain).encode()
