"""Grids in space; truth is nibabel for planes and letters, SimpleITK for positions, or worked by hand."""

import itertools
import pickle
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from napari_medseg.core.errors import GeometryError
from napari_medseg.core.geometry import PLANES, Geometry, from_spacing, slab

SHAPE = (5, 7, 9)
TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
OPPOSITE = dict(zip("LRAPIS", "RLPASI", strict=True))
TOWARDS = {"R": (-1, 0, 0), "L": (1, 0, 0), "A": (0, -1, 0), "P": (0, 1, 0), "I": (0, 0, -1), "S": (0, 0, 1)}
CODES = [
    "".join(code)
    for order in itertools.permutations(("LR", "PA", "SI"))
    for code in itertools.product(*order)
]
NORMALS = {"axial": "SI", "coronal": "AP", "sagittal": "LR"}


def nibabel_affine(affine: np.ndarray) -> np.ndarray:
    """Turn (z, y, x) to LPS into nibabel's (i, j, k) to RAS."""
    return TO_RAS @ affine[:, [2, 1, 0, 3]]


def grid_of(code: str, spacing: tuple[float, float, float] = (1.0, 2.0, 3.0)) -> Geometry:
    """Make a grid whose array axes (z, y, x) run towards these letters."""
    affine = np.eye(4)
    for axis, letter in enumerate(code):
        affine[:3, axis] = np.array(TOWARDS[letter]) * spacing[axis]
    return Geometry(SHAPE, affine)


def rotated(
    degrees: tuple[float, float, float], spacing: tuple[float, float, float] = (3.0, 0.9, 0.7)
) -> Geometry:
    """Make a grid turned about x, y and z of the body."""
    affine = np.eye(4)
    affine[:3, :3] = (
        Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ from_spacing(spacing)[:3, :3]
    )
    affine[:3, 3] = (-31.0, 12.5, 700.25)
    return Geometry(SHAPE, affine)


@pytest.mark.parametrize("code", CODES)
def test_planes_and_letters_are_nibabels(code: str) -> None:
    geometry = grid_of(code)
    assert nib.aff2axcodes(nibabel_affine(geometry.affine)) == tuple(code[::-1])
    for axis, letter in enumerate(code):
        assert geometry.ends(axis) == (OPPOSITE[letter], letter)
        assert letter in NORMALS[geometry.plane_of(axis)]
        assert geometry.axis_of(geometry.plane_of(axis)) == axis
    assert geometry.native_plane == geometry.plane_of(0)
    assert geometry.obliqueness_degrees == pytest.approx(0.0, abs=1e-6)


@given(st.tuples(*[st.floats(-180, 180)] * 3))
def test_turned_grids_agree_with_nibabel(degrees: tuple[float, float, float]) -> None:
    geometry = rotated(degrees)
    ras = nibabel_affine(geometry.affine)
    angles = np.degrees(nib.affines.obliquity(ras))
    planes = [geometry.plane_of(axis) for axis in range(3)]
    assert sorted(planes) == sorted(PLANES)
    if angles.max() < 44.9:  # beyond, each array axis no longer has one nearest body axis
        assert geometry.obliqueness_degrees == pytest.approx(angles.max(), abs=1e-5)
        letters = nib.aff2axcodes(ras)[::-1]
        for axis, letter in enumerate(letters):
            assert letter in NORMALS[planes[axis]]
            assert geometry.ends(axis) == (OPPOSITE[letter], letter)


@pytest.mark.parametrize("axis", ["x", "y", "z"])
@pytest.mark.parametrize("degrees", [45.0, -45.0, 135.0, 45.0 + 1e-9, 45.0 - 1e-9])
def test_at_45_degrees_there_is_one_answer(axis: str, degrees: float) -> None:
    turned = rotated(tuple(degrees if axis == name else 0.0 for name in "xyz"))
    planes = [turned.plane_of(a) for a in range(3)]
    assert planes == list(PLANES)  # of equally good ones, the stored slices are axial where they can be
    assert turned.obliqueness_degrees == pytest.approx(45.0, abs=1e-6)


def test_equally_oblique_to_all_three_is_still_a_permutation() -> None:
    magic = np.degrees(np.arccos(1 / np.sqrt(3)))
    turned = rotated((45.0, 90.0 - magic, 0.0))
    assert sorted(turned.plane_of(a) for a in range(3)) == sorted(PLANES)
    assert {turned.axis_of(plane) for plane in PLANES} == {0, 1, 2}


