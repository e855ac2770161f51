"""MedSeg-HQ's rules against closed forms, and a manifest that says why."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_medseg.core.model import Preparation
from napari_medseg.core.progress import finish
from napari_medseg.learning.curation import Quality, Row, curate, curate_datasets, quality_of, write_manifest
from tests.phantom_sets import patients, write_phantoms

USUAL = Quality(clarity=1.0, contrast=2.0, entropy=5.0, foreground=0.1, n_components=1, largest=1.0)


def picture(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, -1).astype(np.uint8)


def square() -> np.ndarray:
    region = np.zeros((32, 32), bool)
    region[8:16, 8:16] = True
    return region


def rows(n: int, dataset: str = "set", structure: str = "liver", spread: float = 0.01) -> list[Row]:
    """Samples around the usual, evenly spread, none of them unusual."""
    steps = np.linspace(-1, 1, n) * spread
    return [
        Row(dataset, structure, f"p{i}", replace(USUAL, clarity=1 + step)) for i, step in enumerate(steps)
    ]


def test_a_flat_picture_has_no_clarity_no_contrast_and_no_entropy() -> None:
    quality = quality_of(picture(np.full((32, 32), 100)), square())
    assert (quality.clarity, quality.contrast, quality.entropy) == (0, 0, 0)
    assert quality.foreground == 64 / 1024
    assert (quality.n_components, quality.largest) == (1, 1.0)


def test_entropy_of_two_equal_halves_is_one_bit() -> None:
    grey = np.zeros((32, 32))
    grey[:16] = 200
    assert quality_of(picture(grey), square()).entropy == pytest.approx(1.0)


def test_clarity_is_the_laplacians_variance() -> None:
    """One bright pixel: the Laplacian is -4 there and 1 at its four neighbours."""
    grey = np.zeros((32, 32))
    grey[16, 16] = 255
    assert quality_of(picture(grey), square()).clarity == pytest.approx((16 + 4) / 1024)


def test_contrast_is_measured_against_the_ring() -> None:
    """A ring of half 10 and half 30: mean 20, standard deviation 10; inside 70."""
    grey = np.where(np.indices((32, 32)).sum(0) % 2, 30.0, 10.0)
    region = np.zeros((32, 32), bool)
    region[8:24, 8:24] = True
    grey[region] = 70
    assert quality_of(picture(grey), region).contrast == pytest.approx(5.0, abs=0.1)


def test_components_and_the_share_of_the_largest() -> None:
    region = square()
    region[24:28, 24:28] = True
    quality = quality_of(picture(np.zeros((32, 32))), region)
    assert (quality.n_components, quality.largest) == (2, 64 / 80)


def test_everything_alike_is_kept() -> None:
    assert all(row.is_kept for row in curate(rows(20)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"foreground": 0.0005}, "of the picture"),
        ({"foreground": 0.7}, "of the picture"),
        ({"largest": 0.4, "n_components": 3}, "in pieces"),
        ({"clarity": 1.5}, "clarity is unusual"),
    ],
)
def test_what_is_unusual_is_left_out_and_the_reason_is_said(change: dict, reason: str) -> None:
    odd = Row("set", "liver", "odd", replace(USUAL, **change))
    *others, judged = curate([*rows(21), odd])
    assert not judged.is_kept
    assert any(reason in said for said in judged.reasons)
    assert all(row.is_kept for row in others)


@pytest.mark.parametrize(("distance", "is_kept"), [(0.0175, True), (0.0185, False)])
def test_limits_are_three_median_deviations(distance: float, is_kept: bool) -> None:
    """0.990, 0.991 ... 1.010 and two at the same distance from 1: median 1, deviation 0.006."""
    ends = [
        Row("set", "liver", f"end {sign}", replace(USUAL, clarity=1 + sign * distance)) for sign in (-1, 1)
    ]
    judged = curate([*rows(21), *ends])
    assert [row.is_kept for row in judged[-2:]] == [is_kept, is_kept]
    assert all(row.is_kept for row in judged[:-2])


def test_a_class_of_many_things_may_be_in_pieces() -> None:
    many = [replace(row, quality=replace(row.quality, n_components=9, largest=0.2)) for row in rows(9)]
    assert all(row.is_kept for row in curate(many))


def test_a_person_outweighs_the_rules() -> None:
    odd = Row("set", "liver", "odd", replace(USUAL, foreground=0.9))
    decided = {("set", "liver", "odd"): True, ("set", "liver", "p0"): False}
    judged = curate([*rows(9), odd], reviewed=decided)
    assert judged[-1].is_kept
    assert judged[0].reasons == ("a person left it out",)


def test_no_class_exceeds_its_share_and_the_best_stay() -> None:
    """Ten classes of 10 and one of 100 at a share of a tenth: the large one is cut to 11 of 111."""
    samples = [row for k in range(10) for row in rows(10, structure=f"class {k}")]
    judged = curate([*samples, *rows(100, structure="large", spread=0.01)], share=0.1)
    kept = [row for row in judged if row.is_kept]
    large = [row for row in kept if row.structure == "large"]
    assert len(kept) == 111
    assert len(large) == 11
    best = sorted((row for row in judged if row.structure == "large"), key=lambda row: -row.percentile)
    assert {row.title for row in large} == {row.title for row in best[:11]}


def test_with_too_few_classes_nothing_is_cut() -> None:
    assert sum(row.is_kept for row in curate(rows(50), share=0.05)) == 50


def test_nothing_gives_nothing() -> None:
    assert curate([]) == []


def test_a_data_set_becomes_a_manifest(tmp_path: Path) -> None:
    data = write_phantoms(tmp_path / "set", patients(3, "train"))
    judged = finish(curate_datasets([data], preparation=Preparation(long_side=64)))
    assert {row.structure for row in judged} == {"gland", "lesion"}
    write_manifest(judged, tmp_path / "manifest.csv")
    with (tmp_path / "manifest.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert len(read) == len(judged) == 6
    assert [row["kept"] for row in read] == [str(int(row.is_kept)) for row in judged]
    assert float(read[0]["clarity"]) == pytest.approx(judged[0].quality.clarity, rel=1e-4)
