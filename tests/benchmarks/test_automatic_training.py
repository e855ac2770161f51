"""How long rivals are trained: the joint model's minutes, shared among its tasks; small sets first."""

from dataclasses import replace
from pathlib import Path

import pytest

from napari_medseg.benchmarks.automatic_arms import Bench, check_arms, is_joint
from napari_medseg.benchmarks.automatic_training import (
    ADAPTER_MINUTES,
    BUDGET,
    budget_of,
    courses_of,
    minutes_a_task,
    missing,
    notes_on,
)
from napari_medseg.benchmarks.baselines.training import Learnt, note
from napari_medseg.core.model import Model, Preparation
from napari_medseg.learning.data import read_datasets
from tests.phantom_sets import patients, write_phantoms

CARD = {"tasks": {"a": ["x"], "b": ["y"]}, "seen": {"runs": [{"minutes": 30.0}, {"minutes": 10.0}]}}
JOINT = Model("joint", "hsp_sam", {}, (), Preparation(), "0" * 64, Path(), card=CARD)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Three sets with 4, 2 and 1 training images, the last one of volumes."""
    for name, n, dim in (("many", 4, 2), ("few", 2, 2), ("deep", 1, 3)):
        write_phantoms(tmp_path / "data" / name, patients(n, "train"), dim=dim)
    return Bench(tmp_path, read_datasets([tmp_path / "data"]), "cpu", {"hsp_sam": JOINT})


def test_a_task_has_its_share_of_the_joint_models_minutes(bench: Bench) -> None:
    assert minutes_a_task(JOINT) == 20.0
    assert budget_of("unet_budget", bench, 3) == budget_of("plain_decoder", bench, 3) == 20.0
    assert budget_of("unet_joint", bench, 3) == budget_of("ft_sam", bench, 3) == 60.0
    assert budget_of("unet_converged", bench, 3) is None
    assert budget_of("hsp_sam_task", bench, 3) == ADAPTER_MINUTES
    assert budget_of("segmote_one_expert", bench, 3) == 3 * BUDGET  # no joint SegMoTE to go by


def test_a_model_that_does_not_say_its_minutes_gives_none() -> None:
    runs = {"runs": [{"minutes": 30.0}, {}]}
    assert minutes_a_task(None) == 0.0
    assert minutes_a_task(replace(JOINT, card=CARD | {"seen": runs})) == 0.0


def test_small_sets_come_first_and_volumes_last(bench: Bench) -> None:
    assert [course.slug for course in courses_of("unet_converged", bench)] == ["few", "many", "deep"]
    (joint,) = courses_of("unet_joint", bench)
    assert joint.slug == "all" and len(joint.datasets) == 3
    assert courses_of("ablation_full", bench) == []  # its four sets are not there


def test_what_is_lacking_is_said(bench: Bench) -> None:
    assert missing("ft_sam", bench) == "there is no SAM to stand on"
    assert missing("hsp_sam_task", bench) is None
    assert notes_on("ft_sam", bench, ["many"]) == ["ft_sam is left out: there is no SAM to stand on."]
    note(bench.file("unet_converged", "few"), Learnt(minutes=12.4, steps=9))
    (said,) = notes_on("unet_converged", bench, ["few", "many", "deep"])
    assert said == "unet_converged is not trained yet for few, many, deep; begun: few (12 min so far)."


def test_arms_are_named_in_the_tables_order() -> None:
    assert check_arms(["hsp_sam", "sam_box"]) == ("sam_box", "hsp_sam")
    assert check_arms(["ablation"])[-1] == "ablation_full" and len(check_arms(["ablation"])) == 6
    assert check_arms([])[-1] == "hsp_sam"
    assert is_joint("unet_joint") and is_joint("ft_sam") and not is_joint("segmote_task")
