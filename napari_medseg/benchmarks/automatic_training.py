"""Training of the automatic methods' rivals: every arm has its share of the time, small sets come first."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from napari_medseg.benchmarks.automatic_arms import (
    ADAPTERS,
    ALL,
    NETWORKS,
    RECIPES,
    Bench,
    is_joint,
    rival_of,
)
from napari_medseg.benchmarks.baselines.training import Learnt, learnt, note
from napari_medseg.core.model import Model
from napari_medseg.core.progress import Job
from napari_medseg.learning.data import Dataset

BUDGET = 10.0  # minutes a task where no joint model says what it took
ADAPTER_MINUTES = 5.0


@dataclass(frozen=True)
class Course:
    """One network of an arm that has to be trained; without a budget until nothing is gained."""

    arm: str
    slug: str
    datasets: tuple[Dataset, ...]
    budget: float | None

    def far(self, bench: Bench) -> Learnt:
        """How far it is."""
        return learnt(bench.file(self.arm, self.slug))


def is_trained(arm: str) -> bool:
    """Whether an arm's weights are made by this benchmark."""
    return arm in NETWORKS or arm in RECIPES or arm == ADAPTERS


def courses_of(arm: str, bench: Bench) -> list[Course]:
    """What an arm has to be trained in, sets with few images first."""
    sets = RECIPES[arm].sets if arm in RECIPES else ()
    datasets = [one for one in bench.datasets if not sets or one.name in sets]
    datasets.sort(key=lambda one: (one.dim, len(one.select("train")), one.name))
    budget = budget_of(arm, bench, len(datasets))
    if is_joint(arm):
        whole = not sets or len(datasets) == len(sets)
        return [Course(arm, ALL, tuple(datasets), budget)] if datasets and whole else []
    return [Course(arm, one.name, (one,), budget) for one in datasets]


def budget_of(arm: str, bench: Bench, n_sets: int) -> float | None:
    """Minutes of one network: what the joint model took for its tasks; None is until nothing is gained."""
    if arm == "unet_converged":
        return None
    if arm == ADAPTERS:
        return ADAPTER_MINUTES
    method = RECIPES[arm].method if arm in RECIPES else "hsp_sam"
    each = minutes_a_task(bench.joint.get(method)) or BUDGET
    return each * n_sets if is_joint(arm) else each


def minutes_a_task(model: Model | None) -> float:
    """What a joint model's training took, over the number of its tasks; 0 where it does not say."""
    if model is None:
        return 0.0
    spent = [run.get("minutes", 0.0) for run in model.card.get("seen", {}).get("runs", ())]
    return float(sum(spent)) / len(model.card["tasks"]) if spent and all(spent) else 0.0


def train_arms(arms: Sequence[str], bench: Bench, share: float, seed: int) -> Job[None]:
    """Give every arm so many minutes; nothing is begun when they are over."""
    for arm in arms:
        start = time.monotonic()
        for course in courses_of(arm, bench):
            left = share - (time.monotonic() - start) / 60
            if left > 0 and not course.far(bench).finished and missing(arm, bench) is None:
                yield from _train(course, bench, left, seed)


def missing(arm: str, bench: Bench) -> str | None:
    """What an arm needs and is not there, in words."""
    if (arm in RECIPES or arm == "plain_decoder") and "sam" not in bench.joint:
        return "there is no SAM to stand on"
    if arm == ADAPTERS and "hsp_sam" not in bench.joint:
        return "there is no joint HSP-SAM to stand on"
    return None


def _train(course: Course, bench: Bench, minutes: float, seed: int) -> Job[None]:
    """Train one network, going on where it stopped."""
    if course.arm == ADAPTERS:
        yield from _adapt(course, bench, seed)
    elif course.arm in RECIPES:
        yield from _by_recipe(course, bench, minutes, seed)
    else:
        from napari_medseg.benchmarks.baselines.material import read_material
        from napari_medseg.benchmarks.baselines.training import train_rival

        material = yield from read_material(course.datasets)
        words: dict[str, Any] = {"minutes": minutes, "budget": course.budget, "device": bench.device}
        file = bench.file(course.arm, course.slug)
        yield from train_rival(rival_of(course.arm, bench), material, file, seed=seed, **words)


def _adapt(course: Course, bench: Bench, seed: int) -> Job[None]:
    """An adapter for one task, in one go."""
    from napari_medseg.learning.adapter import train_adapter
    from napari_medseg.learning.labelled import labelled_dataset

    dataset, joint = course.datasets[0], bench.joint["hsp_sam"]
    file = bench.file(course.arm, course.slug)
    slices = yield from labelled_dataset(dataset, "train", joint.preparation)
    words: dict[str, Any] = {"minutes": ADAPTER_MINUTES, "device": bench.device, "seed": seed}
    yield from train_adapter(slices, dataset.task, file.with_suffix(""), joint=joint, **words)
    note(file, Learnt(minutes=ADAPTER_MINUTES, finished=True))


def _by_recipe(course: Course, bench: Bench, minutes: float, seed: int) -> Job[None]:
    """A model of another kind, by the recipe of the method; each call falls to a learning rate of nothing."""
    from napari_medseg.learning import hsp_sam, segmote

    recipe, file = RECIPES[course.arm], bench.file(course.arm, course.slug)
    far, budget = learnt(file), course.budget or BUDGET
    given = min(minutes, budget - far.minutes)
    words: dict[str, Any] = {"minutes": given, "device": bench.device, "seed": seed}
    words |= {"backbone": bench.joint["sam"], "resume": far.minutes > 0}
    sources, out = [one.folder for one in course.datasets], file.with_suffix("")
    if recipe.method == "hsp_sam":
        settings = hsp_sam.Settings(**recipe.settings)
        yield from hsp_sam.train_hsp_sam(sources, out, settings=settings, **words)
    else:
        chosen = segmote.Settings(**recipe.settings)
        yield from segmote.train_segmote(sources, out, settings=chosen, **words)
    spent = far.minutes + given
    note(file, Learnt(minutes=spent, finished=spent >= budget - 1e-6))


def notes_on(arm: str, bench: Bench, slugs: Sequence[str]) -> list[str]:
    """A sentence about what an arm cannot answer yet, and why."""
    from napari_medseg.benchmarks.automatic_arms import make_arm

    made = make_arm(arm, bench)
    lacking = [slug for slug in slugs if made.of(slug) is None]
    if not lacking:
        return []
    if (why := missing(arm, bench)) is not None:
        return [f"{arm} is left out: {why}."]
    if not is_trained(arm):
        rest = "" if len(lacking) == len(slugs) else f" for {', '.join(lacking)}"
        return [f"{arm} is left out{rest}: there is no such method, or no model of it that knows the task."]
    courses = [one for one in courses_of(arm, bench) if not one.far(bench).finished]
    if not courses:
        sets = ", ".join(RECIPES[arm].sets) if arm in RECIPES else ""
        return [f"{arm} answers only for {sets}."] if len(lacking) < len(slugs) else [f"{arm} needs {sets}."]
    begun = [
        f"{one.slug} ({one.far(bench).minutes:.0f} min so far)" for one in courses if one.far(bench).minutes
    ]
    rest = f"; begun: {', '.join(begun)}" if begun else ""
    return [f"{arm} is not trained yet for {', '.join(one.slug for one in courses)}{rest}."]
