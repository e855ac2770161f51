"""Mask repairs; truth comes from SimpleITK's filters and from distances counted one by one."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage
from scipy.spatial.distance import cdist

from napari_medseg.core.errors import TaskError
from napari_medseg.imaging.edit import (
    fill_holes,
    grow,
    keep_largest,
    remove_islands,
    remove_specks,
    shrink,
    smooth,
)

RNG = np.random.default_rng(0)
SHAPES = [(12, 15, 18), (30, 34)]


def blobs(shape: tuple[int, ...], level: float = 0.1) -> np.ndarray:
    return ndimage.gaussian_filter(RNG.normal(size=shape), 1.2) > level


def by_itk(filter_: sitk.ImageFilter, region: np.ndarray) -> np.ndarray:
    return sitk.GetArrayFromImage(filter_.Execute(sitk.GetImageFromArray(region.astype(np.uint8))))


@pytest.mark.parametrize("shape", SHAPES)
def test_holes_as_in_itk(shape: tuple[int, ...]) -> None:
    region = blobs(shape, -0.3)
    filled = fill_holes(region)
    assert np.array_equal(filled, by_itk(sitk.BinaryFillholeImageFilter(), region) > 0)
    assert filled.sum() > region.sum()


@pytest.mark.parametrize("shape", SHAPES)
def test_pieces_as_in_itk(shape: tuple[int, ...]) -> None:
    region = blobs(shape)
    pieces = by_itk(sitk.ConnectedComponentImageFilter(), region)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    assert np.array_equal(keep_largest(region), pieces == sizes.argmax())
    spacing = (2.0, 0.5, 0.5)[-len(shape) :]
    limit = float(np.median(sizes[1:]) * np.prod(spacing))
    kept = remove_islands(region, limit, spacing)
    assert np.array_equal(kept, (sizes * np.prod(spacing) >= limit)[pieces])
    assert 0 < kept.sum() < region.sum()


@pytest.mark.parametrize("shape", SHAPES)
def test_median_as_in_itk(shape: tuple[int, ...]) -> None:
    region = np.zeros(shape, bool)
    region[tuple(slice(4, n - 2) for n in shape)] = blobs(tuple(n - 6 for n in shape))
    median = sitk.BinaryMedianImageFilter()
    spacing = (2.0, 0.5, 0.5)[-len(shape) :]
    median.SetRadius([int(3 / (2 * step)) for step in spacing[::-1]])
    median.SetForegroundValue(1)
    assert np.array_equal(smooth(region, 3.0, spacing), by_itk(median, region) > 0)


@pytest.mark.parametrize("shape", [(7, 9, 10), (16, 18)])
@pytest.mark.parametrize("distance", [0.0, 0.5, 1.3, 2.0, 30.0])
def test_growing_and_shrinking_as_counted_one_by_one(shape: tuple[int, ...], distance: float) -> None:
    spacing = (1.7, 0.5, 0.8)[-len(shape) :]
    region = blobs(shape, 0.25)
    at = np.argwhere(np.ones(shape, bool)) * spacing
    inside = region.ravel()
    near = cdist(at, at[inside]).min(axis=1).reshape(shape) <= distance
    assert np.array_equal(grow(region, distance, spacing), near)
    far = cdist(at, at[~inside]).min(axis=1).reshape(shape) > distance
    assert np.array_equal(shrink(region, distance, spacing), far & region)


def test_nothing_and_everything() -> None:
    nothing, everything = np.zeros((3, 4, 5), bool), np.ones((3, 4, 5), bool)
    for region in (nothing, everything):
        for edited in (
            fill_holes(region),
            keep_largest(region),
            remove_islands(region, 1, (1, 1, 1)),
            smooth(region, 3, (1, 1, 1)),
            grow(region, 2, (1, 1, 1)),
            shrink(region, 2, (1, 1, 1)),
        ):
            assert np.array_equal(edited, region)
            assert edited.dtype == bool
            assert not np.shares_memory(edited, region)


def test_a_length_below_nothing_is_refused() -> None:
    for edit in (grow, shrink, smooth):
        with pytest.raises(TaskError, match="0 mm or more, not -1"):
            edit(np.ones((3, 3), bool), -1, (1, 1))


def test_specks_go_and_parts_stay() -> None:
    region = np.zeros((40, 40), bool)
    region[5:15, 5:15] = region[20:28, 20:28] = region[35, 35] = True
    kept = remove_specks(region, 0.1)
    assert kept.sum() == 100 + 64
    np.testing.assert_array_equal(remove_specks(region, 0.0), region)
    assert not remove_specks(np.zeros((4, 4), bool), 0.5).any()
