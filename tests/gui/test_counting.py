"""Slice numbers in sentences as the screen counts them; the truth is counted by hand."""

import numpy as np
import pytest

from napari_medseg.core.geometry import Geometry, from_spacing
from napari_medseg.gui.counting import counted
from napari_medseg.gui.display import Display

FEET_FIRST = Geometry((10, 4, 4), from_spacing((1.0, 1.0, 1.0)))  # index 0 at the feet: shown last
HEAD_FIRST = Geometry((10, 4, 4), from_spacing((1.0, 1.0, 1.0)) @ np.diag([-1.0, 1.0, 1.0, 1.0]))
PICTURES = Geometry.of_pixels((10, 4, 4))


@pytest.mark.parametrize(
    ("told", "upright", "turned"),
    [
        ("liver: slice 0", "liver: slice 1", "liver: slice 10"),
        (
            "liver: on axial slices 2 to 5; before that it ends, after that the outline jumps.",
            "liver: on axial slices 3 to 6; before that it ends, after that the outline jumps.",
            "liver: on axial slices 5 to 8; after that it ends, before that the outline jumps.",
        ),
        (
            "not clear on axial slices 4, 5, 7; filled from those beside.",
            "not clear on axial slices 5, 6, 8; filled from those beside.",
            "not clear on axial slices 3, 5, 6; filled from those beside.",
        ),
        ("that slice 9 is accepted", "that slice 10 is accepted", "that slice 1 is accepted"),
        ("Slice 4", "Slice 5", "Slice 6"),
        ("3 of 10 slices.", "3 of 10 slices.", "3 of 10 slices."),
        ("There is no axial slice 12.", "There is no axial slice 12.", "There is no axial slice 12."),
    ],
)
def test_numbers_are_those_of_the_screen(told, upright, turned):
    assert counted(told, Display(HEAD_FIRST), "axial") == upright
    assert counted(told, Display(PICTURES), "axial") == upright
    assert counted(told, Display(FEET_FIRST), "axial") == turned
