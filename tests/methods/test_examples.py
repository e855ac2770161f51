"""Both methods that go by examples: what teaches them, and what they say where nothing does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Geometry
from napari_medseg.core.mask import Mask
from napari_medseg.core.metrics import dice
from napari_medseg.core.model import Preparation
from napari_medseg.core.progress import finish
from napari_medseg.core.request import Example, Request
from napari_medseg.core.structure import UNTITLED
from napari_medseg.core.task import Task, task_of
from napari_medseg.core.volume import Volume
from napari_medseg.methods import _shots, entry, segicl
from napari_medseg.methods._shots import useful
from napari_medseg.methods.examples_head import ExamplesHead, Settings
from napari_medseg.methods.segicl import InContext
from napari_medseg.networks.checkpoints import official_sam
from tests.models import tiny_sam, tiny_segicl
from tests.published import small, weights

DISCS, BOTH = task_of("", ("disc",)), task_of("", ("disc", "ring"))
Made = ExamplesHead | InContext


def picture(seed: int, n: int = 1, task: Task = DISCS, size: int = 96) -> tuple[Volume, Mask]:
    """Bright discs on a dark ground, on every second slice; a ring around each in the second task."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    values = random.normal(60, 6, (n, size, size))
    distance = np.stack([np.hypot(y - a, x - b) for a, b in random.integers(30, size - 30, (n, 2))])
    disc, ring = distance < 16, (distance >= 16) & (distance < 24)
    disc[1::2] = ring[1::2] = False
    values += 130 * disc + 60 * ring
    geometry = Geometry.of_pixels((n, size, size))
    mask = Mask.empty(geometry, task.structures).put("disc", disc)
    mask = mask.put("ring", ring) if "ring" in mask.names else mask
    return Volume(values.astype(np.float32), geometry, modality="drawing"), mask


def example(seed: int, reviewed: tuple[int, ...] = (0,), n: int = 1, task: Task = DISCS) -> Example:
    volume, mask = picture(seed, n, task)
    return Example(volume, replace(mask, reviewed={volume.geometry.native_plane: frozenset(reviewed)}))


def asked(seed: int, examples: tuple[Example, ...], task: Task = DISCS, n: int = 1) -> tuple[Request, Mask]:
    volume, mask = picture(seed, n, task)
    plane = volume.geometry.native_plane
    return Request(volume, plane, tuple(range(n)), task, examples=examples), mask


