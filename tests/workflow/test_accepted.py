"""Accepted slices of a session as examples; the session is a real one on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_medseg import workflow
from napari_medseg.core.mask import Mask
from napari_medseg.core.phantoms import CT_TASK, ct_phantom
from napari_medseg.core.progress import finish
from napari_medseg.core.provenance import Provenance
from napari_medseg.workflow import accepted


@pytest.fixture
def session(tmp_path: Path):
    """Three cases: slices 3 and 4 accepted in the first, a coronal one in the second, none in the third."""
    session = workflow.create_session(tmp_path / "session", CT_TASK)
    for seed in range(3):
        session.add_case(tmp_path / f"{seed}.nii", ct_phantom((8, 32, 32), seed)[0])
    for case, seed, plane, indices in (("case-1", 0, "axial", (3, 4)), ("case-2", 1, "coronal", (15,))):
        volume, mask = ct_phantom((8, 32, 32), seed)
        session.accept(case, mask.review(plane, indices), volume)
    yield session
    session.close()


def test_accepted_slices_of_other_cases_teach(session) -> None:
    found = finish(workflow.accepted_examples(session, ["liver"], "case-3"))
    assert [e.volume.name for e in found.examples] == [
        "case 2, coronal slice 15", "case 1, axial slice 3", "case 1, axial slice 4",
    ]  # fmt: skip
    assert found.cases == ("case-2", "case-1", "case-1")
    volume, mask = ct_phantom((8, 32, 32), 0)
    one = found.examples[1]
    assert one.mask.names == ("liver",) and one.mask.reviewed == {"axial": frozenset({0})}
    np.testing.assert_array_equal(one.volume.array[0], volume.array[3])
    np.testing.assert_array_equal(one.mask.of("liver")[0], mask.of("liver")[3])
    other = found.examples[0]
    assert other.volume.geometry.shape == (8, 1, 32)
    np.testing.assert_array_equal(
        other.volume.slice("coronal", 0), ct_phantom((8, 32, 32), 1)[0].array[:, 15]
    )


def test_the_case_itself_and_other_structures_teach_nothing(session) -> None:
    assert {
        e.volume.name[:6] for e in finish(workflow.accepted_examples(session, ["liver"], "case-1")).examples
    } == {"case 2"}
    assert finish(workflow.accepted_examples(session, ["pancreas"], "case-3")).examples == ()
    assert [case.id for case in workflow.other_cases(session, "case-3")] == ["case-2", "case-1"]
    assert [case.id for case in workflow.other_cases(session, "case-2")] == ["case-1"]


def test_many_accepted_slices_are_bounded(session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepted, "MOST_SLICES", 2)
    found = finish(workflow.accepted_examples(session, ["liver"]))
    assert len(found.examples) == 2
    assert found.notes == ("The 2 accepted slices of the newest cases were taken.",)


def test_a_structure_accepted_alone_says_nothing_of_the_others() -> None:
    mask = Mask.empty(ct_phantom((8, 32, 32))[0].geometry, CT_TASK.structures).review("axial", (2, 3))
    mask = mask.record(Provenance("liver", "axial", 2, "sam"))
    assert workflow.reviewed_for(mask, "liver") == {"axial": frozenset({2, 3})}
    assert workflow.reviewed_for(mask, "spleen") == {"axial": frozenset({3})}
