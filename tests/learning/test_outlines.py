"""Batches of known tasks and the loss of their answers, against closed forms."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from napari_medseg.core.errors import TaskError
from napari_medseg.core.task import Task, task_of
from napari_medseg.learning.labelled import Labelled
from napari_medseg.learning.outlines import Lessons, outline_loss
from napari_medseg.networks.hsp_sam import Outlined

LIVER = task_of("liver", ("liver",), modality="CT", anatomy="abdomen")
BRAIN = task_of("brain", ("tumour",), modality="MR", anatomy="brain")


def labelled(bright: int, side: int = 64) -> Labelled:
    canvas = np.zeros((side, side, 3), np.uint8)
    regions = np.zeros((1, side, side), bool)
    regions[:, 20:44, 20:44] = True
    canvas[regions[0]] = bright
    return Labelled(canvas, (side, side), regions, np.ones(1, bool), "p", "")


def lessons(absent: float, *tasks: Task) -> Lessons:
    return Lessons([(task, [labelled(255)]) for task in tasks], np.random.default_rng(0), absent)


def test_a_batch_shows_one_task() -> None:
    batch = lessons(0.0, LIVER, BRAIN).draw(4, 32)
    assert batch.task in ("liver", "brain")
    assert batch.images.shape == (4, 3, 32, 32) and batch.regions.shape == (4, 1, 32, 32)
    assert batch.regions.flatten(1).any(1).all() and batch.known.all()


@pytest.mark.parametrize("tasks", [(LIVER, BRAIN), (LIVER,)])
def test_pictures_without_the_task_hold_nothing(tasks: tuple[Task, ...]) -> None:
    drawn = lessons(1.0, *tasks)
    for _ in range(6):
        assert not drawn.draw(3, 32).regions.any()


def test_a_task_is_only_denied_by_places_that_cannot_show_it() -> None:
    kidney = task_of("kidney", ("kidney",), modality="CT", anatomy="abdomen / kidney")
    foreign = lessons(0.5, LIVER, BRAIN, kidney).foreign
    assert foreign == {"liver": ["brain"], "kidney": ["brain"], "brain": ["liver", "kidney"]}


def test_a_task_without_slices_is_refused() -> None:
    with pytest.raises(TaskError, match="nothing to train on for the task 'liver'"):
        Lessons([(LIVER, [])], np.random.default_rng(0), 0.0)


def answer(masks: torch.Tensor, presence: float, quality: float = 0.0) -> Outlined:
    each = torch.zeros(masks.shape[:2])
    return Outlined(masks, each + quality, each + presence, (F.avg_pool2d(masks, 4),))


def test_the_loss_is_the_published_one_with_presence_and_quality() -> None:
    torch.manual_seed(0)
    masks, truth = torch.randn(1, 1, 16, 16), (torch.rand(1, 1, 16, 16) > 0.5).float()
    got = outline_loss(answer(masks, presence=2.0), truth, torch.ones(1, 1, dtype=torch.bool), 0.0)
    p = masks.sigmoid()
    dice = 1 - (2 * (p * truth).sum() + 1) / ((p * p).sum() + (truth * truth).sum() + 1)
    entropy = -(truth * p.log() + (1 - truth) * (1 - p).log()).mean()
    there = torch.log1p(torch.exp(torch.tensor(-2.0)))
    overlap = ((p > 0.5) & (truth > 0)).sum() / ((p > 0.5) | (truth > 0)).sum()
    wanted = 0.8 * dice + 0.2 * entropy + 0.2 * there + (0.5 - overlap) ** 2
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


def test_what_nobody_looked_for_teaches_nothing() -> None:
    torch.manual_seed(0)
    masks, truth = torch.randn(1, 2, 16, 16, requires_grad=True), torch.ones(1, 2, 16, 16)
    outline_loss(answer(masks, 0.0), truth, torch.tensor([[True, False]]), 0.4).backward()
    assert masks.grad is not None and masks.grad[:, 0].any() and not masks.grad[:, 1].any()


def test_nothing_where_nothing_is_costs_nothing() -> None:
    sure = answer(torch.full((1, 1, 16, 16), -20.0), presence=-20.0, quality=20.0)
    loss = outline_loss(sure, torch.zeros(1, 1, 16, 16), torch.ones(1, 1, dtype=torch.bool), 0.4)
    assert loss.item() < 1e-3
