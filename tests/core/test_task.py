"""Tasks, their structures and rules; truth is worked by hand."""

import pytest

from napari_medseg.core.errors import TaskError
from napari_medseg.core.structure import Structure, colour_of
from napari_medseg.core.task import Rule, Task, task_of

ABDOMEN = task_of("abdomen", ("liver", "spleen"), modality="CT", anatomy="abdomen")


def test_a_task_of_names_has_colours_in_order() -> None:
    assert ABDOMEN.structure_names == ("liver", "spleen")
    assert [s.colour for s in ABDOMEN.structures] == [colour_of(0), colour_of(1)]
    assert (ABDOMEN.modality, ABDOMEN.anatomy, ABDOMEN.objective) == ("CT", "abdomen", "")


@pytest.mark.parametrize(
    ("names", "fits"),
    [(["liver", "spleen"], True), (("spleen", "liver"), False), (("liver",), False), ((), False)],
)
def test_a_model_fits_when_the_ordered_names_are_equal(names: list[str], fits: bool) -> None:
    assert ABDOMEN.fits(names) is fits


def test_a_structure_is_found_by_name_or_the_known_ones_are_told() -> None:
    assert ABDOMEN.structure("spleen").colour == colour_of(1)
    with pytest.raises(TaskError, match="no structure 'heart'; it has: liver, spleen"):
        ABDOMEN.structure("heart")
    with pytest.raises(TaskError, match="it has: none"):
        Task("empty").structure("heart")


def test_names_are_unique() -> None:
    with pytest.raises(TaskError, match="two structures called 'liver'"):
        Task("x", structures=(Structure("liver"), Structure("spleen"), Structure("liver")))


@pytest.mark.parametrize("kind", ["inside", "excludes"])
def test_a_rule_needs_two_structures(kind: str) -> None:
    with pytest.raises(TaskError, match="two structures"):
        Rule(kind, "liver", "liver")


def test_what_lies_inside_reaches_through_others() -> None:
    rules = (
        Rule("inside", "necrosis", "tumour"),
        Rule("inside", "tumour", "liver"),
        Rule("excludes", "liver", "spleen"),
    )
    assert Task("x", rules=rules).nested == {
        ("necrosis", "tumour"),
        ("tumour", "liver"),
        ("necrosis", "liver"),
    }
    assert Task("x").nested == frozenset()


def test_rules_that_go_round_come_to_an_end() -> None:
    ring = tuple(Rule("inside", a, b) for a, b in ("ab", "bc", "ca"))
    assert Task("x", rules=ring).nested == {(a, b) for a in "abc" for b in "abc" if a != b}
