"""Which slices are prepared first while a person looks."""

from napari_medseg.gui.look_ahead import REACH, nearest


def test_the_nearest_slices_come_first_and_those_on_the_way_before_those_behind():
    assert nearest(5, True, 2) == [5, 6, 4, 7, 3]
    assert nearest(5, False, 2) == [5, 4, 6, 3, 7]
    assert sorted(nearest(20, True)) == list(range(20 - REACH, 20 + REACH + 1))
