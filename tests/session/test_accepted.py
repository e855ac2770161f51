"""Accepted slices come with their image and only the structures that were looked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_medseg.core.phantoms import CT_TASK, ct_phantom
from napari_medseg.core.provenance import Provenance
from napari_medseg.session.accepted import accepted_slices, outlined_names
from napari_medseg.session.store import Session


@pytest.fixture
def session(tmp_path: Path):
    with Session.create(tmp_path / "session", CT_TASK) as session:
        session.add_case(tmp_path / "1.nii", ct_phantom((8, 32, 32))[0], patient="somebody")
        yield session


def accept(session, plane, index, reader="", **regions):
    """Accept some structures on one slice on top of what is there."""
    volume, fresh = ct_phantom((8, 32, 32))
    mask = session.load("case-1") or type(fresh).empty(fresh.geometry, CT_TASK.structures)
    for name, region in regions.items():
        name = name.replace("_", " ")
        mask = mask.put_slice(
            name, plane, index, fresh.on_slice(name, plane, index) if region is None else region
        )
        mask = mask.record(Provenance(name, plane, index, "by hand", reader=reader))
    session.accept("case-1", mask.review(plane, [index]), volume)


def slices(session, *names):
    return list(accepted_slices(session, session.cases()[0], names or CT_TASK.structure_names))


def test_what_was_not_looked_for_is_unknown_and_an_empty_slice_is_an_answer(session) -> None:
    nothing = np.zeros((32, 32), bool)
    accept(session, "axial", 4, liver=None, spleen=nothing)
    accept(session, "coronal", 18, aorta=None)
    one, other = slices(session)
    volume, truth = ct_phantom((8, 32, 32))
    assert one.key == ("case-1", "axial", 4) and other.key == ("case-1", "coronal", 18)
    assert set(one.regions) == {"liver", "spleen"} and set(other.regions) == {"aorta"}
    np.testing.assert_array_equal(one.regions["liver"][0], truth.on_slice("liver", "axial", 4))
    assert one.shows("liver") and not one.shows("spleen") and not one.shows("aorta")
    np.testing.assert_array_equal(one.image.array[0], volume.array[4])
    assert other.image.geometry.shape == (8, 1, 32) and other.grid.shape == (8, 32, 32)
    assert one.group == session.cases()[0].group != "somebody"
    example = one.without("spleen").example("a title")
    assert example.volume.name == "a title" and example.mask.names == ("liver",)
    assert example.mask.reviewed == {"axial": frozenset({0})}
    assert outlined_names(session, ("aorta", "spleen", "liver")) == ("aorta", "liver")
    assert [one.key for one in slices(session, "aorta")] == [("case-1", "coronal", 18)]
    assert slices(session, "pancreas") == []


def test_another_reader_s_outline_is_remembered_and_a_correction_is_not(session) -> None:
    left = np.zeros((32, 32), bool)
    left[:, :16] = True
    accept(session, "axial", 4, "a", liver=left)
    accept(session, "axial", 5, "a", liver=left)
    accept(session, "axial", 5, "a", liver=~left)
    assert [dict(one.others) for one in slices(session)] == [{}, {}]
    accept(session, "axial", 4, "b", liver=~left)
    one, other = slices(session)
    np.testing.assert_array_equal(one.others["liver"][0], left)
    np.testing.assert_array_equal(one.regions["liver"][0], ~left)
    assert other.others == {}
    accept(session, "axial", 4, "b", liver=None)
    np.testing.assert_array_equal(slices(session)[0].others["liver"][0], left)
