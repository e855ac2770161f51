"""What rounds of training made of the accepted slices: trained on, held back to judge by, or not used yet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property
from typing import Literal

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert

from napari_medseg.core.geometry import Plane
from napari_medseg.session import queries
from napari_medseg.session.database import Database
from napari_medseg.session.records import lessons

Key = tuple[str, Plane, int]  # case, plane, index
Share = Literal["held back", "trained on"]
_ONE_IN = 20  # slices are asked for blind


class Lessons:
    """Which accepted slice went where; a slice keeps its first share for good."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def shares(self) -> dict[Key, Share]:
        """All slices that a round has used, each with its share."""
        with self._database.reading() as db:
            rows = db.execute(select(lessons)).all()
        return {(row.case_id, row.plane, row.slice): row.share for row in rows}

    def keep(self, keys: Iterable[Key], share: Share, number: int) -> None:
        """Write down what the round of this number did with slices; those that have a share keep it."""
        rows = [
            {"case_id": case, "plane": plane, "slice": index, "share": share, "round": number}
            for case, plane, index in keys
        ]
        if rows:
            with self._database.writing() as db:
                db.execute(insert(lessons).on_conflict_do_nothing(), rows)

    def accepted(self) -> frozenset[Key]:
        """All slices a person has accepted last whose image is kept; no file is read."""
        found: set[Key] = set()
        with self._database.reading() as db:
            for case in queries.case_rows(db):
                row = queries.find_revision(db, case.id, None)
                if row is not None:
                    for kept in queries.kept_images(db, case.id):
                        there = set(row.reviewed.get(kept.plane, ()))
                        found |= {
                            (case.id, kept.plane, i) for i in range(kept.start, kept.stop) if i in there
                        }
        return frozenset(found)

    def is_blind(self, case_id: str, plane: Plane, index: int) -> bool:
        """Whether a slice is one of the few that are asked for without the model's proposal.

        One in twenty, by the session's salt and the slice alone: it never changes.
        """
        key = f"{self._salt} blind {case_id} {plane} {index}"
        return int(hashlib.sha256(key.encode()).hexdigest(), 16) % _ONE_IN == 0

    @cached_property
    def _salt(self) -> str:
        with self._database.reading() as db:
            return queries.salt(db)
