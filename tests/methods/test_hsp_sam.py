"""HSP-SAM as a method: what it knows, what it says of the rest, and adapters."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_medseg.core.errors import TaskError, WeightsError
from napari_medseg.core.phantoms import CT_TASK, ct_phantom
from napari_medseg.core.progress import finish
from napari_medseg.core.request import Request
from napari_medseg.core.task import task_of
from napari_medseg.methods.hsp_sam import Settings, build
from tests.models import tiny_hsp_sam
from tests.networks.test_hsp_sam_models import adapter_on


def test_it_outlines_a_known_task_without_a_prompt(tmp_path: Path) -> None:
    volume, _ = ct_phantom((6, 40, 40))
    method = build(Settings(present=1e-6), tiny_hsp_sam(tmp_path), "cpu")
    answer = finish(method.segment(Request(volume, "axial", (1, 2, 3), CT_TASK)))
    assert answer.mask.names == CT_TASK.structure_names
    assert all(len(values) == 3 for values in answer.quality.values())


def test_an_image_is_answered_alike_in_any_batch(tmp_path: Path) -> None:
    volume, _ = ct_phantom((6, 40, 40))
    method = build(Settings(present=1e-6, smallest=0.0), tiny_hsp_sam(tmp_path), "cpu")
    several = finish(method.segment(Request(volume, "axial", (1, 2, 3), CT_TASK)))
    alone = finish(method.segment(Request(volume, "axial", (2,), CT_TASK)))
    assert several.uncertainty is not None and alone.uncertainty is not None
    np.testing.assert_allclose(several.uncertainty[1], alone.uncertainty[0], atol=1e-4)


def test_an_adapter_knows_its_one_task(tmp_path: Path) -> None:
    adapter = adapter_on(tiny_hsp_sam(tmp_path), tmp_path / "nodes-1")
    volume, _ = ct_phantom((6, 40, 40))
    method = build(Settings(), adapter, "cpu")
    answer = finish(method.segment(Request(volume, "axial", (2,), task_of("mine", ("node",)))))
    assert answer.mask.names == ("node",)
    with pytest.raises(TaskError, match="'nodes-1' was not trained for liver"):
        finish(method.segment(Request(volume, "axial", (2,), CT_TASK)))


def test_a_card_may_say_from_which_presence_on_to_draw(tmp_path: Path) -> None:
    model = tiny_hsp_sam(tmp_path)
    sure = replace(model, card={**model.card, "present": 0.9})
    assert build(Settings(), model, "cpu").runs.present == 0.5
    assert build(Settings(), sure, "cpu").runs.present == 0.9
    assert build(Settings(present=0.3), sure, "cpu").runs.present == 0.3


def test_without_a_model_or_what_it_stands_on_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="needs a model"):
        build(Settings(), None, "cpu")
    with pytest.raises(WeightsError, match="not installed"):
        build(Settings(), replace(tiny_hsp_sam(tmp_path), backbone=None), "cpu")
