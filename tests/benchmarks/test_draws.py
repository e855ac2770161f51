"""Which slices are examples and which are asked for: never of one patient, and the same in every run."""

from pathlib import Path

import numpy as np

from napari_medseg.benchmarks.draws import N_CASES, N_DRAWS, N_QUERIES, cases_of, draws_of
from napari_medseg.benchmarks.harness import SetInfo
from napari_medseg.benchmarks.shots import Draw
from napari_medseg.core.progress import finish
from napari_medseg.learning.data import read_datasets
from tests.phantom_sets import patients, write_phantoms


def drawn(folder: Path, split: str = "test", seed: int = 0) -> tuple[list[Draw], list[SetInfo]]:
    return finish(draws_of(read_datasets([folder]), split, seed))


def groups(draw: Draw) -> tuple[set[str], set[str]]:
    """Those of the examples and those of the queries."""
    return {p.item.group for p in draw.examples}, {p.item.group for p in draw.queries}


def test_examples_come_from_the_train_split_and_never_from_the_patient_asked_for(tmp_path: Path) -> None:
    rows = patients(6, "train", 2) + patients(4, "val") + patients(7, "test", 2)
    write_phantoms(tmp_path / "pictures", rows)
    draws, (info,) = drawn(tmp_path)
    assert [draw.structure for draw in draws[:4]] == ["gland", "lesion"] * 2
    assert len(draws) == 2 * N_DRAWS
    for draw in draws:
        shown, asked = groups(draw)
        assert {place.item.split for place in draw.examples} == {"train"}
        assert {place.item.split for place in draw.queries} == {"test"}
        assert not shown & asked
        assert len(draw.examples) == 10 and len(shown) == 6  # each patient first, then again
        assert len(draw.queries) == len(asked) == N_QUERIES
    assert {place.item.group for draw in draws for place in draw.queries} == {f"test {i}" for i in range(7)}
    assert (info.n_groups, info.n_images, info.unit, info.averaged) == (7, 14, "px", True)
    validation, _ = drawn(tmp_path, "val")
    assert {place.item.split for draw in validation for place in draw.queries} == {"val"}


def test_a_set_without_a_train_split_takes_examples_of_other_patients(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "volumes", patients(2, "test"), dim=3, role="unseen")
    draws, (info,) = drawn(tmp_path)
    assert draws and not info.averaged and not info.apart and info.unit == "mm"
    for draw in draws:
        shown, asked = groups(draw)
        assert len(shown) == len(asked) == 1 and shown != asked
    liver = next(draw for draw in draws if draw.structure == "liver")  # on most slices of both
    assert len(liver.queries) == N_QUERIES and len(liver.examples) > 3


def test_a_set_of_one_patient_shows_other_slices_of_the_same_image_and_says_so(tmp_path: Path) -> None:
    rows = [("only", "test"), ("only", "test")]
    write_phantoms(tmp_path / "volume", rows, dim=3, role="unseen")
    draws, (info,) = drawn(tmp_path)
    assert draws and info.apart
    for draw in draws:
        assert len({place.item.image for place in (*draw.examples, *draw.queries)}) == 1
        assert not {p.index for p in draw.examples} & {p.index for p in draw.queries}


def test_draws_depend_on_the_seed_alone_and_averaged_sets_come_more_often(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "many", patients(3, "train") + patients(6, "test"))
    write_phantoms(tmp_path / "few", patients(3, "train") + patients(2, "test"))
    first, second, other = (drawn(tmp_path, seed=seed)[0] for seed in (0, 0, 1))

    def names(draws: list[Draw]) -> list[list[str]]:
        return [[f"{p.item.image.name} {p.index}" for p in (*d.examples, *d.queries)] for d in draws]

    assert names(first) == names(second) != names(other)
    assert [draw.dataset.name for draw in first[:8]] == ["many", "many", "many", "few"] * 2
    assert len({draw.key for draw in first}) == len(first)


def test_a_draw_loads_what_it_names(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "volumes", patients(2, "train") + patients(1, "test"), dim=3)
    draw = drawn(tmp_path)[0][0]
    examples, queries = draw.load()
    for shot, place in zip((*examples, *queries), (*draw.examples, *draw.queries), strict=True):
        truth = place.item.mask().of(draw.structure)[place.index]
        np.testing.assert_array_equal(shot.region, truth)
        assert truth.any() and shot.picture.shape == (*truth.shape, 3)
        example = shot.example
        assert example is shot.example
        assert example.mask.reviewed == {shot.plane: frozenset({place.index})}
        np.testing.assert_array_equal(example.mask.of(draw.structure)[place.index], truth)


def test_cases_are_ten_patients_of_unseen_sets(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "seen", patients(12, "test"))
    write_phantoms(tmp_path / "small", patients(9, "test"), role="unseen")
    rows = patients(8, "train", 2) + patients(3, "test") + patients(9, "val")
    write_phantoms(tmp_path / "large", rows, role="unseen")
    series, infos = finish(cases_of(read_datasets([tmp_path]), "test", 0))
    assert [info.name for info in infos] == ["large"]
    for one in series:
        assert len({place.item.group for place in one.queries}) == N_CASES
        assert {place.item.split for place in one.queries} <= {"train", "test"}
