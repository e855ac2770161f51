"""Agreement measures; truth is MONAI, SimpleITK or a closed form, as each test says."""

import numpy as np
import pytest

from napari_medseg.core.errors import GeometryError
from napari_medseg.core.metrics import asd, dice, hd95, iou, score, surface_dice, surface_distances

SPACING = (2.5, 0.8, 1.3)


def blob(seed: int, shape: tuple[int, ...] = (12, 40, 36)) -> np.ndarray:
    """A lumpy region: smoothed noise above a threshold."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 3)
    return noise > np.quantile(noise, 0.8)


def pair(seed: int, shape: tuple[int, ...] = (12, 40, 36)) -> tuple[np.ndarray, np.ndarray]:
    """Two regions that overlap in part."""
    one = blob(seed, shape)
    return np.roll(one, 2, axis=-1) & ~blob(seed + 100, shape), one


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")  # MONAI warns of its own call
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", [(12, 40, 36), (60, 50)])
def test_agrees_with_monai(seed: int, shape: tuple[int, ...]) -> None:
    import torch
    from monai.metrics import (
        compute_average_surface_distance,
        compute_dice,
        compute_hausdorff_distance,
        compute_iou,
        compute_surface_dice,
    )

    pred, truth = pair(seed, shape)
    spacing = SPACING[-len(shape) :]
    ours = score(pred, truth, spacing, tolerance=1.5)
    a, b = (torch.from_numpy(r)[None, None].float() for r in (pred, truth))
    assert ours.dice == pytest.approx(float(compute_dice(a, b)))
    assert ours.iou == pytest.approx(float(compute_iou(a, b)))
    theirs = compute_hausdorff_distance(a, b, percentile=95, spacing=spacing)
    assert ours.hd95 == pytest.approx(float(theirs), rel=1e-5)
    theirs = compute_average_surface_distance(a, b, symmetric=True, spacing=spacing)
    assert ours.asd == pytest.approx(float(theirs), rel=1e-5)
    theirs = compute_surface_dice(a, b, [1.5], spacing=spacing, use_subvoxels=False)
    assert ours.surface_dice == pytest.approx(float(theirs), rel=1e-5)


def test_overlap_agrees_with_simpleitk() -> None:
    import SimpleITK as sitk

    pred, truth = pair(7)
    filter = sitk.LabelOverlapMeasuresImageFilter()
    filter.Execute(*(sitk.GetImageFromArray(r.astype(np.uint8)) for r in (pred, truth)))
    assert dice(pred, truth) == pytest.approx(filter.GetDiceCoefficient())
    assert iou(pred, truth) == pytest.approx(filter.GetJaccardCoefficient())


def test_a_shifted_square_in_closed_form() -> None:
    truth = np.zeros((40, 40), bool)
    truth[10:20, 10:20] = True
    pred = np.roll(truth, 3, axis=1)
    ours = score(pred, truth, (1.0, 2.0), tolerance=2.0)
    assert ours.dice == pytest.approx(0.7)
    assert ours.iou == pytest.approx(70 / 130)
    # The far side of each square (10 voxels of 36) lies 3 columns of 2 mm away.
    assert ours.hd95 == pytest.approx(6.0)
    assert np.isnan(ours.false_positive)


def test_tolerance_of_two_pixels_forgives_two_pixels() -> None:
    truth = np.zeros((40, 40), bool)
    truth[10:20, 10:20] = True
    for shift, agrees in ((2, True), (3, False)):
        value = surface_dice(surface_distances(np.roll(truth, shift, axis=1), truth, (1.0, 1.0)), 2.0)
        assert (value == 1.0) is agrees


def test_a_slice_of_a_volume_scores_as_the_picture_does() -> None:
    pred, truth = pair(3, (50, 60))
    flat = score(pred, truth, (0.8, 1.3))
    for axis in range(3):
        spacing = list((0.8, 1.3))
        spacing.insert(axis, 9.0)
        assert score(np.expand_dims(pred, axis), np.expand_dims(truth, axis), spacing).hd95 == flat.hd95


def test_empty_rules() -> None:
    nothing, something = np.zeros((4, 30, 40), bool), np.zeros((4, 30, 40), bool)
    something[1:3, 5:9, 5:10] = True
    diagonal = np.linalg.norm([3 * 2.5, 29 * 0.8, 39 * 1.3])
    both = score(nothing, nothing, SPACING)
    assert (both.dice, both.iou, both.surface_dice, both.hd95, both.asd) == (1, 1, 1, 0, 0)
    assert both.false_positive == 0
    for pred, truth in ((nothing, something), (something, nothing)):
        one = score(pred, truth, SPACING)
        assert (one.dice, one.iou, one.surface_dice) == (0, 0, 0)
        assert one.hd95 == pytest.approx(diagonal)
        assert one.asd == pytest.approx(diagonal)
    assert score(something, nothing, SPACING).false_positive == pytest.approx(40 / (4 * 30 * 40))


def test_a_region_equal_to_the_truth_is_perfect_also_at_the_edge() -> None:
    region = np.zeros((10, 10), bool)
    region[:4, :] = True
    same = surface_distances(region, region, (1.0, 1.0))
    assert (hd95(same), asd(same), surface_dice(same, 0.0)) == (0, 0, 1)


def test_grids_that_differ_are_refused() -> None:
    with pytest.raises(GeometryError, match="different sizes"):
        dice(np.zeros((3, 3), bool), np.zeros((3, 4), bool))
    with pytest.raises(GeometryError, match="spacings"):
        surface_distances(np.zeros((3, 3), bool), np.zeros((3, 3), bool), (1.0,))