def test_pictures_are_upright_whatever_their_affine() -> None:
    picture = Geometry.of_pixels((1, 4, 6))
    assert (picture.spacing_known, picture.oriented, picture.is_2d, picture.supports_3d) == (
        False,
        False,
        True,
        False,
    )
    assert [picture.plane_of(a) for a in range(3)] == list(PLANES)
    turned = replace(grid_of("PIR"), oriented=False)
    assert [turned.plane_of(a) for a in range(3)] == list(PLANES)
    assert not picture.is_anisotropic


@given(
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.tuples(*[st.floats(0.05, 10.0)] * 3),
    st.tuples(*[st.floats(-20, 40)] * 3),
)
def test_positions_are_simpleitks(
    degrees: tuple[float, float, float],
    spacing: tuple[float, float, float],
    index: tuple[float, float, float],
) -> None:
    geometry = rotated(degrees, spacing)
    image = sitk.Image(SHAPE[::-1], sitk.sitkUInt8)
    image.SetSpacing(geometry.spacing[::-1])
    image.SetOrigin(geometry.affine[:3, 3].tolist())
    image.SetDirection(geometry.direction[:, ::-1].ravel().tolist())
    world = image.TransformContinuousIndexToPhysicalPoint(index[::-1])
    np.testing.assert_allclose(geometry.index_to_world(index), world, atol=1e-9)
    back = image.TransformPhysicalPointToContinuousIndex(world)[::-1]
    np.testing.assert_allclose(geometry.world_to_index(world), back, atol=1e-8)
    assert geometry.voxel_ml == pytest.approx(np.prod(image.GetSpacing()) / 1000)


def test_positions_worked_by_hand() -> None:
    geometry = Geometry(SHAPE, from_spacing((5.0, 0.5, 0.25), (10.0, -20.0, 30.0)))
    np.testing.assert_array_equal(geometry.index_to_world((1, 2, 4)), (11.0, -19.0, 35.0))
    many = np.arange(24.0).reshape(2, 4, 3)
    np.testing.assert_allclose(geometry.world_to_index(geometry.index_to_world(many)), many)
    assert geometry.spacing == (5.0, 0.5, 0.25)
    assert geometry.voxel_ml == pytest.approx(0.000625)


def flat(column: int) -> np.ndarray:
    affine = from_spacing((1.0, 1.0, 1.0))
    affine[:3, column] = affine[:3, (column + 1) % 3]
    return affine


def with_value(row: int, column: int, value: float) -> np.ndarray:
    affine = from_spacing((1.0, 1.0, 1.0))
    affine[row, column] = value
    return affine


@pytest.mark.parametrize(
    "affine",
    [
        np.eye(3),
        with_value(0, 2, np.nan),
        with_value(1, 3, np.inf),
        with_value(0, 2, 0.0),
        with_value(0, 2, 1e-12),
        with_value(0, 2, 1e300),
        with_value(3, 0, 0.5),
        with_value(3, 3, 2.0),
        flat(0),
        flat(2) + 1e-5 * np.diag([1.0, 0.0, 0.0, 0.0]),
    ],
)
def test_affines_that_place_nothing_are_refused(affine: np.ndarray) -> None:
    with pytest.raises(GeometryError, match="affine"):
        Geometry(SHAPE, affine)


@pytest.mark.parametrize("shape", [(0, 4, 4), (4, 4), (1, -2, 4), (1.5, 4, 4)])
def test_sizes_that_are_no_counts_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(GeometryError, match="three sizes"):
        Geometry(shape, np.eye(4))


