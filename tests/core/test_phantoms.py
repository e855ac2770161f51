"""Phantoms: sizes follow the closed form of an ellipsoid, positions the body they stand for."""

from itertools import combinations

import numpy as np
import pytest

from napari_medseg.core.phantoms import CT_TASK, MR_TASK, ct_phantom, mr_phantom, slice_phantom


def test_same_seed_same_phantom_other_seed_another() -> None:
    for make in (ct_phantom, mr_phantom, slice_phantom):
        first, again, other = make(seed=1), make(seed=1), make(seed=2)
        np.testing.assert_array_equal(first[0].array, again[0].array)
        np.testing.assert_array_equal(first[1].flat(), again[1].flat())
        assert np.any(first[0].array != other[0].array)


def test_tumour_volume_is_that_of_an_ellipsoid() -> None:
    _, mask = ct_phantom((40, 128, 128), seed=4)
    full = 4 / 3 * np.pi * 18 * 16 * 18 / 1000
    assert full * 0.95**3 * 0.97 < mask.ml("liver tumour") < full * 1.05**3 * 1.03


@pytest.mark.parametrize("seed", range(5))
def test_nested_structures_lie_inside_and_others_do_not_touch(seed: int) -> None:
    for make, task in ((ct_phantom, CT_TASK), (mr_phantom, MR_TASK)):
        _, mask = make(seed=seed)
        nested = {frozenset((rule.first, rule.second)) for rule in task.rules}
        for rule in task.rules:
            assert mask.of(rule.first).any()
            assert not np.any(mask.of(rule.first) & ~mask.of(rule.second))
        for one, two in combinations(mask.names, 2):
            if frozenset((one, two)) not in nested:
                assert not np.any(mask.of(one) & mask.of(two)), (one, two)


def test_ct_shows_hounsfield_units_and_the_liver_on_the_right() -> None:
    volume, mask = ct_phantom()
    spleen = volume.array[mask.of("spleen")]
    assert spleen.mean() == pytest.approx(125, abs=2)
    assert spleen.std() == pytest.approx(12, abs=1)
    assert volume.array[:, 0, 0].mean() == pytest.approx(-1000, abs=10)
    liver = volume.geometry.index_to_world(np.argwhere(mask.of("liver"))).mean(axis=0)
    assert liver[0] < -40  # LPS: smaller x is the patient's right
    assert volume.geometry.native_plane == "axial"
    assert volume.geometry.spacing == pytest.approx((5.0, 3.75, 3.75))


def test_mr_is_sagittal_and_oblique() -> None:
    volume, mask = mr_phantom()
    assert volume.geometry.native_plane == "sagittal"
    assert volume.geometry.obliqueness_degrees == pytest.approx(8.0)
    assert [volume.geometry.ends(axis) for axis in range(3)] == [("R", "L"), ("S", "I"), ("A", "P")]
    middle = volume.geometry.index_to_world(np.argwhere(mask.of("brain"))).mean(axis=0)
    assert np.abs(middle).max() < 12


def test_slice_knows_no_millimetres() -> None:
    volume, mask = slice_phantom(128, seed=5)
    assert volume.geometry.is_2d
    assert not volume.geometry.spacing_known
    assert np.all(mask.of("gland")[mask.of("lesion")])
    lesion, gland = volume.array[mask.of("lesion")], volume.array[mask.of("gland") & ~mask.of("lesion")]
    assert gland.mean() - lesion.mean() > 60
