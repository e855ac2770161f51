"""What a person decided holds; truth is worked by hand, and by properties over random cases."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medseg.core.correction import Correction, fixed_by_person, obey, obey_rules, slab_of
from napari_medseg.core.errors import GeometryError
from napari_medseg.core.geometry import PLANES, Geometry, from_spacing
from napari_medseg.core.mask import Mask
from napari_medseg.core.structure import Structure
from napari_medseg.core.task import Rule, Task, task_of

SHAPE = (3, 4, 5)
GRID = Geometry(SHAPE, from_spacing((2.0, 1.0, 0.5)))
SEEDS = st.integers(0, 10_000)
LIVER = replace(
    task_of("liver", ("liver", "tumour", "necrosis", "spleen")),
    rules=(
        Rule("inside", "necrosis", "tumour"),
        Rule("inside", "tumour", "liver"),
        Rule("excludes", "liver", "spleen"),
    ),
)


def some(seed: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < 0.4


def random_mask(seed: int) -> Mask:
    mask = Mask.empty(GRID, LIVER.structures)
    for i, name in enumerate(mask.names):
        mask = mask.put(name, some(seed + i))
    return mask


def locked(mask: Mask, *names: str) -> Mask:
    for name in names:
        mask = mask.update(name, replace(mask.structure(name), locked=True))
    return mask


def corrections(seed: int) -> tuple[Correction, ...]:
    rng = np.random.default_rng(seed)
    made = []
    for i in range(3):
        plane = PLANES[rng.integers(3)]
        axis = PLANES.index(plane)
        shape = tuple(n for a, n in enumerate(SHAPE) if a != axis)
        painted, erased = some(seed + 10 + i, shape), some(seed + 20 + i, shape)
        made.append(
            Correction("liver", plane, int(rng.integers(SHAPE[axis])), painted & ~erased, erased & ~painted)
        )
    return tuple(made)


@given(SEEDS, SEEDS)
def test_the_person_always_wins_over_the_method(seed: int, other: int) -> None:
    mask = random_mask(seed).review("axial", (seed % 3,)).review("sagittal", (0, other % 5))
    fixed = fixed_by_person(locked(mask, "spleen"), "liver", LIVER, corrections(seed))
    result = obey(some(other), fixed)
    assert result[fixed == 1].all() and not result[fixed == -1].any()
    np.testing.assert_array_equal(result[fixed == 0], some(other)[fixed == 0])
    np.testing.assert_array_equal(obey(result, fixed), result)
    assert fixed.dtype == np.int8 and set(np.unique(fixed)) <= {-1, 0, 1}


@given(
    SEEDS,
    st.sampled_from(["liver", "tumour", "spleen"]),
    st.sets(st.integers(0, 2)),
    st.sets(st.integers(0, 4)),
)
def test_accepted_slices_stay_as_they_are(seed: int, name: str, axial: set[int], sagittal: set[int]) -> None:
    mask = locked(random_mask(seed), "spleen", "necrosis").review("axial", axial).review("sagittal", sagittal)
    result = obey(some(seed + 99), fixed_by_person(mask, name, LIVER, corrections(seed)))
    for plane, indices in (("axial", axial), ("sagittal", sagittal)):
        for index in indices:
            where = slab_of(mask, plane, index)
            np.testing.assert_array_equal(result[where], mask.of(name, where))


@given(SEEDS)
def test_nothing_decided_fixes_nothing(seed: int) -> None:
    assert not fixed_by_person(random_mask(seed), "liver", LIVER).any()
    assert obey(some(seed), None) is not None
    np.testing.assert_array_equal(obey(some(seed), np.zeros(SHAPE, np.int8)), some(seed))


@given(SEEDS)
def test_a_locked_structure_itself_does_not_change(seed: int) -> None:
    mask = locked(random_mask(seed), "spleen", "liver")
    fixed = fixed_by_person(mask, "liver", LIVER, corrections(seed))
    np.testing.assert_array_equal(obey(some(seed + 9), fixed), mask.of("liver"))


@given(SEEDS)
def test_others_stay_off_a_locked_structure(seed: int) -> None:
    mask = locked(random_mask(seed), "spleen")
    result = obey(np.ones(SHAPE, bool), fixed_by_person(mask, "liver", LIVER, corrections(seed)))
    assert not (result & mask.of("spleen")).any()


@given(SEEDS)
def test_what_lies_inside_a_locked_structure_is_free(seed: int) -> None:
    mask = locked(random_mask(seed), "liver")
    assert not fixed_by_person(mask, "tumour", LIVER).any()
    assert not fixed_by_person(mask, "necrosis", LIVER).any()  # inside by way of the tumour
    assert fixed_by_person(mask, "necrosis").any()  # without the task's rules it is another structure


@given(SEEDS)
def test_the_outer_structure_keeps_what_is_locked_in_it(seed: int) -> None:
    mask = locked(random_mask(seed), "necrosis")
    for outer in ("tumour", "liver"):
        result = obey(np.zeros(SHAPE, bool), fixed_by_person(mask, outer, LIVER))
        np.testing.assert_array_equal(result, mask.of("necrosis"))


def test_later_corrections_outweigh_earlier_ones_and_others_do_not_count() -> None:
    mask = Mask.empty(GRID, LIVER.structures)
    all_of, none = np.ones((4, 5), bool), np.zeros((4, 5), bool)
    one = np.zeros((4, 5), bool)
    one[1, 2] = True
    fixed = fixed_by_person(
        mask,
        "liver",
        corrections=(
            Correction("liver", "axial", 1, all_of, none),
            Correction("liver", "axial", 1, none, one),
            Correction("spleen", "axial", 0, all_of, none),
            Correction("liver", "coronal", 3, np.zeros((3, 5), bool), np.ones((3, 5), bool)),
        ),
    )
    expected = np.zeros(SHAPE, np.int8)
    expected[1] = 1
    expected[1, 1, 2] = -1
    expected[:, 3] = -1
    np.testing.assert_array_equal(fixed, expected)


def test_a_structure_the_mask_does_not_have_was_accepted_nowhere() -> None:
    mask = locked(random_mask(1), "spleen").review("axial", (0, 1, 2))
    fixed = fixed_by_person(mask, "heart", LIVER)
    np.testing.assert_array_equal(fixed, np.where(mask.of("spleen"), -1, 0))


@pytest.mark.parametrize(("index", "shape"), [(0, (5, 4)), (0, (4, 4)), (3, (4, 5)), (-1, (4, 5))])
def test_corrections_off_the_mask_are_refused(index: int, shape: tuple[int, int]) -> None:
    correction = Correction("liver", "axial", index, np.ones(shape, bool), np.zeros(shape, bool))
    with pytest.raises(GeometryError, match="axial slice"):
        fixed_by_person(Mask.empty(GRID, LIVER.structures), "liver", LIVER, (correction,))


def test_changed_pixels_are_counted() -> None:
    painted, erased = np.eye(4, dtype=bool), np.zeros((4, 4), bool)
    erased[0, 3] = True
    assert Correction("liver", "axial", 0, painted, erased).changed_pixels == 5


def test_decisions_on_another_grid_are_refused() -> None:
    with pytest.raises(GeometryError, match="does not fit what was decided"):
        obey(some(1), np.zeros((1, 4, 5), np.int8))


@given(SEEDS, st.permutations(LIVER.rules), st.sets(st.sampled_from(LIVER.structure_names), min_size=1))
def test_rules_hold_in_whatever_order_they_are_given(seed: int, rules: list[Rule], names: set[str]) -> None:
    regions = {name: some(seed + i) for i, name in enumerate(sorted(names))}
    before = {name: region.copy() for name, region in regions.items()}
    result = obey_rules(regions, replace(LIVER, rules=tuple(rules)))
    for inner, outer in (("necrosis", "tumour"), ("tumour", "liver"), ("necrosis", "liver")):
        if {inner, outer} <= names:
            assert not (result[inner] & ~result[outer]).any()
    if {"liver", "spleen"} <= names:
        assert not (result["liver"] & result["spleen"]).any()
    for name, region in regions.items():
        assert not (result[name] & ~region).any()  # rules only take away
        np.testing.assert_array_equal(region, before[name])
    again = obey_rules(result, replace(LIVER, rules=tuple(rules)))
    assert all(np.array_equal(again[name], result[name]) for name in names)


@pytest.mark.parametrize("rule", [Rule("excludes", "liver", "spleen"), Rule("excludes", "spleen", "liver")])
@pytest.mark.parametrize("order", [("liver", "spleen"), ("spleen", "liver")])
def test_the_earlier_one_in_the_tasks_order_gives_way(rule: Rule, order: tuple[str, str]) -> None:
    task = replace(LIVER, rules=(rule,))
    regions = {name: np.ones(SHAPE, bool) for name in order}
    result = obey_rules(regions, task)
    assert not result["liver"].any() and result["spleen"].all()
    # Neither is in the task: then the order of the regions counts.
    result = obey_rules(regions, Task("x", rules=(rule,)))
    assert not result[order[0]].any() and result[order[1]].all()


def test_without_rules_nothing_changes() -> None:
    regions = {"liver": some(1), "spleen": some(2)}
    for task in (None, task_of("x", ("liver", "spleen"))):
        result = obey_rules(regions, task)
        assert all(result[name] is region for name, region in regions.items())


def test_decisions_on_a_large_volume_take_no_time_worth_mentioning() -> None:
    """About 0.15 s on an idle machine; here in processor time and with room for a busy one."""
    import time

    mask = Mask.empty(Geometry((200, 512, 512), np.eye(4)[:, [2, 1, 0, 3]]), [Structure("liver")])
    mask = mask.review("sagittal", range(0, 512, 3))
    started = time.process_time()
    assert fixed_by_person(mask, "liver")[0, 0, :4].tolist() == [-1, 0, 0, -1]
    assert time.process_time() - started < 1.5