@pytest.fixture(params=["examples_head", "segicl"])
def method(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    model = {"examples_head": tiny_sam, "segicl": tiny_segicl}[request.param](tmp_path)
    line = entry(request.param)
    made: Made = line.build(line.settings(disk=0), model, "cpu")  # type: ignore[assignment]
    return made


@pytest.fixture
def head(tmp_path: Path) -> ExamplesHead:
    line = entry("examples_head")
    made: ExamplesHead = line.build(Settings(disk=0), tiny_sam(tmp_path), "cpu")  # type: ignore[assignment]
    return made


def test_the_head_finds_what_its_examples_show(head: ExamplesHead) -> None:
    request, truth = asked(9, (example(1), example(2), example(3)))
    answer = finish(head.segment(request))
    assert dice(answer.mask.of("disc"), truth.of("disc")) > 0.85
    assert 0.6 < answer.quality["disc"][0] <= 1


def test_several_structures_are_told_apart(head: ExamplesHead) -> None:
    examples = tuple(example(i, task=BOTH) for i in (1, 2, 3))
    request, truth = asked(9, examples, BOTH)
    answer = finish(head.segment(request))
    assert dice(answer.mask.of("disc"), truth.of("disc")) > 0.8
    assert dice(answer.mask.of("ring"), truth.of("ring")) > 0.4


def test_examples_are_looked_at_once(method: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = (example(1), example(2))
    seen: list[int] = []
    look = method.looks.at
    monkeypatch.setattr(method.looks, "at", lambda *what: (seen.append(id(what[0])), look(*what))[1])
    request, _ = asked(9, examples)
    first = finish(method.segment(request))
    n_first = len(seen)
    again = finish(method.segment(request))
    assert n_first >= 3
    assert not {id(one.volume) for one in examples} & set(seen[n_first:])
    np.testing.assert_array_equal(first.mask.of("disc"), again.mask.of("disc"))


def test_a_new_outline_of_the_same_slice_counts(head: ExamplesHead) -> None:
    one = example(1)
    request, _ = asked(9, (one,))
    before = finish(head.segment(request)).mask.of("disc")
    plane = one.volume.geometry.native_plane
    turned = one.mask.put("disc", ~one.mask.of("disc"))
    other = Example(one.volume, replace(turned.copy(), reviewed={plane: frozenset((0,))}))
    after = finish(head.segment(replace(request, examples=(other,)))).mask.of("disc")
    assert (before ^ after).mean() > 0.5


def test_slices_nobody_reviewed_teach_nothing(method: Made) -> None:
    request, _ = asked(9, (example(1, reviewed=()),))
    with pytest.raises(TaskError, match="annotate"):
        finish(method.segment(replace(request, task=task_of("", (UNTITLED,)))))


def test_examples_of_something_else_are_said(head: ExamplesHead) -> None:
    request, _ = asked(9, (example(1),))
    with pytest.raises(TaskError, match="No example shows spleen"):
        finish(head.segment(replace(request, task=task_of("", ("spleen",)))))


def test_a_structure_without_an_example_is_left_out_and_said(method: Made) -> None:
    request, _ = asked(9, (example(1),), BOTH)
    answer = finish(method.segment(request))
    assert answer.mask.names == ("disc",)
    assert any("ring" in note for note in answer.notes)


def test_by_name_alone_segicl_guesses_and_says_so(tmp_path: Path) -> None:
    line = entry("segicl")
    method = line.build(line.settings(disk=0), tiny_segicl(tmp_path), "cpu")
    answer = finish(method.segment(asked(9, ())[0]))
    assert "name alone" in answer.notes[0]


def test_its_own_annotated_slices_come_first(head: ExamplesHead) -> None:
    own = example(5, (0, 2, 4), n=6)
    shots = finish(head.shots.gather(Request(own.volume, own.volume.geometry.native_plane, (3,), DISCS,
                                             examples=(example(1), own))))  # fmt: skip
    view = head.shots.view(own.volume, own.volume.geometry.native_plane, 3)
    chosen = useful(shots, "disc", view, 4)
    assert [shot.view.index for shot in chosen[:2]] == [2, 4]
    assert len(chosen) == 4
    at = head.shots.view(own.volume, own.volume.geometry.native_plane, 2)
    assert 2 not in [
        shot.view.index for shot in useful(shots, "disc", at, 4) if shot.view.volume is own.volume
    ]


def test_slices_without_the_structure_are_few_and_last(head: ExamplesHead) -> None:
    own = example(5, (0, 1, 2, 3, 4, 5), n=8)
    request = Request(own.volume, own.volume.geometry.native_plane, (7,), DISCS, examples=(own,))
    shots = finish(head.shots.gather(request))
    chosen = useful(shots, "disc", head.shots.view(own.volume, request.plane, 7), 8)
    assert [bool(shot.regions["disc"].any()) for shot in chosen] == [True] * 3 + [False] * 2
    many = useful(shots * 2, "disc", head.shots.view(own.volume, request.plane, 7), 8)
    assert [bool(shot.regions["disc"].any()) for shot in many] == [True] * 6 + [False] * 2


def test_only_so_many_examples_are_kept(head: ExamplesHead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_shots, "_MOST_KEPT", 2)
    finish(head.segment(asked(9, (example(1), example(2), example(3)))[0]))
    assert len(head.shots._shots) == 2


@pytest.mark.parametrize("name", ["sam", "hq_vit", "mobile_sam"])
def test_a_published_sam_is_a_backbone_too(tmp_path: Path, name: str) -> None:
    """Without fine features or the image itself: its embedding and the places must do."""
    network = official_sam(weights(small(name)))[0]
    model = replace(tiny_sam(tmp_path), preparation=Preparation(long_side=128))
    made = ExamplesHead(network, model, Settings(disk=0), "cpu")
    request, truth = asked(9, (example(1), example(2)))
    answer = finish(made.segment(request))
    assert answer.mask.of("disc").shape == truth.of("disc").shape
    assert 0 <= answer.quality["disc"][0] <= 1


def test_describing_tells_slices_apart(method: Made) -> None:
    volume, _ = picture(1, 4)
    found = finish(method.describe(volume, volume.geometry.native_plane, (0, 1, 2)))
    assert found.shape[0] == 3
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-4)
    assert np.linalg.norm(found[0] - found[1]) > np.linalg.norm(
        found[0] - found[2]
    )  # with and without a disc


def test_more_samples_give_a_spread(tmp_path: Path) -> None:
    line, model = entry("segicl"), tiny_segicl(tmp_path)
    request, _ = asked(9, (example(1), example(2), example(3), example(4)))
    answers = [
        finish(line.build(line.settings(disk=0, samples=n), model, "cpu").segment(request)) for n in (1, 4)
    ]
    assert answers[0].uncertainty is not None and answers[1].uncertainty is not None
    assert (answers[0].uncertainty != answers[1].uncertainty).any()


def test_a_missing_backbone_is_said(tmp_path: Path) -> None:
    model = replace(tiny_segicl(tmp_path), backbone=None)
    with pytest.raises(TaskError, match="install the package again"):
        segicl.build(segicl.Settings(), model, "cpu")


def test_more_examples_than_are_looked_at_are_said(
    head: ExamplesHead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_shots, "_MOST_LOOKED_AT", 2)
    request, _ = asked(9, (example(1), example(2), example(3)))
    assert finish(head.segment(request)).notes == ("Of 3 examples the last 2 were looked at.",)
