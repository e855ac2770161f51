"""Filling between slices as a method: what is given, what is filled, what is said."""

from dataclasses import replace

import numpy as np
import pytest

from napari_medseg import workflow
from napari_medseg.core.correction import fixed_by_person
from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Mask
from napari_medseg.core.metrics import dice
from napari_medseg.core.phantoms import CT_TASK, ct_phantom
from napari_medseg.core.progress import finish
from napari_medseg.core.prompts import MaskPrompt
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.methods.between import ACCEPTED, Settings, build

VOLUME, TRUTH = ct_phantom()


def outlined(plane: Plane, *slices: int, names: tuple[str, ...] = ("liver",)) -> Mask:
    """The truth on some slices only."""
    mask = Mask.empty(VOLUME.geometry, CT_TASK.structures)
    for name in names:
        for index in slices:
            mask = mask.put_slice(name, plane, index, TRUTH.on_slice(name, plane, index))
    return mask


def ask(
    previous: Mask, plane: Plane = "axial", settings: Settings | None = None, **more: object
) -> Segmentation:
    n = VOLUME.n_slices(plane)
    words = {"slices": tuple(range(n)), **more}
    request = Request(VOLUME, plane, task=CT_TASK, previous=previous, **words)  # type: ignore[arg-type]
    return finish(workflow.segment(build(settings or Settings(), None, "cpu"), request))


def slices_with(name: str, plane: Plane) -> np.ndarray:
    axis = VOLUME.geometry.axis_of(plane)
    return np.flatnonzero(np.moveaxis(TRUTH.of(name), axis, 0).any((1, 2)))


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_every_third_slice_is_nearly_the_whole(plane: Plane) -> None:
    there = slices_with("liver", plane)
    given = [*there[::3], there[-1]]
    found = ask(outlined(plane, *given), plane).mask.of("liver")
    assert dice(found, TRUTH.of("liver")) > 0.97
    by_slice = np.moveaxis(found, VOLUME.geometry.axis_of(plane), 0)
    assert np.flatnonzero(by_slice.any((1, 2))).tolist() == there.tolist()


def test_several_structures_at_once_and_one_that_is_on_one_slice_only() -> None:
    previous = outlined("axial", 10, 14, names=("liver", "spleen"))
    previous = previous.put_slice("aorta", "axial", 10, TRUTH.on_slice("aorta", "axial", 10))
    found = ask(previous)
    assert found.mask.names == ("liver", "spleen")
    for name in found.mask.names:
        assert found.mask.of(name).any((1, 2)).nonzero()[0].tolist() == [10, 11, 12, 13, 14]
    assert found.notes == ("aorta: only axial slice 10 is outlined; two are needed.",)


def test_slices_outside_the_range_are_used_but_not_filled() -> None:
    found = ask(outlined("axial", 8, 14), slices=(10, 11))
    assert found.start == (10, 0, 0)
    assert all(dice(found.mask.of("liver")[k], TRUTH.of("liver")[10 + k]) > 0.9 for k in (0, 1))


def test_mask_prompts_are_given_slices() -> None:
    prompts = tuple(MaskPrompt("liver", "axial", i, TRUTH.on_slice("liver", "axial", i)) for i in (9, 12))
    found = ask(Mask.empty(VOLUME.geometry), prompts=prompts)
    assert found.mask.of("liver").any((1, 2)).nonzero()[0].tolist() == [9, 10, 11, 12]


def test_accepted_slices_stay_and_where_it_is_absent_it_is_not_filled() -> None:
    previous = outlined("axial", 8, 16).review("axial", [8, 12, 16])
    fixed = {"liver": fixed_by_person(previous, "liver")}
    with pytest.raises(TaskError, match="no gap"):
        ask(previous, fixed=fixed)
    previous = outlined("axial", 8, 10, 16).review("axial", [8, 16])
    wrong = previous.put_slice("liver", "axial", 10, np.zeros((96, 96), bool)).put_slice(
        "liver", "axial", 10, np.eye(96, dtype=bool)
    )
    fixed = {"liver": fixed_by_person(wrong, "liver")}
    anew = ask(wrong, settings=replace(Settings(), given=ACCEPTED), fixed=fixed).mask.of("liver")
    assert dice(anew[10], TRUTH.of("liver")[10]) > 0.85
    np.testing.assert_array_equal(anew[8], TRUTH.of("liver")[8])
    kept = ask(wrong, fixed=fixed).mask.of("liver")
    np.testing.assert_array_equal(kept[10], np.eye(96, dtype=bool))


def test_too_few_outlined_slices_are_said() -> None:
    with pytest.raises(TaskError, match="two axial slices"):
        ask(outlined("axial", 10))
    with pytest.raises(TaskError, match="no gap"):
        ask(outlined("axial", 10, 11))


def test_unevenly_spaced_slices_are_refused() -> None:
    uneven = replace(VOLUME, geometry=replace(VOLUME.geometry, regular=False))
    request = Request(uneven, "axial", (9, 10), CT_TASK, previous=outlined("axial", 8, 12))
    with pytest.raises(TaskError, match="not evenly spaced"):
        finish(build(Settings(), None, "cpu").segment(request))
