"""The quality benchmark on phantoms, with arms whose answers are known."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from napari_medseg import workflow
from napari_medseg.benchmarks import quality
from napari_medseg.benchmarks.harness import Unit, units_of
from napari_medseg.benchmarks.nothing import Donors
from napari_medseg.benchmarks.prompt_arms import FloorArm, MethodArm
from napari_medseg.core.errors import TaskError
from napari_medseg.core.mask import Region
from napari_medseg.core.phantoms import ct_phantom, slice_phantom
from napari_medseg.core.progress import Job, Progress, finish
from napari_medseg.core.prompts import Box, Point, Prompt
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.volume import Volume
from napari_medseg.imaging.files import write_mask, write_volume
from napari_medseg.learning.data import read_datasets
from napari_medseg.learning.prompting import Target


def write_set(folder: Path, n: int, dim: int = 2) -> Path:
    """A data set of phantoms, each its own patient, all in the test split."""
    for room in ("images", "masks"):
        (folder / room).mkdir(parents=True)
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "group", "split"])
        for seed in range(n):
            volume, mask = slice_phantom(64, seed) if dim == 2 else ct_phantom((6, 40, 40), seed)
            name = f"p{seed}.png" if dim == 2 else f"p{seed}.nii.gz"
            write_volume(volume, folder / "images" / name)
            write_mask(mask, folder / "masks" / name, volume)
            writer.writerow([name, f"patient {seed}", "test"])
    classes = {str(number): name for number, name in enumerate(mask.names, start=1)}
    regions = {"gland": [1, 2], "lesion": [2]} if dim == 2 else {}
    about = {"classes": classes, "dim": dim, "regions": regions}
    (folder / "dataset.json").write_text(json.dumps(about))
    return folder


def first_unit(folder: Path) -> Unit:
    """The first image of a set."""
    return units_of(read_datasets([folder]), "test", 0)[0]


class Scripted:
    """An arm that copies the truth, but leaves out as many rows as the script says for each answer."""

    name = "scripted"
    word: dict[str, float] = {}  # noqa: RUF012

    def __init__(self, left_out: Sequence[int]) -> None:
        self.left_out, self.asked = left_out, []

    def outline(self, volume: Volume, target: Target, prompts: Sequence[Prompt], before: Region) -> Region:
        self.asked.append(tuple(prompts))
        answer = target.region.copy()
        first = int(np.flatnonzero(answer.any(1))[0])
        number = len(prompts) - 1
        answer[first : first + self.left_out[min(number, len(self.left_out) - 1)]] = False
        return answer


def test_clicks_go_on_until_five_and_the_goal_are_reached(tmp_path: Path) -> None:
    unit = first_unit(write_set(tmp_path / "set", 1))
    never = Scripted([100])
    rows = quality._do_image(unit, [], [never], Donors([]))
    assert {row.part for row in rows} == {"1 click", "5 clicks"}
    assert max(len(prompts) for prompts in never.asked) == 10
    assert {row.clicks for row in rows if row.part == "5 clicks"} == {99}
    at_third = Scripted([60, 60, 2])
    rows = quality._do_image(unit, [], [at_third], Donors([]))
    assert {row.clicks for row in rows if row.part == "5 clicks"} == {3}
    assert {row.clicks for row in rows if row.part == "1 click"} == {0}
    assert max(len(prompts) for prompts in at_third.asked) == 5
    assert all(row.dice > 0.85 for row in rows if row.part == "5 clicks")
    at_once = Scripted([0])
    rows = quality._do_image(unit, [], [at_once], Donors([]))
    assert {(row.part, row.dice) for row in rows} == {("1 click", 1.0), ("5 clicks", 1.0)}
    assert max(len(prompts) for prompts in at_once.asked) == 1


def test_every_arm_sees_the_same_first_prompts(tmp_path: Path) -> None:
    unit = first_unit(write_set(tmp_path / "set", 1))
    one, two = Scripted([9]), Scripted([50])
    quality._do_image(unit, [one, two], [one, two], Donors([]))
    firsts = [[p for p in arm.asked if len(p) == 1] for arm in (one, two)]
    assert firsts[0] == firsts[1]
    assert any(isinstance(p[0], Box) for p in firsts[0])
    assert any(isinstance(p[0], Point) for p in firsts[0])


class Echo:
    """A method that fills the box it is given, or returns the previous mask, on the slices asked for."""

    def prepare(self, volume: Volume, plane: str, slices: tuple[int, ...]) -> Job[None]:
        yield Progress(1.0)

    def segment(self, request: Request) -> Job[Segmentation]:
        yield Progress(0.5)
        region = request.region()
        for prompt in request.prompts:
            if isinstance(prompt, Box):
                top, left, bottom, right = (round(edge) for edge in (*prompt.start, *prompt.stop))
                region[0, top:bottom, left:right] = True
            elif request.previous is not None:
                region[0] |= request.previous.on_slice(prompt.structure, request.plane, request.slices[0])
        return Segmentation(request.mask_of({"target": region}), request.start)


def test_a_method_is_asked_through_its_contract(tmp_path: Path) -> None:
    volume, mask = ct_phantom((8, 48, 48))
    target = Target("liver", "axial", 5, mask.on_slice("liver", "axial", 5), "key")
    nothing = np.zeros((48, 48), bool)
    arm = MethodArm("echo", Echo())
    found = arm.outline(volume, target, [Box("target", "axial", 5, (4.0, 6.0), (9.0, 20.0))], nothing)
    assert found.sum() == 5 * 14
    before = nothing.copy()
    before[3:5, 3:5] = True
    again = arm.outline(volume, target, [Point("target", "axial", (5.0, 20.0, 20.0))], before)
    np.testing.assert_array_equal(again, before)


def test_what_a_method_says_of_a_picture_is_asked_after_its_answer() -> None:
    """Strangeness costs time that no person waits for: it must not be worked out while the clock runs."""

    class Wary(Echo):
        n_asked = 0

        def strangeness(self, volume: Volume, plane: str, index: int) -> float:
            self.n_asked += 1
            return 0.5 + index

    volume, mask = ct_phantom((8, 48, 48))
    target = Target("liver", "axial", 5, mask.on_slice("liver", "axial", 5), "key")
    method = Wary()
    arm = MethodArm("wary", method)
    assert arm.word == {}
    box = Box("target", "axial", 5, (4.0, 6.0), (9.0, 20.0))
    arm.outline(volume, target, [box], np.zeros((48, 48), bool))
    assert method.n_asked == 0
    assert arm.word == {"strange": 5.5}


def test_run_measures_floors_alone_where_there_is_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow, "model_for", lambda *_: None)
    monkeypatch.setattr(quality, "MOST_CLICKS", 2)
    write_set(tmp_path / "data" / "pictures", 5)
    write_set(tmp_path / "data" / "volumes", 1, dim=3)
    out = tmp_path / "run"
    table = finish(quality.run(tmp_path / "data", minutes=0.0, device="cpu", out=out)).table
    assert {row.set for row in table.rows} == {"pictures"}
    found = finish(quality.run(tmp_path / "data", minutes=5.0, device="cpu", out=out, resume=True))
    table = found.table
    assert {row.set for row in table.rows} == {"pictures", "volumes"}
    assert table.arms["box"] == quality.BOX_FLOORS
    assert table.arms["1 click"] == quality.CLICK_FLOORS
    assert table.about["model"] == "none"
    ellipse = table.interval("box", "ellipse", ("pictures",))
    assert ellipse.n == 5
    assert 0.8 < ellipse.mean < 0.97  # ellipses in boxes that are off by up to a tenth
    assert "pictures" in (out / "table.md").read_text()
    assert FloorArm("ellipse").name in table.arms["box"]


def test_a_split_without_images_is_said(tmp_path: Path) -> None:
    write_set(tmp_path / "set", 1)
    with pytest.raises(TaskError, match="split 'val'"):
        finish(quality.run(tmp_path / "set", split="val", out=tmp_path / "run"))