def test_a_sheared_grid_is_kept_and_known() -> None:
    tilt = from_spacing((2.0, 1.0, 1.0))
    tilt[1, 0] = 2.0 * np.tan(np.radians(30.0))  # a CT gantry tilted by 30 degrees
    tilted = Geometry(SHAPE, tilt)
    assert tilted.is_sheared and tilted.native_plane == "axial"
    assert tilted.obliqueness_degrees == pytest.approx(30.0)
    assert tilted.voxel_ml == pytest.approx(0.002)  # shear does not change a volume
    assert not rotated((10.0, 20.0, 30.0)).is_sheared


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [
        ((3.0, 1.0, 1.0), False),
        ((3.01, 1.0, 1.0), True),
        ((0.3, 0.1, 0.1), False),  # 0.3 > 3 * 0.1 in floating point
        ((1.0, 1.0, 5.0), True),  # slices counted along another array axis
        ((5.0, 2.0, 1.0), False),
        ((1.0, 1.0, 1.0), False),
    ],
)
def test_more_than_three_pixels_between_slices_is_anisotropic(
    spacing: tuple[float, float, float], expected: bool
) -> None:
    assert Geometry(SHAPE, from_spacing(spacing)).is_anisotropic is expected
    assert rotated((33.0, 12.0, -71.0), spacing).is_anisotropic is expected
    assert not Geometry((1, 7, 9), from_spacing(spacing)).is_anisotropic


def test_tools_that_join_slices_need_even_slices() -> None:
    assert Geometry(SHAPE, np.eye(4)).supports_3d
    assert not Geometry(SHAPE, np.eye(4), regular=False).supports_3d


def test_a_crop_keeps_its_place() -> None:
    whole = replace(rotated((10.0, -20.0, 5.0)), regular=False)
    part = whole.crop((1, 2, 3), (4, 7, 5))
    assert part.shape == (3, 5, 2) and not part.regular
    np.testing.assert_allclose(part.index_to_world((1, 1, 1)), whole.index_to_world((2, 3, 4)))
    np.testing.assert_array_equal(part.affine[:3, :3], whole.affine[:3, :3])


@pytest.mark.parametrize(
    ("start", "stop"),
    [((0, 0, 0), (6, 7, 9)), ((-1, 0, 0), (5, 7, 9)), ((2, 0, 0), (2, 7, 9)), ((3, 0, 0), (1, 7, 9))],
)
def test_a_crop_stays_in_the_image(start: tuple[int, int, int], stop: tuple[int, int, int]) -> None:
    with pytest.raises(GeometryError, match="no part"):
        Geometry(SHAPE, np.eye(4)).crop(start, stop)


def test_same_grid_tells_a_shift_from_rounding() -> None:
    geometry = rotated((10.0, -20.0, 5.0))

    def moved(voxels: float) -> Geometry:
        affine = geometry.affine.copy()
        affine[:3, 3] += geometry.affine[:3, 1] * voxels
        return Geometry(SHAPE, affine)

    assert geometry.same_grid(moved(0.0009)) and not geometry.same_grid(moved(0.0011))
    assert geometry.same_grid(moved(0.2), tolerance=0.25)
    assert geometry.same_grid(Geometry(SHAPE, geometry.affine.astype(np.float32)))  # as NIfTI keeps it
    stretched = geometry.affine.copy()
    stretched[:3, 2] *= 1.001  # the origin agrees, the far corner does not
    assert not geometry.same_grid(Geometry(SHAPE, stretched))
    assert not geometry.same_grid(Geometry((5, 9, 7), geometry.affine))
    flipped = geometry.affine.copy()
    flipped[:3, 0] *= -1
    assert not geometry.same_grid(Geometry(SHAPE, flipped))


def test_the_thickness_of_a_single_slice_makes_no_other_grid() -> None:
    thin, thick = (Geometry((1, 7, 9), from_spacing((mm, 1.0, 1.0))) for mm in (1.0, 5.0))
    assert thin.same_grid(thick)


def test_a_slice_is_a_part_of_the_grid() -> None:
    geometry = grid_of("PSR")
    assert geometry.n_slices("axial") == 7
    assert geometry.one_slice("axial", 6) == slab(1, 6, 7) == (slice(None), slice(6, 7), slice(None))
    for index in (-1, 7):
        with pytest.raises(GeometryError, match="0 to 6"):
            geometry.one_slice("axial", index)


def test_a_grid_cannot_be_changed_and_survives_a_copy() -> None:
    affine = from_spacing((1.0, 1.0, 1.0))
    geometry = Geometry(SHAPE, affine)
    affine[0, 0] = 9.0
    assert geometry.affine[0, 0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        geometry.affine[0, 0] = 1.0
    assert geometry.axis_of("coronal") == 1
    assert pickle.loads(pickle.dumps(geometry)).same_grid(geometry)
