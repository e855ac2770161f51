"""Windows; truth is the linear function of DICOM PS3.3 worked out by hand."""

import numpy as np
import pytest

from napari_medseg.core.geometry import Geometry, from_spacing
from napari_medseg.core.volume import Volume, Window
from napari_medseg.imaging.window import CT, default_window, is_ct, presets

GEOMETRY = Geometry((2, 3, 4), from_spacing((1.0, 1.0, 1.0)))


def volume(modality: str = "", array: np.ndarray | None = None, **fields: object) -> Volume:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4) if array is None else array
    return Volume(array, GEOMETRY, modality=modality, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("words", ["CT", "ct", "CT (portal venous, soft-tissue window)", "non-contrast CT"])
def test_ct_is_known_by_its_words(words: str) -> None:
    assert is_ct(volume(words))
    assert default_window(volume(words)) == Window(40, 400, "soft tissue")
    names = [window.name for window in presets(volume(words))]
    assert names == ["soft tissue", "lung", "bone", "brain", "liver"]


@pytest.mark.parametrize("words", ["MR", "", "OCT", "PET/CT", "PT"])
def test_others_are_no_ct(words: str) -> None:
    assert not is_ct(volume(words))
    assert presets(volume(words)) == ()


def test_an_eight_bit_picture_of_a_ct_has_no_hounsfield_units() -> None:
    assert not is_ct(volume("CT", np.zeros((2, 3, 4), np.uint8)))


def test_the_windows_of_the_file_come_first() -> None:
    own = Window(50, 350, "ABDOMEN")
    assert default_window(volume("CT", windows=(own,))) == own
    assert presets(volume("CT", windows=(own,))) == (own, *CT)


def test_percentiles_leave_out_outliers() -> None:
    array = np.zeros((10, 10, 10))
    array.reshape(-1)[:] = np.arange(1000)
    array[9, 9, 9] = 1e9
    image = Volume(array, Geometry((10, 10, 10), np.eye(4)))
    assert default_window(image).limits == pytest.approx(np.percentile(array, (0.5, 99.5)))


def test_constant_and_sparse_images_have_a_width() -> None:
    assert default_window(volume("MR", np.full((2, 3, 4), 7.0))).width > 0
    sparse = np.zeros((50, 50, 2), np.float32)
    sparse[0, 0, 0] = 5
    assert default_window(Volume(sparse, Geometry((50, 50, 2), np.eye(4)))).limits == (0, 5)


def test_a_picture_shows_all_it_has() -> None:
    array = np.full((1, 3, 4), 9, np.uint8)
    assert default_window(Volume(array, Geometry.of_pixels((1, 3, 4)))).limits == (0, 255)
