"""Where images lie, in one local file."""

import pytest

from napari_medseg.core.errors import SessionError
from napari_medseg.session import sources


def test_places_come_back(tmp_path):
    places = {"case-1": sources.source_of(tmp_path / "a b.nii", ""), "case-2": ("/über/x", "1.2.3 b=0")}
    sources.write(tmp_path, places)
    assert sources.read(tmp_path) == places


def test_a_session_without_the_file_knows_no_places(tmp_path):
    assert sources.read(tmp_path) == {}


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"case-1": 3}', "\x00\xff"])
def test_a_damaged_file_says_so(tmp_path, text):
    (tmp_path / sources.FILE).write_text(text, encoding="latin-1")
    with pytest.raises(SessionError, match=r"sources\.json is damaged: remove it and open the images again"):
        sources.read(tmp_path)
