"""Regions in shared label arrays; truth is worked by hand, and by the properties in test_mask.py."""

import numpy as np

from napari_medseg.core.geometry import EVERYWHERE, slab
from napari_medseg.core.overlap import clear, move, room_for, set_region

SHAPE = (4, 3, 3)


def box(first: int, last: int) -> np.ndarray:
    region = np.zeros(SHAPE, bool)
    region[first:last] = True
    return region


def test_a_region_that_would_hide_another_changes_nothing() -> None:
    labels = np.zeros(SHAPE, np.uint8)
    assert set_region(labels, 1, box(0, 2), EVERYWHERE)
    before = labels.copy()
    assert not set_region(labels, 2, box(1, 3), EVERYWHERE)
    np.testing.assert_array_equal(labels, before)
    assert set_region(labels, 2, np.ones((1, 3, 3), bool), slab(0, 3, 4))
    np.testing.assert_array_equal(labels[:, 0, 0], [1, 1, 0, 2])


def test_it_moves_with_its_voxels_elsewhere() -> None:
    labels = np.zeros(SHAPE, np.uint8)
    set_region(labels, 1, box(0, 2), EVERYWHERE)
    set_region(labels, 2, box(3, 4), EVERYWHERE)
    arrays, place = move((labels,), {"a": (0, 1), "b": (0, 2)}, "b", np.ones((1, 3, 3), bool), slab(0, 1, 2))
    assert place == (1, 1)
    np.testing.assert_array_equal(arrays[0] == 1, box(0, 2))
    np.testing.assert_array_equal(arrays[0] == 2, np.zeros(SHAPE, bool))
    np.testing.assert_array_equal(arrays[1] == 1, box(3, 4) | box(1, 2))


def test_a_region_with_no_voxel_yet_moves_too() -> None:
    labels = box(0, 4).astype(np.uint8)
    arrays, (array, value) = move((labels,), {"a": (0, 1), "b": (0, 2)}, "b", box(2, 3), EVERYWHERE)
    np.testing.assert_array_equal(arrays[array] == value, box(2, 3))
    np.testing.assert_array_equal(arrays[0] == 1, box(0, 4))


def test_room_is_found_before_it_is_made() -> None:
    labels = box(0, 2).astype(np.uint8)
    assert room_for((labels,), {"a": (0, 1)}, SHAPE)[1] == (0, 2)
    assert room_for((labels,), {"a": (0, 1)}, SHAPE, box(2, 3))[1] == (0, 2)
    arrays, place = room_for((labels,), {"a": (0, 1)}, SHAPE, box(1, 3))
    assert place == (1, 1) and len(arrays) == 2
    full = {str(value): (0, value) for value in range(1, 256)}
    assert room_for((labels,), full, SHAPE)[1] == (1, 1)
    del full["7"]
    assert room_for((labels,), full, SHAPE)[1] == (0, 7)


def test_clearing_takes_one_value_from_one_part() -> None:
    labels = np.where(box(0, 2), 1, 2).astype(np.uint8)
    clear(labels, 1, slab(0, 1, 3))
    np.testing.assert_array_equal(labels[:, 0, 0], [1, 0, 2, 2])
