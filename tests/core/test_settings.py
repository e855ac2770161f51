"""Settings as a form, as flags and as a record; truth is worked by hand."""

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medseg.core.errors import TaskError
from napari_medseg.core.settings import as_record, fields_of, setting, with_overrides


@dataclass(frozen=True)
class Example:
    """Settings of every kind."""

    follow: bool = setting(True, "Follow the structure")
    n_steps: int = setting(10, "Steps", low=1, high=50, help="more take longer")
    cut: float = setting(0.5, "Cut", low=0.0, high=1.0)
    radius: float = setting(2.0, "Radius", low=0.0, unit="mm")
    rule: str = setting("Otsu", "Rule", choices=("Otsu", "range"))
    some_words: str = "anything"


def test_the_form_knows_words_kinds_and_limits() -> None:
    fields = {item.name: item for item in fields_of(Example)}
    assert list(fields) == ["follow", "n_steps", "cut", "radius", "rule", "some_words"]
    assert [item.kind for item in fields.values()] == [bool, int, float, float, str, str]
    steps = fields["n_steps"]
    assert (steps.title, steps.default, steps.low, steps.high, steps.help) == (
        "Steps", 10, 1, 50, "more take longer",
    )  # fmt: skip
    assert fields["radius"].unit == "mm" and fields["rule"].choices == ("Otsu", "range")
    assert fields["some_words"].title == "Some words"
    assert fields_of(Example(n_steps=3)) == fields_of(Example)


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("follow", "true", True), ("follow", " Yes ", True), ("follow", "1", True), ("follow", "ON", True),
        ("follow", "false", False), ("follow", "no", False), ("follow", "0", False), ("follow", "off", False),
        ("follow", False, False), ("follow", 1, True), ("follow", 0, False),
        ("n_steps", "7", 7), ("n_steps", 7, 7), ("n_steps", 7.0, 7), ("n_steps", 1, 1), ("n_steps", "50", 50),
        ("cut", "0.25", 0.25), ("cut", 1, 1.0), ("cut", "0", 0.0), ("cut", "1e-3", 0.001),
        ("radius", "1e9", 1e9), ("rule", "range", "range"), ("some_words", "", ""),
    ],
)  # fmt: skip
def test_text_and_values_are_read(name: str, value: object, read: object) -> None:
    result = getattr(with_overrides(Example(), {name: value}), name)
    assert result == read and type(result) is type(read)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("follow", "maybe", "must be yes or no, not 'maybe'"), ("follow", "", "yes or no"),
        ("follow", 2, "yes or no"), ("follow", None, "yes or no"), ("follow", 0.5, "yes or no"),
        ("n_steps", "7.5", "whole number"), ("n_steps", 7.5, "whole number"),
        ("n_steps", "many", "whole number"),
        ("n_steps", True, "whole number"), ("n_steps", None, "whole number"),
        ("n_steps", [3], "whole number"),
        ("n_steps", "nan", "whole number"), ("n_steps", float("inf"), "whole number"),
        ("n_steps", 0, "at least 1, not 0"), ("n_steps", "51", "at most 50, not 51"),
        ("cut", "nan", "finite number"), ("cut", float("nan"), "finite number"),
        ("cut", "-inf", "finite number"),
        ("cut", 1.0001, "at most 1"), ("cut", "-0.1", "at least 0"), ("cut", "half", "finite number"),
        ("radius", float("inf"), "finite number"), ("radius", 10**400, "finite number"),
        ("rule", "otsu", "one of Otsu, range, not 'otsu'"), ("rule", None, "must be text"),
        ("some_words", 3, "must be text"),
        ("nosuch", "1", "no setting 'nosuch' here; the settings are: follow, n_steps"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_one_sentence(name: str, value: object, sentence: str) -> None:
    with pytest.raises(TaskError, match=sentence):
        with_overrides(Example(), {name: value})


@given(st.text())
def test_no_text_ends_in_anything_but_a_setting_or_a_sentence(text: str) -> None:
    for name in ("follow", "n_steps", "cut", "radius", "rule"):
        try:
            value = getattr(with_overrides(Example(), {name: text}), name)
        except TaskError as error:
            assert name in str(error)
        else:
            assert isinstance(value, bool | int | float | str)


def test_what_is_not_named_stays_and_the_original_is_not_changed() -> None:
    before = Example(cut=0.75)
    after = with_overrides(before, {"n_steps": "3"})
    assert (after.cut, after.n_steps, before.n_steps) == (0.75, 3, 10)
    assert with_overrides(before, {}) == before


def test_the_record_is_plain_and_comes_back() -> None:
    settings = Example(follow=False, radius=3.5, rule="range")
    record = json.loads(json.dumps(as_record(settings)))
    assert with_overrides(Example(), record) == settings
