"""Sizes in words: by hand, from the voxel's size."""

import pytest

from napari_medseg.core.geometry import Geometry, from_spacing
from napari_medseg.gui.presenter import size_of


@pytest.mark.parametrize(
    ("n", "said"),
    [
        (0, ""),
        (1, "1 px"),
        (999, "999 px"),
        (1000, "1.00k px"),
        (30_137, "30.1k px"),
        (99_960, "100k px"),
        (999_900, "1.00M px"),
        (26_214_400, "26.2M px"),
    ],
)
def test_pixels_are_said_briefly(n, said):
    unknown = Geometry((1, 8, 9), from_spacing((1.0, 1.0, 1.0)), spacing_known=False)
    assert size_of(n, unknown) == said


@pytest.mark.parametrize(("n", "said"), [(10, "0.02 mL"), (1000, "2.0 mL"), (100_000, "200 mL")])
def test_voxels_of_two_cubic_millimetres(n, said):
    assert size_of(n, Geometry((50, 50, 50), from_spacing((2.0, 1.0, 1.0)))) == said
