"""Flat label maps; truth is numpy.unique and comparison value by value."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_medseg.core.errors import TaskError
from napari_medseg.core.labels import numbers_in, renumber

MAPS = st.sampled_from([np.uint8, np.uint16, np.int16, np.int64, np.bool_]).flatmap(
    lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=3, max_dims=3, max_side=5))
)


@given(MAPS)
def test_the_numbers_in_a_map_are_numpys(labels: np.ndarray) -> None:
    assert numbers_in(labels) == [int(value) for value in np.unique(labels) if value > 0]


@given(MAPS, st.dictionaries(st.integers(0, 300), st.integers(0, 255), max_size=8))
def test_renumbered_voxel_by_voxel(labels: np.ndarray, numbers: dict[int, int]) -> None:
    expected = [numbers.get(int(value), 0) for value in labels.ravel()]
    result = renumber(labels, numbers, np.uint8)
    assert result.dtype == np.uint8 and result.shape == labels.shape
    np.testing.assert_array_equal(result.ravel(), expected)


def test_whole_numbers_kept_as_floats_are_numbers() -> None:
    assert numbers_in(np.array([[[0.0, 2.0, 1.0]]])) == [1, 2]
    np.testing.assert_array_equal(renumber(np.array([[[0.0, 2.0]]]), {2: 5}, np.uint8), [[[0, 5]]])


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf])
def test_other_values_are_no_label_map(value: float) -> None:
    with pytest.raises(TaskError, match="not whole numbers"):
        numbers_in(np.array([[[0.0, value]]]))
