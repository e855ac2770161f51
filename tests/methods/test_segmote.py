"""SegMoTE in use: by name, by prompts, and what is said where nothing is found."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_medseg.core.errors import TaskError
from napari_medseg.core.phantoms import CT_TASK, ct_phantom, mr_phantom
from napari_medseg.core.progress import finish
from napari_medseg.core.prompts import Box
from napari_medseg.core.request import Request
from napari_medseg.core.task import task_of
from napari_medseg.methods.segmote import MixtureOfTokens, Settings, build
from tests.models import tiny_segmote

NAMES = CT_TASK.structure_names
BOX = Box("liver", "axial", 12, (20, 10), (60, 50))


@pytest.fixture
def method(tmp_path: Path) -> MixtureOfTokens:
    return build(Settings(present=0.0), tiny_segmote(tmp_path), "cpu")


def request(**more: object) -> Request:
    return Request(ct_phantom()[0], "axial", (11, 12), CT_TASK, **more)  # type: ignore[arg-type]


def test_without_prompts_all_structures_of_the_task_are_asked_for_by_name(method: MixtureOfTokens) -> None:
    answer = finish(method.segment(request()))
    assert answer.mask.names == NAMES
    assert all(len(values) == 2 for values in answer.quality.values())


def test_with_prompts_what_is_pointed_at_is_outlined(method: MixtureOfTokens) -> None:
    answer = finish(method.segment(request(prompts=(BOX,))))
    assert answer.mask.names == ("liver",)


def test_anything_can_be_pointed_at_but_only_known_names_are_read(method: MixtureOfTokens) -> None:
    volume = ct_phantom()[0]
    masks = []
    for name in ("liver", "spleen", "thing", "other"):
        asked = Request(volume, "axial", (12,), task_of("", (name,)), (replace(BOX, structure=name),))
        segmentation = finish(method.segment(asked))
        assert segmentation.uncertainty is not None
        masks.append(segmentation.uncertainty)
    assert not np.array_equal(masks[0], masks[1])
    assert np.array_equal(masks[2], masks[3])


def test_what_is_less_likely_than_the_cut_is_left_out_and_said(tmp_path: Path) -> None:
    method = build(Settings(), tiny_segmote(tmp_path), "cpu")
    with torch.no_grad():
        method.network.presence[-1].weight.zero_()
        for part in method.network.fit.layers[-1].parameters():
            part.zero_()
        method.network.presence[-1].bias.fill_(-3.0)  # a chance of 5 %
    answer = finish(method.segment(request()))
    assert not any(answer.mask.of(name).any() for name in NAMES)
    assert len(answer.notes) == len(NAMES)
    assert "No liver found on these slices; the model gives it a chance of 5 % at most." in answer.notes


def test_a_task_it_was_not_trained_for_is_said(method: MixtureOfTokens) -> None:
    asked = Request(mr_phantom()[0], "axial", (3,), task_of("brains", ("amygdala",)))
    with pytest.raises(TaskError, match="amygdala"):
        finish(method.segment(asked))


def test_the_same_answer_alone_and_in_a_batch(method: MixtureOfTokens) -> None:
    both = finish(method.segment(request()))
    alone = finish(method.segment(replace(request(), slices=(12,))))
    assert both.uncertainty is not None and alone.uncertainty is not None
    np.testing.assert_allclose(both.uncertainty[1], alone.uncertainty[0], atol=1e-4)


def test_a_second_pass_and_the_free_tokens_change_the_answer(tmp_path: Path) -> None:
    model = tiny_segmote(tmp_path)
    answers = []
    for settings in (Settings(), Settings(passes=1), Settings(free=False)):
        answers.append(finish(build(replace(settings, present=0.0), model, "cpu").segment(request())))
    first, *others = [answer.uncertainty for answer in answers]
    assert first is not None
    assert all(not np.array_equal(first, other) for other in others if other is not None)


def test_without_a_model_or_its_backbone_one_sentence_says_so(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="none is installed"):
        build(Settings(), None, "cpu")
    with pytest.raises(TaskError, match="stands on another model"):
        build(Settings(), replace(tiny_segmote(tmp_path), backbone=None), "cpu")
