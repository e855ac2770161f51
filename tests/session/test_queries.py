"""Versions in use and names that change later."""

import pytest

from napari_medseg.core.errors import SessionError, TaskError
from napari_medseg.core.mask import Mask, Provenance
from napari_medseg.core.phantoms import slice_phantom
from napari_medseg.core.structure import UNTITLED, Structure
from napari_medseg.core.task import Task, task_of
from napari_medseg.session.store import Session


@pytest.fixture
def session(tmp_path):
    untitled = Task(UNTITLED, structures=(Structure(),))
    with Session.create(tmp_path / "session", untitled) as session:
        yield session


def test_one_click_to_use_a_version_and_one_click_back(session):
    organs, other = task_of("organs", ["liver", "spleen"]), task_of("organs", ["spleen", "liver"])
    assert session.in_use("sam", organs) is None
    for version in ("round-1", "round-2", "round-1"):
        session.use("sam", organs, version)
        assert session.in_use("sam", organs) == version
    assert session.in_use("sam", other) is None  # the order of the names counts
    assert session.in_use("segicl", organs) is None
    assert [session.back("sam", organs) for _ in range(4)] == ["round-2", "round-1", None, None]
    session.use("sam", organs, "round-3")
    assert (session.in_use("sam", organs), session.back("sam", organs)) == ("round-3", None)


def test_an_untitled_structure_gets_its_name_later(session, tmp_path):
    volume, _ = slice_phantom(16)
    mask = Mask.empty(volume.geometry, session.task.structures)
    mask = mask.put(UNTITLED, volume.array > 100).record(Provenance(UNTITLED, "axial", 0, "sam"))
    case = session.add_case(tmp_path / "a.png", volume)
    session.accept(case, mask)
    session.accept(case, mask)
    session.rename_structure(UNTITLED, "lesion")
    assert session.task.structure_names == ("lesion",)
    for number in (1, 2):
        again = session.load(case, number)
        assert (again.names, again.provenance[0].structure) == (("lesion",), "lesion")
        assert (again.of("lesion") == mask.of(UNTITLED)).all()


def test_a_name_that_is_taken_changes_nothing(session, tmp_path):
    volume, mask = slice_phantom(16)  # gland and lesion
    case = session.add_case(tmp_path / "a.png", volume)
    session.accept(case, mask)
    session.set_task(task_of("breast", ["gland"]))
    for new in ("lesion", " ", ""):  # the mask has a lesion, the task has none
        with pytest.raises(TaskError, match="choose a name that is not empty and not taken"):
            session.rename_structure("gland", new)
    assert session.task.structure_names == ("gland",)
    assert session.load(case).names == ("gland", "lesion")


def test_what_is_not_there_is_said(session, tmp_path):
    volume, mask = slice_phantom(16)
    case = session.add_case(tmp_path / "a.png", volume)
    assert session.load(case) is None
    with pytest.raises(SessionError, match="There is no revision 3 of case 1"):
        session.load(case, 3)
    for act in (
        lambda: session.load("case-9"),
        lambda: session.accept("case-9", mask),
        lambda: session.log_effort("case-9", 1, 1, 1),
        lambda: session.journal("../case-9"),
        lambda: list(session.reviewed_images("case-9")),
    ):
        with pytest.raises(SessionError, match=r"There is no '.*case-9' in this session"):
            act()
    with pytest.raises(SessionError, match=r"sources\.json does not say where the image of case 9 lies"):
        session.source("case-9")


def test_efforts_add_up(session, tmp_path):
    volume, _ = slice_phantom(16)
    case, other = (session.add_case(tmp_path / name, volume) for name in ("a.png", "b.png"))
    session.log_effort(case, 10.5, 3, 200)
    session.log_effort(case, 2.0, 1, 50)
    first, second = session.cases()
    assert (first.seconds, first.clicks, first.changed_voxels) == (12.5, 4, 250)
    assert (second.id, second.seconds, second.clicks, second.changed_voxels) == (other, 0.0, 0, 0)
