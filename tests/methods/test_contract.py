"""The contract every method of the menu keeps, whatever it does inside."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Mask
from napari_medseg.core.phantoms import CT_TASK, ct_phantom
from napari_medseg.core.progress import Progress, finish
from napari_medseg.core.prompts import Box, Point, on_grid
from napari_medseg.core.request import Example, Request, Segmentation
from napari_medseg.core.settings import as_record, fields_of, with_overrides
from napari_medseg.core.volume import Volume
from napari_medseg.methods import Method, entry, menu
from tests.models import tiny_hsp_sam, tiny_sam, tiny_segicl, tiny_segmote

MODELS = {"sam": tiny_sam, "segicl": tiny_segicl, "hsp_sam": tiny_hsp_sam, "segmote": tiny_segmote}


@pytest.fixture(scope="module")
def case() -> tuple[Volume, Mask]:
    return ct_phantom()


@pytest.fixture(params=sorted(menu()))
def method(request: pytest.FixtureRequest, tmp_path: Path) -> Method:
    line = entry(request.param)
    model = MODELS[line.network](tmp_path) if line.network else None
    return line.build(line.settings(), model, "cpu")


def liver_request(case: tuple[Volume, Mask], plane: Plane, n: int = 3) -> Request:
    """A box and a click on the liver's largest slice of a plane, `n` slices around it asked for.

    The first and the last of them are outlined already.
    """
    volume, mask = case
    axis = volume.geometry.axis_of(plane)
    region = np.moveaxis(mask.of("liver"), axis, 0)
    index = int(region.sum((1, 2)).argmax())
    rows, columns = np.nonzero(region[index])
    middle = len(rows) // 2
    box = Box("liver", plane, index, (rows.min(), columns.min()), (rows.max() + 1, columns.max() + 1))
    point = Point("liver", plane, on_grid(int(rows[middle]), int(columns[middle]), index, axis))
    first = max(0, index - n // 2)
    before = Mask.empty(volume.geometry, CT_TASK.structures)
    for outlined in (first, first + n - 1):
        before = before.put_slice("liver", plane, outlined, region[outlined])
    slices = tuple(range(first, first + n))
    example = Example(volume, replace(mask, reviewed={plane: frozenset({index})}))
    return Request(volume, plane, slices, CT_TASK, (box, point), (example,), previous=before)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_the_answer_lies_on_the_slices_asked_for(
    method: Method, case: tuple[Volume, Mask], plane: Plane
) -> None:
    request = liver_request(case, plane)
    answer = finish(method.segment(request))
    assert isinstance(answer, Segmentation)
    assert answer.mask.geometry.same_grid(request.part)
    assert answer.start == request.start
    assert answer.mask.names == ("liver",)
    if answer.uncertainty is not None:
        assert answer.uncertainty.shape == request.part.shape
        assert 0 <= answer.uncertainty.min() <= answer.uncertainty.max() <= 1
    for values in answer.quality.values():
        assert len(values) == len(request.slices)
        assert all(0 <= value <= 1 for value in values)
    for other in answer.alternatives:
        assert other.mask.geometry.same_grid(request.part)


def test_progress_grows_from_0_to_1(method: Method, case: tuple[Volume, Mask]) -> None:
    request = liver_request(case, "axial")
    for job in (method.prepare(request.volume, "axial", request.slices), method.segment(request)):
        steps: list[Progress] = []
        finish(job, steps.append)
        done = [step.done for step in steps]
        assert done
        assert done == sorted(done)
        assert 0 <= done[0] <= done[-1] <= 1


def test_stopping_half_way_leaves_the_method_usable(method: Method, case: tuple[Volume, Mask]) -> None:
    request = liver_request(case, "axial")
    job = method.segment(request)
    next(job)
    job.close()
    first = finish(method.segment(request))
    again = finish(method.segment(request))
    np.testing.assert_array_equal(first.mask.of("liver"), again.mask.of("liver"))


def test_the_image_is_not_touched(method: Method, case: tuple[Volume, Mask]) -> None:
    before = case[0].array.copy()
    finish(method.segment(liver_request(case, "axial")))
    np.testing.assert_array_equal(before, case[0].array)


@pytest.mark.parametrize("name", sorted(menu()))
def test_settings_make_forms_flags_and_records(name: str) -> None:
    line = entry(name)
    settings = line.settings()
    for item in fields_of(settings):
        assert item.title
        assert item.kind in (bool, int, float, str)
        assert item.default == getattr(settings, item.name)
        assert getattr(with_overrides(settings, {item.name: str(item.default)}), item.name) == item.default
    assert set(as_record(settings)) == {item.name for item in fields_of(settings)}


def test_a_method_that_is_not_there_is_said() -> None:
    with pytest.raises(TaskError, match="threshold"):
        entry("magic")


@pytest.mark.parametrize("name", sorted(menu()))
def test_the_menu_opens_without_torch(name: str) -> None:
    """The panel opens before torch loads: listing and describing a method must not import it."""
    import subprocess
    import sys

    code = f"import sys, napari_medseg.methods as m; m.entry({name!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
