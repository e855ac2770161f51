"""Checks of every reader; truth is written out by hand."""

from pathlib import Path

import numpy as np
import pytest

from napari_medseg.core.errors import ReadError
from napari_medseg.imaging.checks import check_size, chosen_frame, name_of, shown, without_alpha

PATH = Path("scan.nii.gz")


def test_names_lose_their_whole_suffix() -> None:
    assert name_of(PATH, (".nii", ".nii.gz")) == "scan"
    assert name_of(Path("a.b.NII.GZ"), (".nii", ".nii.gz")) == "a.b"
    assert name_of(Path(".nii"), (".nii",)) == ".nii"


def test_sizes() -> None:
    check_size(PATH, (1024, 1024, 1024), 4)
    with pytest.raises(ReadError, match="1025 x 1024 x 1024 values, more than the 4 GiB"):
        check_size(PATH, (1025, 1024, 1024), 4)
    with pytest.raises(ReadError, match="holds no voxels: its size is 5 x 0"):
        check_size(PATH, (5, 0), 1)


def test_frames_are_chosen_not_guessed() -> None:
    assert chosen_frame(PATH, 1, None) == 0
    assert chosen_frame(PATH, 3, 2) == 2
    with pytest.raises(ReadError, match="scan.nii.gz holds 3 volumes, not one; choose one, frame 0 to 2"):
        chosen_frame(PATH, 3, None)
    for frame in (-1, 3):
        with pytest.raises(ReadError, match="has no frame"):
            chosen_frame(PATH, 3, frame)


@pytest.mark.parametrize(
    ("stored", "seen"),
    [("?", "u1"), ("f2", "f4"), (">f4", "=f4"), (">i2", "=i2"), ("g", "f8"), ("u2", "u2"), ("i8", "i8")],
)
def test_types_that_can_be_shown(stored: str, seen: str) -> None:
    array, notes = shown(np.ones((1, 2, 3), stored), PATH)
    assert array.dtype == np.dtype(seen)
    assert array.dtype.isnative
    assert (array == 1).all()
    assert notes == ()


def test_transparency() -> None:
    grey = np.array([[[7, 255], [8, 255]]])
    array, notes = without_alpha(grey)
    assert array.tolist() == [[7, 8]]
    assert notes == ()
    assert without_alpha(np.zeros((2, 2, 3)))[0].shape == (2, 2, 3)
