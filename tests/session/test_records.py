"""Nouns to JSON and back: the truth is the noun itself, bit for bit."""

import json
from dataclasses import asdict, replace
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest

from napari_medseg.core.geometry import Geometry
from napari_medseg.core.mask import Mask, Provenance
from napari_medseg.core.phantoms import MR_TASK
from napari_medseg.core.structure import Code, Structure
from napari_medseg.core.task import Rule
from napari_medseg.session import records


def through_json(value):
    return json.loads(json.dumps(value, default=records.plain))


def rich_mask():
    """Two overlapping structures with everything a mask can know."""
    geometry = Geometry((2, 3, 4), np.diag([1.0, 2.0, 3.0, 1.0])[[2, 1, 0, 3]])
    liver = Structure("liver", (1, 2, 3), True, "completed", Code("SCT", "10200004", "Liver"))
    tumour = Structure("tumour", (250, 0, 9), False, "flagged")
    mask = Mask.empty(geometry, (liver, tumour)).put("liver", np.ones((2, 3, 4), bool))
    region = np.zeros((2, 3, 4), bool)
    region[0, 1, 1:3] = True
    mask = mask.put("tumour", region).review("axial", [0, 1]).review("coronal", [2])
    settings = MappingProxyType({"threshold": np.float64(0.3), "ranges": (1, 2), "on": np.bool_(True)})
    return mask.record(
        Provenance(
            "liver", "axial", None, "sam", "compact-1", settings, 3, 40, 1.5, "reader 1", "2026-01-01"
        ),
        Provenance("tumour", "coronal", 2, "hand"),
    )


def test_a_grid_keeps_every_bit():
    rng = np.random.default_rng(0)
    for _ in range(20):
        affine = np.eye(4)
        affine[:3] = rng.normal(size=(3, 4)) * 10.0 ** rng.integers(-3, 4)
        grid = Geometry((3, 4, 5), affine, spacing_known=False, regular=False)
        again = records.geometry_of(through_json(records.geometry_as_json(grid)))
        assert again.affine.tobytes() == grid.affine.tobytes()
        assert (again.shape, again.spacing_known, again.regular) == ((3, 4, 5), False, False)


def test_a_mask_keeps_all_it_knows():
    mask = rich_mask()
    row = SimpleNamespace(**through_json(records.mask_as_json(mask)))
    again = records.mask_of(row, mask.geometry, mask.arrays)
    assert again.structures == mask.structures
    assert dict(again.places) == dict(mask.places)
    assert again.places["tumour"][0] != again.places["liver"][0]  # they overlap: an array each
    assert again.reviewed == mask.reviewed
    settings = {"threshold": 0.3, "ranges": [1, 2], "on": True}  # JSON has no tuples
    assert again.provenance == (replace(mask.provenance[0], settings=settings), mask.provenance[1])


def test_a_task_keeps_structures_codes_and_rules():
    coded = replace(MR_TASK.structures[0], code=Code("SCT", "12738006", "Brain"), locked=True)
    value = replace(MR_TASK, structures=(coded, *MR_TASK.structures[1:]), site="ward 3")
    assert records.task_of(through_json(asdict(value))) == value


def test_renaming_reaches_the_rules():
    renamed = records.task_renamed(MR_TASK, "tumour", "glioma")
    assert renamed.structure_names == ("brain", "ventricles", "glioma")
    assert renamed.rules == (Rule("inside", "ventricles", "brain"), Rule("inside", "glioma", "brain"))


@pytest.mark.parametrize(
    ("states", "state"),
    [
        ([], "not started"),
        (["completed", "completed"], "completed"),
        (["completed", "not started"], "in progress"),
        (["completed", "flagged"], "flagged"),
    ],
)
def test_the_state_of_a_case_is_that_of_its_structures(states, state):
    case = SimpleNamespace(
        id="case-2", patient_group="ab", modality="MR", added="now",
        geometry=records.geometry_as_json(Geometry.of_pixels((1, 2, 3))),
    )  # fmt: skip
    structures = [{"state": one} for one in states]
    revision = SimpleNamespace(number=3, structures=structures, reviewed={"axial": [0, 4], "coronal": [1]})
    record = records.record_of(case, revision if states else None, None)
    assert (record.name, record.state, record.shape) == ("case 2", state, (1, 2, 3))
    assert (record.revision, record.n_reviewed) == ((3, 3) if states else (0, 0))
