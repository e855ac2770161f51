"""Automatic outlining around any network: absence, planes, specks, memory, and which task is meant."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Geometry, from_spacing
from napari_medseg.core.model import Preparation
from napari_medseg.core.phantoms import CT_TASK
from napari_medseg.core.progress import Progress, finish
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.task import Task, task_of
from napari_medseg.core.volume import Volume
from napari_medseg.methods._automatic import Automatic, AutomaticSettings, Outline, known_task

BALL = task_of("balls", ("ball", "shadow"))
PREPARED = Preparation(long_side=64, windows={}, percentiles=(0.0, 100.0), mean=(0, 0, 0), std=(1, 1, 1))


def ball(
    shape: tuple[int, int, int] = (24, 32, 32), spacing: tuple[float, float, float] = (1, 1, 1)
) -> Volume:
    """A bright ball, and a bright voxel far from it."""
    at = np.indices(shape) - np.array([s / 2 for s in shape])[:, None, None, None]
    inside = (at * np.array(spacing)[:, None, None, None]) ** 2
    array = np.where(inside.sum(0) < 64, 200, 0).astype(np.uint8)
    array[3, 3, 3] = 200
    return Volume(array, Geometry(shape, from_spacing(spacing)))


def bright(images: Tensor, presence: float = 0.9) -> tuple[Tensor, Tensor, Tensor]:
    """What is bright is the ball; the shadow is said to be absent."""
    level = 20 * (images[:, :1] - 0.5)
    ones = torch.ones(len(images), 1)
    return torch.cat([level, -level], 1), torch.cat([0.8 * ones, 0.1 * ones], 1), torch.cat(
        [presence * ones, 0.2 * ones], 1)  # fmt: skip


def runs(device: str = "cpu", **settings: object) -> Automatic:
    return Automatic((nn.Identity(),), PREPARED, device, AutomaticSettings(**settings))  # type: ignore[arg-type]


def ask(
    volume: Volume, outline: Outline = bright, task: Task = BALL, n: int = 0, **settings: object
) -> Segmentation:
    slices = tuple(range(volume.geometry.shape[0])) if not n else (volume.geometry.shape[0] // 2,)
    request = Request(volume, "axial", slices, task)
    return finish(runs(**settings).answer(request, BALL.structure_names, outline))


def test_what_is_there_is_outlined_and_what_is_not_is_said() -> None:
    volume = ball()
    answer = ask(volume)
    truth = np.asarray(volume.array > 0)
    truth[3, 3, 3] = False  # a speck of 1 mm
    found = answer.mask.of("ball")
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.98
    assert not answer.mask.of("shadow").any()
    assert answer.notes == ("No shadow found on these slices; the model gives it a chance of 20 % at most.",)
    assert answer.quality["ball"][12] == pytest.approx(2 * 0.8 / 1.8)
    assert answer.quality["shadow"][12] == pytest.approx(0.8)  # sure that there is none
    assert answer.uncertainty is not None and answer.uncertainty.max() <= 1


def test_presence_decides_slice_by_slice() -> None:
    volume = ball()

    def by_hand(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        level, quality, _ = bright(images)
        there = (images[:, 0] > 0.5).flatten(1).sum(1) > 200
        return level, quality, there.float()[:, None].expand(-1, 2)

    found = ask(volume, by_hand).mask.of("ball")
    shown = (volume.array > 0).sum((1, 2))
    assert found[shown.argmax()].any() and not found[(shown > 0) & (shown < 40)].any()


def test_one_slice_has_its_own_sentence_and_specks_in_its_plane() -> None:
    answer = ask(ball(), lambda images: bright(images, presence=0.3), n=1)
    assert not answer.mask.of("ball").any()
    assert answer.notes[0] == "No ball found on this slice; the model gives it a chance of 30 % at most."
    assert ask(ball(), n=1, smallest=100.0).mask.of("ball").sum() == 0
    assert ask(ball(), n=1, smallest=10.0).mask.of("ball").sum() > 150


def test_a_chance_that_denies_nothing_is_not_told() -> None:
    answer = ask(ball(), lambda images: bright(images, presence=0.8), n=1, present=0.9)
    assert answer.notes[0] == "No ball found on this slice."


def test_three_planes_agree_on_a_ball_and_say_where_they_cannot() -> None:
    thick, alone = "the slices are too far apart", "it needs the whole volume"
    volume = ball()
    one, three = ask(volume), ask(volume, planes=True)
    assert three.notes == one.notes
    np.testing.assert_array_equal(one.mask.of("ball")[12], three.mask.of("ball")[12])
    assert any(thick in note for note in ask(ball(spacing=(5, 1, 1)), planes=True).notes)
    assert any(alone in note for note in ask(volume, n=1, planes=True).notes)


def test_of_three_planes_the_mean_decides() -> None:
    def only_square(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sees a ball in axial slices only, whose canvas is full."""
        level, quality, presence = bright(images)
        is_axial = images.shape[0] > 0 and float(images[0, 0, 48:].max()) > 0
        return level if is_axial else level * 0 - 20, quality, presence

    volume = ball((24, 32, 32))
    assert (
        ask(volume, only_square).mask.of("ball").sum()
        > ask(volume, only_square, planes=True).mask.of("ball").sum()
    )


