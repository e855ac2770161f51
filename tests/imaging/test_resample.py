"""Resampling; truth comes from scipy's affine_transform and from closed forms."""

import numpy as np
import pytest
from scipy import ndimage

from napari_medseg.core.errors import GeometryError
from napari_medseg.core.geometry import Geometry, from_spacing
from napari_medseg.core.mask import Mask
from napari_medseg.core.volume import Volume
from napari_medseg.imaging.resample import resample, resample_mask, square_pixels

RNG = np.random.default_rng(0)
SHEARED = np.array([[0, 0.2, 1.0, 5], [0.1, 1.1, 0, 6], [2.5, 0, 0, 7], [0, 0, 0, 1]])


def smooth_volume(affine: np.ndarray, shape: tuple[int, int, int] = (8, 9, 10)) -> Volume:
    return Volume(ndimage.gaussian_filter(RNG.normal(size=shape), 1), Geometry(shape, affine))


@pytest.mark.parametrize("affine", [from_spacing((2.0, 1.0, 1.0)), SHEARED], ids=["upright", "sheared"])
def test_linear_values_are_those_of_scipy(affine: np.ndarray) -> None:
    volume = smooth_volume(affine)
    turn = np.array([[0.7, 0.1, 0, 1], [0, 0.8, 0, 1], [0, 0.1, 0.9, 1], [0, 0, 0, 1]])
    target = Geometry((6, 7, 8), affine @ turn)
    dark = volume.array.min()
    truth = ndimage.affine_transform(volume.array, turn, output_shape=target.shape, order=1, cval=dark)
    result = resample(volume, target)
    inside = truth != dark
    assert inside.mean() > 0.5
    assert result.array[inside] == pytest.approx(truth[inside], abs=1e-6)
    assert result.geometry is target
    assert "resampled from voxels of" in result.notes[-1]
    assert result.header is None


def test_outside_is_dark() -> None:
    volume = Volume(np.full((3, 3, 3), -500, np.int16), Geometry((3, 3, 3), np.eye(4)))
    volume.array[1, 1, 1] = 100
    larger = Geometry((9, 9, 9), np.eye(4))
    assert resample(volume, larger).array[8, 8, 8] == -500
    assert resample(volume, larger).array.dtype == np.int16


def test_colours_keep_their_channels() -> None:
    array = RNG.integers(0, 255, (4, 5, 6, 3), dtype=np.uint8)
    volume = Volume(array, Geometry((4, 5, 6), from_spacing((1.0, 1.0, 1.0))))
    assert np.array_equal(resample(volume, volume.geometry).array, array)


def test_masks_keep_their_structures_and_volume() -> None:
    fine = Geometry((20, 20, 20), from_spacing((1.0, 1.0, 1.0)))
    labels = np.zeros(fine.shape, np.uint8)
    labels[4:16, 4:16, 4:16] = 1
    labels[8:12, 8:12, 8:12] = 2
    mask = Mask.from_labels(labels, fine, {1: "liver", 2: "tumour"}).review("axial", [3])
    coarse = Geometry((10, 20, 20), from_spacing((2.0, 1.0, 1.0), (0.0, 0.0, 0.5)))
    result = resample_mask(mask, coarse)
    assert result.names == mask.names
    assert result.ml("liver") == pytest.approx(mask.ml("liver"))
    assert result.ml("tumour") == pytest.approx(0.064)
    assert result.reviewed == {}


def test_what_cannot_be_resampled() -> None:
    volume = smooth_volume(np.eye(4))
    with pytest.raises(GeometryError, match="Unevenly spaced"):
        resample(volume, Geometry((8, 9, 10), np.eye(4), regular=False))
    with pytest.raises(GeometryError, match="without a voxel size"):
        resample(volume, Geometry.of_pixels((8, 9, 10)))
    with pytest.raises(GeometryError, match="share no place"):
        resample(volume, Geometry((8, 9, 10), from_spacing((1.0, 1.0, 1.0), (500.0, 0.0, 0.0))))


def test_square_pixels() -> None:
    ramp = np.repeat(np.arange(10.0)[:, None], 7, axis=1)
    result = square_pixels(ramp, (2.0, 1.0))
    assert result.shape == (20, 7)
    # Centres of the new rows lie at -0.25, 0.25, 0.75, … of the old ones; beyond the first there is no more.
    assert result[:, 3] == pytest.approx(np.clip(np.arange(20) / 2 - 0.25, 0, 9))
    assert square_pixels(ramp, (1.0, 1.0)) is ramp
    labels = RNG.integers(0, 3, (5, 6), dtype=np.uint8)
    assert np.array_equal(square_pixels(labels, (1.0, 3.0), nearest=True), np.repeat(labels, 3, axis=1))
    assert square_pixels(RNG.normal(size=(4, 5, 3)), (1.0, 2.0)).shape == (4, 10, 3)
