"""What prompts mark as inside and outside, counted by hand."""

import numpy as np

from napari_medseg.core.prompts import Box
from napari_medseg.imaging.seeds import ellipse, part_of, scene_of


def test_part_takes_in_a_quarter_of_the_box_on_every_side() -> None:
    box = Box("x", "axial", 0, (40.0, 60.0), (80.0, 100.0))
    assert part_of((200, 200), box) == (slice(30, 90), slice(50, 110))
    assert part_of((85, 200), box) == (slice(30, 85), slice(50, 110))
    assert part_of((85, 200), None) == (slice(0, 85), slice(0, 200))


def test_box_marks_its_middle_inside_and_the_rest_outside() -> None:
    box = Box("x", "axial", 0, (40.0, 60.0), (80.0, 100.0))
    scene = scene_of(np.zeros((60, 60)), (30, 50), box, [])
    assert scene.pixels.shape == (60, 60, 1)
    assert scene.likely.sum() == 40 * 40
    np.testing.assert_array_equal(scene.outside, ~scene.likely)
    expected = ellipse((60, 60), np.array([10.0, 10.0]), np.array([50.0, 50.0]), 0.7)
    np.testing.assert_array_equal(scene.inside, expected)


def test_large_parts_are_scaled_and_clicks_with_them() -> None:
    scene = scene_of(np.zeros((256, 512, 3)), (0, 0), None, [((100.0, 300.0), True), ((20.0, 40.0), False)])
    assert scene.pixels.shape == (64, 128, 3)
    assert scene.inside[25, 75]
    assert scene.outside[5, 10]
    assert not np.any(scene.inside & scene.outside)
    assert scene.outside[0].all()
