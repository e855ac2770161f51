"""Facts about answers from examples, by which presence is told."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_medseg.core.errors import WeightsError
from napari_medseg.core.model import Preparation
from napari_medseg.core.phantoms import ct_phantom
from napari_medseg.core.progress import finish
from napari_medseg.core.request import Example, Request
from napari_medseg.core.task import task_of
from napari_medseg.methods._judged import ACROSS, FACTS, WITHIN, facts_of, kind_of, read_presence
from napari_medseg.methods._looks import Looks
from napari_medseg.methods._shots import Shot, Shots, View
from napari_medseg.methods.segicl import Settings, build
from napari_medseg.networks.sam import load_sam
from tests.models import tiny_sam, tiny_segicl

WHERE = 5
Seen = tuple[View, list[Shot], np.ndarray, Shots]
CERTAIN = {"mean": [0.0] * 9, "spread": [1.0] * 9, "weights": [0.0] * 9}


@pytest.fixture
def seen(tmp_path: Path) -> Seen:
    volume, mask = ct_phantom((10, 64, 64))
    sam = load_sam(tiny_sam(tmp_path))
    shots = Shots(Looks(sam, Preparation(long_side=64), 64, "cpu"))
    example = Example(volume, replace(mask, reviewed={"axial": frozenset({WHERE})}))
    request = Request(volume, "axial", (WHERE,), task_of("t", ("liver",)), examples=(example,))
    view = shots.view(volume, "axial", WHERE)
    return view, finish(shots.gather(request)), mask.on_slice("liver", "axial", WHERE), shots


def named(values: np.ndarray) -> dict[str, float]:
    return dict(zip(FACTS, values.tolist(), strict=True))


def test_the_example_itself_is_as_like_itself_as_can_be(seen: Seen) -> None:
    view, shots, truth, _ = seen
    facts = named(facts_of(view, truth.astype(np.float32), truth, shots, "liver"))
    assert facts["alike inside"] == pytest.approx(1.0, abs=1e-2)
    assert facts["alike all over"] == pytest.approx(1.0, abs=1e-4)
    assert facts["area"] == pytest.approx(0.0, abs=1e-2)
    assert facts["grey"] == pytest.approx(0.0, abs=0.1) and facts["contrast"] > 0.3
    assert facts["unsure"] == 0.0 and facts["peak"] > 9 and facts["firm"] > 9


def test_a_faint_small_answer_says_so(seen: Seen) -> None:
    view, shots, truth, _ = seen
    faint = np.full(truth.shape, 0.1, np.float32)
    facts = named(facts_of(view, faint, faint > 0.5, shots, "liver"))
    assert facts["peak"] == pytest.approx(np.log(0.1 / 0.9), abs=1e-3)
    assert facts["area"] < -3 and facts["unsure"] == pytest.approx(3.6, abs=1e-3)


def test_the_same_place_with_other_grey_is_far_off(seen: Seen) -> None:
    view, shots, truth, seer = seen
    volume = view.volume
    array = volume.array.copy()
    array[WHERE][truth] = array.min()  # the structure is gone: air in its place
    gone = replace(volume, array=array)
    other = seer.view(gone, "axial", WHERE)
    facts = named(facts_of(other, truth.astype(np.float32), truth, shots, "liver"))
    assert facts["grey"] > 3 and facts["contrast"] < 0


def test_without_an_example_likeness_is_unknown(seen: Seen) -> None:
    view, _, truth, _ = seen
    assert facts_of(view, truth.astype(np.float32), truth, [], "liver")[3:].tolist() == [0.0] * 6


def test_a_card_without_presence_knows_nothing_and_a_damaged_one_is_refused() -> None:
    assert read_presence({}, "m") == {}
    assert set(read_presence({"presence": {WITHIN: CERTAIN | {"bias": 1.0}}}, "m")) == {WITHIN}
    for damaged in ({"bias": 1.0}, CERTAIN, CERTAIN | {"bias": 1.0, "weights": [1.0]}, []):
        with pytest.raises(WeightsError, match="'m' says of presence is damaged"):
            read_presence({"presence": {ACROSS: damaged}}, "m")
    with pytest.raises(WeightsError, match="is damaged"):
        read_presence({"presence": []}, "m")


def test_examples_of_the_same_volume_are_told_from_others(seen: Seen) -> None:
    view, shots, _, seer = seen
    assert kind_of(view, shots) == WITHIN
    other, _ = ct_phantom((10, 64, 64), seed=1)
    assert kind_of(seer.view(other, "axial", WHERE), shots) == ACROSS


@pytest.mark.parametrize(("bias", "is_there"), [(9.0, True), (-9.0, False)])
def test_what_is_not_there_is_not_drawn_and_is_said(tmp_path: Path, bias: float, is_there: bool) -> None:
    model = tiny_segicl(tmp_path)
    model = replace(model, card={**model.card, "presence": {WITHIN: CERTAIN | {"bias": bias}}})
    volume, mask = ct_phantom((10, 64, 64))
    example = Example(volume, replace(mask, reviewed={"axial": frozenset({WHERE})}))
    request = Request(volume, "axial", (6,), task_of("t", ("liver",)), examples=(example,))
    answer = finish(build(Settings(disk=0, cut=0.05), model, "cpu").segment(request))
    assert answer.mask.of("liver").any() == is_there
    assert any(note.startswith("No liver found on this slice") for note in answer.notes) != is_there
