"""What is held back stays held back, patients stay whole, and blind slices come first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from napari_medseg.learning.held_back import hold_back
from napari_medseg.session.accepted import Accepted
from tests.taught import picture


def slices(n_patients: int, each: int = 1, start: int = 0) -> list[Accepted]:
    """Slices of as many patients, one case each, one after the other in it."""
    volume, mask = picture(0)
    one = Accepted("", "", "axial", 0, volume.geometry, volume, mask.structures, {"disc": mask.of("disc")})
    return [
        replace(one, case=f"case-{p}", group=f"patient {p}", index=index)
        for p in range(start, start + n_patients)
        for index in range(each)
    ]


def keys(ones) -> set:
    return {one.key for one in ones}


@pytest.mark.parametrize("n, held", [(5, 0), (6, 1), (7, 2), (9, 3), (15, 5), (20, 5), (30, 6), (100, 20)])
def test_how_many_patients_are_held_back(n, held) -> None:
    shares = hold_back(slices(n), {})
    assert len(shares.held_back) == held and len(shares.train) == n - held >= 5 and not shares.beside


def test_patients_stay_whole() -> None:
    shares = hold_back(slices(9, 4), {})
    held, train = ({one.group for one in part} for part in (shares.held_back, shares.train))
    assert len(held) == 3 and len(train) == 6 and not held & train
    assert len(shares.held_back) + len(shares.train) == 36


def test_it_is_the_same_again_and_another_with_another_seed() -> None:
    found = [keys(hold_back(slices(40), {}, seed=seed).held_back) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    assert keys(hold_back(slices(40)[::-1], {}, seed=1).held_back) == found[0]


def test_over_ten_rounds_nothing_changes_sides() -> None:
    known = {}
    for n in range(6, 60, 5):
        each = 1 + n % 3
        shares = hold_back(slices(n, each), known)
        assert not keys(shares.held_back) & keys(shares.train)
        assert not {k for k in keys(shares.train) if known.get(k) == "held back"}
        assert not {k for k in keys(shares.held_back) if known.get(k) == "trained on"}
        known = {**dict.fromkeys(keys(shares.held_back), "held back"), **known}
        known = {**dict.fromkeys(keys(shares.train), "trained on"), **known}
    assert len({key[0] for key, share in known.items() if share == "held back"}) >= 9


def test_new_slices_of_a_held_back_patient_are_held_back() -> None:
    first = hold_back(slices(6), {})
    known = {one.key: "held back" for one in first.held_back} | {one.key: "trained on" for one in first.train}
    (patient,) = {one.group for one in first.held_back}
    later = hold_back(slices(6, 3), known)
    assert {one.group for one in later.held_back} == {patient} and len(later.held_back) == 3


def test_blind_patients_come_first() -> None:
    blind = {f"case-{n}" for n in (3, 17, 22)}
    shares = hold_back(slices(30), {}, lambda one: one.case in blind)
    assert blind <= {one.case for one in shares.held_back} and len(shares.held_back) == 6


def test_few_patients_runs_are_held_back_and_their_neighbours_set_aside() -> None:
    shares = hold_back(slices(2, 30), {})
    held, train = keys(shares.held_back), keys(shares.train)
    assert len(held) == 4 * 5 and {index // 5 for _, _, index in held} <= set(range(6))
    assert not {(case, plane, index + step) for case, plane, index in held for step in (-1, 1)} & train
    assert len(held) + len(train) + len(shares.beside) == 60
    known = dict.fromkeys(held, "held back") | dict.fromkeys(train, "trained on")
    more = hold_back(slices(2, 36), known)
    assert held <= keys(more.held_back) and not keys(more.held_back) & train
    assert train <= keys(more.train)


def test_from_runs_to_patients_nothing_changes_sides() -> None:
    shares = hold_back(slices(2, 30), {})
    known = dict.fromkeys(keys(shares.held_back), "held back")
    known |= dict.fromkeys(keys(shares.train), "trained on")
    more = hold_back([*slices(2, 30), *slices(10, 1, start=2)], known)
    assert {k for k in known if known[k] == "held back"} <= keys(more.held_back)
    assert not {k for k in known if known[k] == "trained on"} & keys(more.held_back)
    assert len({one.group for one in more.held_back} - {"patient 0", "patient 1"}) == 4


def test_of_too_few_none_is_held_back(tmp_path: Path) -> None:
    assert len(hold_back(slices(3), {}).train) == 3
    assert len(hold_back(slices(1, 6), {}).held_back) == 0
    assert hold_back([], {}).train == ()
