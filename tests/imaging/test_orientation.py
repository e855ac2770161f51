"""Turning affines and grids; truth comes from nibabel's orientations and SimpleITK's transforms."""

from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from napari_medseg.core.geometry import Geometry
from napari_medseg.imaging.orientation import align, from_itk, from_ras, to_itk, to_ras

RNG = np.random.default_rng(0)


def random_affine() -> np.ndarray:
    affine = np.eye(4)
    affine[:3] = RNG.normal(size=(3, 4)) * 10
    return affine


def test_there_and_back_is_the_same_to_the_last_bit() -> None:
    for _ in range(20):
        affine = random_affine()
        assert to_ras(from_ras(affine)).tobytes() == affine.tobytes()
    assert from_ras(np.eye(4)).tolist() == [[0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    assert not np.signbit(from_ras(np.zeros((4, 4)))).any()


def test_the_same_point() -> None:
    affine = random_affine()
    i, j, k = 3, 4, 5
    r, a, s, _ = affine @ [i, j, k, 1]
    assert (from_ras(affine) @ [k, j, i, 1])[:3] == pytest.approx([-r, -a, s])


def test_itk_there_and_back() -> None:
    image = sitk.Image(6, 5, 4, sitk.sitkUInt8)
    image.SetSpacing((0.5, 0.7, 3))
    image.SetOrigin((1, 2, 3))
    image.SetDirection((0, -1, 0, 0, 0, 1, -1, 0, 0))
    affine = from_itk(image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    for z, y, x in product((0, 3), (0, 4), (0, 5)):
        world = image.TransformIndexToPhysicalPoint((x, y, z))
        assert Geometry((4, 5, 6), affine).index_to_world((z, y, x)) == pytest.approx(world)
    spacing, origin, direction = to_itk(affine)
    assert spacing == pytest.approx(image.GetSpacing())
    assert origin == image.GetOrigin()
    assert direction == pytest.approx(image.GetDirection())


@pytest.mark.parametrize("order", list(permutations("RAS")))
def test_turns_are_those_of_nibabel(order: tuple[str, ...]) -> None:
    array = RNG.integers(0, 9, (3, 4, 5))
    image = nib.Nifti1Image(array.astype(np.int16), np.diag([0.5, 2, 3, 1]))
    for flips in product((False, True), repeat=3):
        opposite = dict(zip("RAS", "LPI", strict=True))
        codes = "".join(opposite[c] if flip else c for c, flip in zip(order, flips, strict=True))
        turned = image.as_reoriented(
            nib.orientations.ornt_transform(
                nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(codes)
            )
        )
        source = Geometry(turned.shape[::-1], from_ras(turned.affine))
        target = Geometry(image.shape[::-1], from_ras(image.affine))
        back = align(np.asarray(turned.dataobj).T, source, target)
        assert back is not None
        assert np.array_equal(back, array.T)


def test_other_voxels_do_not_align() -> None:
    geometry = Geometry((4, 4, 4), np.eye(4))
    sheared = np.eye(4)
    sheared[0, 1] = 0.6
    for affine in (np.diag([1, 1, 2, 1.0]), sheared):
        assert align(np.zeros((4, 4, 4)), Geometry((4, 4, 4), affine), geometry) is None
    moved = np.eye(4)
    moved[0, 3] = 0.5
    assert align(np.zeros((4, 4, 4)), Geometry((4, 4, 4), moved), geometry) is None