def test_partial_results_come_on_the_way() -> None:
    steps: list[Progress] = []
    volume = ball()
    request = Request(volume, "axial", tuple(range(24)), BALL)
    finish(runs().answer(request, BALL.structure_names, bright), steps.append)
    partial = [step.partial for step in steps if step.partial is not None]
    assert partial and all(isinstance(one, Segmentation) for one in partial)
    done = [step.done for step in steps]
    assert done == sorted(done) and done[-1] == 1.0


def full(at: int) -> Outline:
    """A graphics card that holds so many slices."""

    def outline(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if len(images) > at:
            raise torch.OutOfMemoryError
        return bright(images)

    return outline


def test_a_full_card_is_given_less_then_left() -> None:
    method = runs()
    request = Request(ball(), "axial", tuple(range(24)), BALL)
    answer = finish(method.answer(request, BALL.structure_names, full(1)))
    assert method.at_once == 1 and answer.mask.of("ball").any()
    moved: list[str] = []

    class Card(nn.Identity):
        def to(self, device: str) -> "Card":  # type: ignore[override]
            moved.append(device)
            return self

    method = Automatic((Card(),), PREPARED, "meta", AutomaticSettings())
    method.at_once = 1
    method._fall_back()
    assert (method.device, moved) == ("cpu", ["meta", "cpu"])
    answer = finish(method.answer(request, BALL.structure_names, bright))
    assert answer.notes[0].startswith("The graphics card's memory is full")


def test_a_full_processor_is_said() -> None:
    request = Request(ball(), "axial", tuple(range(24)), BALL)
    with pytest.raises(TaskError, match="not enough memory"):
        finish(runs().answer(request, BALL.structure_names, full(0)))


TASKS = {"ct_phantom": ("liver", "spleen"), "hearts": ("ventricle",), "hearts_mr": ("ventricle",)}


@pytest.fixture
def asked() -> Iterator[Request]:
    yield Request(ball(), "axial", (0,), CT_TASK)


def test_a_task_is_known_by_name_by_structures_or_by_those_wanted(asked: Request) -> None:
    assert known_task(asked, TASKS, "m") == "ct_phantom"
    by_structures = replace(asked, task=task_of("mine", ("liver", "spleen")))
    assert known_task(by_structures, TASKS, "m") == "ct_phantom"
    one = replace(asked, task=task_of("mine", ("spleen",)))
    assert known_task(one, TASKS, "m") == "ct_phantom"


def test_an_unknown_or_unclear_task_is_said(asked: Request) -> None:
    with pytest.raises(TaskError, match="not trained for kidney"):
        known_task(replace(asked, task=task_of("mine", ("kidney",))), TASKS, "m")
    with pytest.raises(TaskError, match="several tasks"):
        known_task(replace(asked, task=task_of("mine", ("ventricle",))), TASKS, "m")
