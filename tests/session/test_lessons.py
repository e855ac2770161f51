"""What rounds did with slices is kept for good, and which are asked for blind never changes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from napari_medseg.core.phantoms import CT_TASK, ct_phantom
from napari_medseg.session.store import Session

KEYS = [("case-1", "axial", index) for index in range(4)]


@pytest.fixture
def session(tmp_path: Path):
    with Session.create(tmp_path / "session", CT_TASK) as session:
        volume, mask = ct_phantom((8, 16, 16))
        case = session.add_case(tmp_path / "1.nii", volume)
        session.accept(case, mask.review("axial", range(4)).review("coronal", [3]), volume)
        yield session


def test_a_slice_keeps_its_first_share(session) -> None:
    session.lessons.keep(KEYS[:2], "held back", 1)
    session.lessons.keep(KEYS, "trained on", 2)
    session.lessons.keep([], "held back", 3)
    assert session.lessons.shares() == dict(
        zip(KEYS, ("held back", "held back", "trained on", "trained on"), strict=True)
    )
    with Session.open(session.folder) as again:
        assert again.lessons.shares() == session.lessons.shares()


def test_accepted_slices_are_those_of_the_last_revision_with_an_image(session) -> None:
    assert session.lessons.accepted() == {*KEYS, ("case-1", "coronal", 3)}
    volume, mask = ct_phantom((8, 16, 16))
    session.accept("case-1", mask.review("axial", range(2, 6)))  # no image of 4 and 5 is kept
    assert session.lessons.accepted() == set(KEYS[2:])
    session.forget_images()
    assert session.lessons.accepted() == frozenset()


def test_one_in_twenty_is_asked_for_blind_and_always_the_same(session) -> None:
    spots = [(f"case-{case}", "axial", index) for case in range(1, 21) for index in range(50)]
    blind = [spot for spot in spots if session.lessons.is_blind(*spot)]
    assert 25 <= len(blind) <= 80  # 1,000 draws at 0.05: 50, five standard deviations to each side are 34
    with Session.open(session.folder) as again:
        assert [spot for spot in spots if again.lessons.is_blind(*spot)] == blind


def test_an_older_session_is_brought_up_to_date_and_keeps_all(session) -> None:
    """As sessions were before rounds: no table of lessons, form 1."""
    session.close()
    with sqlite3.connect(session.folder / "session.db") as database:
        database.execute("DROP TABLE lessons")
        database.execute("UPDATE meta SET value = '1' WHERE name = 'schema'")
        before = {t: list(database.execute(f"SELECT * FROM {t}")) for t in ("cases", "revisions", "images")}
    database.close()
    with Session.open(session.folder) as first, Session.open(session.folder) as second:
        assert first.lessons.shares() == {} and len(first.lessons.accepted()) == 5
        second.lessons.keep(KEYS[:1], "trained on", 1)
        assert first.lessons.shares() == {KEYS[0]: "trained on"}
    with sqlite3.connect(session.folder / "session.db") as database:
        assert database.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone() == ("2",)
        assert before == {t: list(database.execute(f"SELECT * FROM {t}")) for t in before}
    database.close()
