"""Names and colours of structures."""

import pytest

from napari_medseg.core.errors import TaskError
from napari_medseg.core.structure import COLOURS, UNTITLED, Structure, colour_of


@pytest.mark.parametrize("name", ["", "  ", "\t\n"])
def test_a_structure_needs_a_name(name: str) -> None:
    with pytest.raises(TaskError, match="needs a name"):
        Structure(name)


def test_the_first_click_works_on_an_untitled_structure() -> None:
    structure = Structure()
    assert (structure.name, structure.locked, structure.state) == (UNTITLED, False, "not started")


def test_colours_are_distinct_and_start_again_after_the_last() -> None:
    assert len(set(COLOURS)) == len(COLOURS)
    assert all(0 <= value <= 255 for colour in COLOURS for value in colour)
    assert [colour_of(i) for i in range(len(COLOURS))] == list(COLOURS)
    assert colour_of(len(COLOURS)) == COLOURS[0]


def test_neighbouring_colours_differ_for_a_deuteranope() -> None:
    # Truth: the deuteranopia matrix of Vienot, Brettel and Mollon, 1999, on linear RGB.
    import numpy as np

    seen = (np.array(COLOURS) / 255.0) ** 2.2
    deuteranope = seen @ np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]).T
    gaps = np.linalg.norm(np.diff(deuteranope[:6], axis=0), axis=1)
    assert gaps.min() > 0.1
