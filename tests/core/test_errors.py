"""Every error a person may see is caught by one name."""

import inspect

import pytest

from napari_medseg.core import errors

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_medseg_error_with_its_sentence(kind: type[errors.MedsegError]) -> None:
    with pytest.raises(errors.MedsegError) as caught:
        raise kind("The file is empty; copy it again.")
    assert str(caught.value) == "The file is empty; copy it again."
    assert kind.__doc__


def test_the_kinds_are_those_of_the_design() -> None:
    names = {kind.__name__ for kind in KINDS} - {"MedsegError"}
    assert names == {"ReadError", "GeometryError", "SessionError", "WeightsError", "TaskError"}
