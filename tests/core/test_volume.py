"""Images on their grids; truth is numpy's indexing, or worked by hand."""

import numpy as np
import pytest

from napari_medseg.core.errors import GeometryError
from napari_medseg.core.geometry import PLANES, Geometry, Plane, from_spacing
from napari_medseg.core.volume import Case, Volume, Window

GRID = Geometry((2, 3, 4), from_spacing((1.0, 1.0, 1.0)))


def test_a_window_spans_its_width_about_its_centre() -> None:
    assert Window(40, 400).limits == (-160.0, 240.0)


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 4, 3)])
@pytest.mark.parametrize("plane", PLANES)
def test_slices_are_numpys(shape: tuple[int, ...], plane: Plane) -> None:
    array = np.arange(np.prod(shape)).reshape(shape)
    volume = Volume(array, GRID)
    axis = PLANES.index(plane)  # an upright axial grid
    assert volume.n_channels == (3 if len(shape) == 4 else 1)
    assert volume.n_slices(plane) == shape[axis]
    for index in range(shape[axis]):
        np.testing.assert_array_equal(volume.slice(plane, index), np.take(array, index, axis=axis))


def test_a_slice_can_be_changed_without_changing_the_image() -> None:
    volume = Volume(np.zeros((2, 3, 4)), GRID)
    volume.slice("axial", 0)[:] = 1
    assert not volume.array.any()


def test_slices_that_are_one_pixel_wide_keep_their_shape() -> None:
    volume = Volume(np.zeros((1, 3, 1)), Geometry.of_pixels((1, 3, 1)))
    assert volume.slice("axial", 0).shape == (3, 1)
    assert volume.slice("sagittal", 0).shape == (1, 3)


@pytest.mark.parametrize("index", [-1, 2, 99])
def test_a_slice_outside_is_refused(index: int) -> None:
    with pytest.raises(GeometryError, match="no axial slice .* 0 to 1"):
        Volume(np.zeros((2, 3, 4)), GRID).slice("axial", index)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 5), (4, 3, 2), (2, 3, 4, 0), (2, 3, 4, 1, 1)])
def test_an_array_off_its_grid_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(GeometryError, match="does not lie on its grid"):
        Volume(np.zeros(shape), GRID)


def test_the_mask_of_a_case_lives_on_its_first_image() -> None:
    first = Volume(np.zeros((2, 3, 4)), GRID)
    second = Volume(np.zeros((1, 3, 4)), Geometry.of_pixels((1, 3, 4)))
    assert Case((first, second)).geometry is GRID
    with pytest.raises(GeometryError, match="at least one image"):
        Case(())
