"""The benchmark on volumes, on phantoms and with a method whose answers are known."""

import json
from pathlib import Path

import numpy as np
import pytest

from napari_medseg import workflow
from napari_medseg.benchmarks import volumes
from napari_medseg.benchmarks.bodies import Body, bodies_of
from napari_medseg.benchmarks.volume_arms import asked, filled, grown, registered, spread
from napari_medseg.benchmarks.volumes import NEVER, Reader
from napari_medseg.core.errors import TaskError
from napari_medseg.core.metrics import dice
from napari_medseg.core.phantoms import ct_phantom
from napari_medseg.core.progress import Job, Progress, finish
from napari_medseg.core.prompts import Box, Point
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.volume import Volume
from napari_medseg.learning.prompting import box_of, click_in
from tests.benchmarks.test_quality import write_set

VOLUME, TRUTH = ct_phantom((16, 60, 60))


def body(name: str = "liver") -> Body:
    return next(found for found in bodies_of(TRUTH, "phantom") if found.structure == name)


class Slicewise:
    """Knows the truth of every slice that was pointed at or accepted, and of all once `n` were."""

    def __init__(self, truth: np.ndarray, n: int) -> None:
        self.truth, self.n, self.asked = truth, n, list[Request]()

    def prepare(self, volume: Volume, plane: str, slices: tuple[int, ...]) -> Job[None]:
        yield Progress(1.0)

    def segment(self, request: Request) -> Job[Segmentation]:
        yield Progress(0.5)
        self.asked.append(request)
        fixed = request.fixed.get("target", np.zeros(request.volume.geometry.shape, np.int8))
        sure = {i for i, part in enumerate(fixed) if part.all()}
        known = sure | {i for i in request.slices if request.prompts_on("target", i)}
        region = request.region()
        for k, i in enumerate(request.slices):
            region[k] = self.truth[i] & (i in known or len(known) >= self.n)
        return Segmentation(request.mask_of({"target": region}), request.start)


def test_bodies_are_large_and_connected_and_their_middle_is_prompted() -> None:
    found = bodies_of(TRUTH, "phantom")
    assert len(found) <= 4
    assert bodies_of(TRUTH, "phantom")[0].key == found[0].key
    for one in found:
        assert len(one.slices) >= 5
        assert one.middle.index == one.slices[len(one.slices) // 2]
        assert one.middle.region.sum() >= 50


def test_two_and_three_true_slices() -> None:
    liver = body()
    two, three = (filled(spread(liver, n), VOLUME) for n in (2, 3))
    assert dice(two, liver.region) < dice(three, liver.region)
    assert np.array_equal(three[liver.slices[0]], liver.region[liver.slices[0]])
    assert set(np.flatnonzero(three.any((1, 2)))) == set(liver.slices)


@pytest.mark.parametrize("prompt", [box_of, click_in])
def test_growcut_grows_from_the_prompt_in_three_dimensions(prompt: object) -> None:
    kidney = (
        body("left kidney")
        if any(b.structure == "left kidney" for b in bodies_of(TRUTH, "phantom"))
        else body()
    )
    found = grown(VOLUME, prompt(kidney.middle))  # type: ignore[operator]
    assert found.any(axis=(1, 2)).sum() > 1
    assert (found & kidney.region)[kidney.middle.index].any()


def test_registration_carries_the_outline_both_ways() -> None:
    liver = body()
    found = registered(VOLUME, liver.middle.index, liver.middle.region)
    assert np.array_equal(found[liver.middle.index], liver.middle.region)
    assert dice(found, liver.region) > 0.8


def test_a_method_is_asked_for_the_whole_volume_and_the_answer_is_held_to_what_was_accepted() -> None:
    liver = body()
    method = Slicewise(liver.region, 99)
    index = liver.middle.index
    empty = {0: np.zeros((60, 60), bool), index + 1: liver.region[index + 1]}
    found = asked(method, VOLUME, [box_of(liver.middle)], decided=empty)
    assert method.asked[0].slices == tuple(range(16))
    assert np.flatnonzero(found.any((1, 2))).tolist() == [index, index + 1]
    one = asked(method, VOLUME, [box_of(liver.middle)], (index,))
    assert np.array_equal(one[index], liver.middle.region)
    assert one.shape == VOLUME.geometry.shape


def test_the_reader_acts_on_the_worst_slice() -> None:
    liver = body()
    answer = liver.region.copy()
    answer[liver.middle.index] = False
    clicks = Reader(liver, outlines=False)
    clicks.act(answer)
    assert isinstance(clicks.prompts[0], Point)
    assert clicks.prompts[0].at[0] == liver.middle.index
    assert clicks.prompts[0].positive
    answer = liver.region.copy()
    answer[0] = True
    clicks.act(answer)
    assert not clicks.decided[0].any()
    by_hand = Reader(liver, outlines=True)
    answer[liver.middle.index + 1] = True
    answer[0] = False
    by_hand.act(answer)
    assert np.array_equal(by_hand.decided[liver.middle.index + 1], liver.region[liver.middle.index + 1])


def test_effort_is_counted_until_it_is_good_or_the_reader_gives_up() -> None:
    liver = body()

    def row(arm: str, *values: float) -> tuple[str, float, float]:
        return arm, values[0], values[4]

    found = {
        arm: (overlap, n)
        for arm, overlap, n in volumes._effort(VOLUME, liver, row, Slicewise(liver.region, 3))  # type: ignore[arg-type]
    }
    assert found["sam, clicks"] == found["sam, true slices"] == (1.0, 3)
    assert found["fill between, true slices"][0] >= 0.9
    assert 3 <= found["fill between, true slices"][1] <= 8
    never = volumes._effort(VOLUME, liver, row, Slicewise(liver.region, 99))  # type: ignore[arg-type]
    assert never[1][2] == NEVER  # type: ignore[index]


def test_run_measures_volumes_only_and_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow, "model_for", lambda *_: None)
    write_set(tmp_path / "data" / "pictures", 1)
    write_set(tmp_path / "data" / "volumes", 2, dim=3)
    out = tmp_path / "run"
    found = finish(volumes.run(tmp_path / "data", minutes=0.0, out=out))
    assert {row.image for row in found.table.rows} < {"p0.nii.gz", "p1.nii.gz"}
    found = finish(volumes.run(tmp_path / "data", minutes=5.0, out=out, resume=True))
    assert {row.set for row in found.table.rows} == {"volumes"}
    assert len({row.image for row in found.table.rows}) == 2
    assert found.table.arms["1 box"] == (
        "GrowCut",
        "fill between, 2 true slices",
        "fill between, 3 true slices",
    )
    text = (out / "table.md").read_text()
    assert "Bodies that reach Dice 0.90" in text
    record = json.loads((out / "table.json").read_text())
    assert {one["arm"] for one in record["effort"]} == {"fill between, true slices"}


def test_a_folder_without_volumes_is_said(tmp_path: Path) -> None:
    write_set(tmp_path / "pictures", 1)
    with pytest.raises(TaskError, match="No volume"):
        finish(volumes.run(tmp_path / "pictures", out=tmp_path / "run"))
    assert isinstance(box_of(body().middle), Box)
