"""How automatic methods are asked: for all structures, with a box a part, for what cannot be there."""

import json
from pathlib import Path

import numpy as np
import pytest

from napari_medseg.benchmarks.automatic_answers import AUTOMATIC, FOREIGN, Desk, foreign_task, pieces_of
from napari_medseg.benchmarks.automatic_arms import Arm
from napari_medseg.benchmarks.harness import Unit, units_of
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.prompts import Box
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.learning.data import Dataset, read_datasets
from tests.phantom_sets import patients, write_phantoms


class Filler:
    """Fills the boxes it is given; without any, the left half of the picture, whatever is asked for."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def prepare(self, volume: object, plane: str, slices: tuple[int, ...]) -> Job[None]:
        yield Progress(1.0)

    def segment(self, request: Request) -> Job[Segmentation]:
        yield Progress(0.5)
        self.asked.append(request)
        regions = {}
        for name in request.wanted:
            region = request.region()
            if not request.prompts:
                region[:, :, : region.shape[2] // 2] = True
            for prompt in request.prompts:
                assert isinstance(prompt, Box)
                top, left, bottom, right = (round(edge) for edge in (*prompt.start, *prompt.stop))
                region[0, top:bottom, left:right] = True
            regions[name] = region
        return Segmentation(request.mask_of(regions), request.start)


@pytest.fixture
def sets(tmp_path: Path) -> tuple[Dataset, ...]:
    """A breast, an abdomen in 3-D, and a brain."""
    for name, anatomy, dim in (
        ("breast", "breast", 2),
        ("belly", "abdomen / liver", 3),
        ("head", "brain", 2),
    ):
        folder = write_phantoms(tmp_path / name, patients(2, "val"), dim=dim)
        file = folder / "dataset.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"anatomy": anatomy}))
    return read_datasets([tmp_path])


def arm(name: str, filler: Filler) -> Arm:
    """The filler under some name."""
    return Arm(name, lambda slug: ("v1", lambda: filler))


def unit_of(sets: tuple[Dataset, ...], name: str) -> Unit:
    """The first image of a set."""
    return next(unit for unit in units_of(sets, "val", 0) if unit.dataset.name == name)


def test_another_task_is_one_the_image_cannot_show(sets: tuple[Dataset, ...]) -> None:
    for unit in units_of(sets, "val", 0):
        found = foreign_task(unit, sets)
        assert found is not None
        # heart, thorax, breast and abdomen may be seen together: only the head is elsewhere
        assert (found.slug == "head") == (unit.dataset.name != "head")
        assert found == foreign_task(unit, sets)
    assert foreign_task(unit_of(sets, "head"), [one for one in sets if one.name == "head"]) is None


def test_all_structures_are_asked_for_and_absent_ones_have_a_false_area(sets: tuple[Dataset, ...]) -> None:
    unit, filler = unit_of(sets, "belly"), Filler()
    own, foreign = pieces_of([unit], sets, [arm("filler", filler)])
    rows = Desk().do(own)
    truth = unit.item.mask()
    assert [row.structure for row in rows] == list(truth.names)
    assert {row.part for row in rows} == {AUTOMATIC}
    assert filler.asked[0].slices == tuple(range(8))
    for row in rows:
        assert (row.false_area is None) == bool(truth.of(row.structure).any())
    strange = Desk().do(foreign)
    assert {row.structure for row in strange} == {"gland", "lesion"}
    assert {(row.part, row.set, row.dice, row.false_area) for row in strange} == {
        (FOREIGN, "belly", 0.0, 0.5)
    }
    assert filler.asked[-1].slices == (4,) and filler.asked[-1].task.slug == "head"


def test_boxes_go_to_one_part_at_a_time(sets: tuple[Dataset, ...]) -> None:
    unit, filler = unit_of(sets, "breast"), Filler()
    (piece,) = pieces_of([unit], sets, [arm("segmote_box", filler)])
    rows = Desk().do(piece)
    assert all(len(request.prompts) == 1 for request in filler.asked)
    assert {request.prompts[0].structure for request in filler.asked} == {"gland", "lesion"}
    assert all(row.dice > 0.6 and row.false_area is None for row in rows)
    hidden = Filler()
    (piece,) = pieces_of([unit], sets, [arm("sam_box", hidden)])
    assert [row.dice for row in Desk().do(piece)] == [row.dice for row in rows]
    assert {request.prompts[0].structure for request in hidden.asked} == {"target"}
    assert [one.prompts[0].start for one in hidden.asked] == [one.prompts[0].start for one in filler.asked]


def test_an_arm_is_not_asked_for_what_it_does_not_know(sets: tuple[Dataset, ...]) -> None:
    knows = Arm("one", lambda slug: ("v1", Filler) if slug == "head" else None)
    pieces = pieces_of(units_of(sets, "val", 0), sets, [knows])
    assert {piece.task.slug for piece in pieces} == {"head"}
    assert {piece.unit.dataset.name for piece in pieces} == {"head", "breast", "belly"}
    assert len({piece.key for piece in pieces}) == len(pieces)
    assert np.all([" @ one @ v1" in piece.key for piece in pieces])
