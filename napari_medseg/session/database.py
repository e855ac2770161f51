"""The door to `session.db`: one writer at a time, each commit on the disk before it returns."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any, Self

from sqlalchemy import URL, Connection, create_engine, event, insert, inspect, select, update

from napari_medseg.core.errors import SessionError
from napari_medseg.session.durable import damaged, plain_errors, read_only, sync_folder
from napari_medseg.session.records import SCHEMA, meta, metadata, plain, task

FILE = "session.db"
_WAIT_SECONDS = 30.0  # for another process to finish its write


def is_session(folder: Path) -> bool:
    """Whether a folder is a session's."""
    return (folder / FILE).is_file()


class Database:
    """SQLite with a write-ahead log, so that reading never waits and a torn write is never seen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._engine = create_engine(
            URL.create("sqlite", database=str(folder / FILE)),
            connect_args={"timeout": _WAIT_SECONDS},
            json_serializer=partial(json.dumps, default=plain),
        )
        event.listen(self._engine, "connect", _configure)
        event.listen(self._engine, "begin", _begin)

    @classmethod
    def create(cls, folder: Path, first_task: Mapping[str, Any]) -> Self:
        """Make the database of a new session.

        Raises
        ------
        SessionError
            If there is one already, or the folder cannot be written.
        """
        return cls(folder)._after(lambda database: database._make_tables(first_task))

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the database of a session that is there.

        Raises
        ------
        SessionError
            If there is none, or it is damaged, read-only, or of a newer version of this program.
        """
        if not is_session(folder):
            raise SessionError(f"There is no session in {folder}: choose another folder or create one there.")
        if not (os.access(folder, os.W_OK) and os.access(folder / FILE, os.W_OK)):
            raise SessionError(read_only(folder))
        return cls(folder)._after(cls._check)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view of all tables."""
        with plain_errors(self.folder), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: all of it is on the disk afterwards, or nothing; other writers wait."""
        engine = self._engine.execution_options(write=True)
        with plain_errors(self.folder), engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections; the log is folded into the database."""
        self._engine.dispose()

    def _after(self, step: Callable[[Self], None]) -> Self:
        """Take a step, and hold no file open when it fails."""
        try:
            step(self)
        except SessionError:
            self.close()
            raise
        return self

    def _make_tables(self, first_task: Mapping[str, Any]) -> None:
        """Fill an empty database, with a salt of its own."""
        with self.writing() as connection:
            if inspect(connection).has_table(meta.name):
                raise SessionError(
                    f"There is a session in {self.folder} already: open it or choose another folder."
                )
            metadata.create_all(connection)
            connection.execute(insert(meta).values(name="schema", value=str(SCHEMA)))
            connection.execute(insert(meta).values(name="salt", value=token_hex(16)))
            connection.execute(insert(task).values(id=1, task=first_task))
        with plain_errors(self.folder):
            sync_folder(self.folder)

    def _check(self) -> None:
        """See that this program can trust the database and knows all of it."""
        with self.reading() as connection:
            if connection.exec_driver_sql("PRAGMA quick_check(1)").scalar() != "ok":
                raise SessionError(damaged(self.folder))
            if not inspect(connection).has_table(meta.name):
                raise SessionError(f"The session in {self.folder} was never finished: create it again there.")
            values = {row.name: row.value for row in connection.execute(select(meta))}
        schema = values.get("schema", "")
        if not schema.isdigit() or not values.get("salt"):
            raise SessionError(damaged(self.folder))
        if int(schema) > SCHEMA:
            raise SessionError(
                f"The session in {self.folder} was made by a newer version of this program "
                f"(its form is {schema}, this one knows {SCHEMA}): update napari-medseg to open it."
            )
        if int(schema) < SCHEMA:
            self._bring_up_to_date()

    def _bring_up_to_date(self) -> None:
        """Give an older session the tables that have come since; what is in the others stays as it is."""
        with self.writing() as connection:  # all of it or nothing; another process may do the same
            metadata.create_all(connection)
            connection.execute(update(meta).where(meta.c.name == "schema").values(value=str(SCHEMA)))


def _configure(connection: Any, _record: Any) -> None:
    """Set up a new connection; what it says of durability counts for this connection only."""
    connection.isolation_level = None  # transactions begin where `_begin` says
    for line in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "fullfsync=ON",
        "checkpoint_fullfsync=ON",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {line}")


def _begin(connection: Connection) -> None:
    """A writer takes the lock at once, so that what it read is still true when it writes."""
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
