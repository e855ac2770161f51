"""The few-shot benchmark on phantoms: arms whose answers are known, tables from known rows, and resuming."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_medseg import cli, workflow
from napari_medseg.benchmarks import few_shot
from napari_medseg.benchmarks.draws import draws_of
from napari_medseg.benchmarks.few_shot import answers, build_arms
from napari_medseg.benchmarks.few_shot_arms import Arm, ForestArm, MeanArm, MethodArm, NearestArm
from napari_medseg.benchmarks.few_shot_table import EVERY, FewShotTable, part_of
from napari_medseg.benchmarks.harness import Row, SetInfo
from napari_medseg.benchmarks.shots import NUMBERS, Draw, Shot
from napari_medseg.core.errors import TaskError
from napari_medseg.core.mask import Region
from napari_medseg.core.metrics import dice
from napari_medseg.core.progress import Job, Progress, finish
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.volume import Volume
from napari_medseg.learning.data import read_datasets
from tests.models import tiny_sam
from tests.phantom_sets import patients, write_phantoms

ROWS = patients(6, "train") + patients(5, "test")


def a_draw(folder: Path, structure: str = "gland") -> Draw:
    """The first draw of a structure from a set of phantoms."""
    if not folder.exists():
        write_phantoms(folder, ROWS)
    draws, _ = finish(draws_of(read_datasets([folder]), "test", 0))
    return next(draw for draw in draws if draw.structure == structure)


@dataclass(frozen=True)
class Scripted:
    """An arm that answers with the truth, less one row for each example that is missing up to ten."""

    name: str = "scripted"
    version: str = ""
    numbers: tuple[int, ...] = NUMBERS

    def look(self, shot: Shot) -> str:
        return f"look {shot.index}"

    def learn(self, shots: Sequence[Shot], looks: Sequence[Any]) -> int:
        assert list(looks) == [f"look {shot.index}" for shot in shots]
        return len(shots)

    def answer(self, learnt: int, shot: Shot, look: Any) -> Region:
        region = shot.region.copy()
        first = int(np.flatnonzero(region.any(1))[0])
        region[first : first + 10 - learnt] = False
        return region


def arm_dice(arm: Arm, draw: Draw) -> dict[int, float]:
    """Mean Dice by number of examples."""
    rows = answers(arm, draw, *draw.load())
    found = {n: [row.dice for row in rows if row.part == part_of(n)] for n in arm.numbers}
    return {n: float(np.mean(values)) for n, values in found.items() if values}


def test_each_number_of_examples_is_asked_of_every_query(tmp_path: Path) -> None:
    draw = a_draw(tmp_path / "set")
    examples, queries = draw.load()
    rows = answers(Scripted(), draw, examples, queries)
    assert [row.part for row in rows if row.image == queries[0].item.image.name] == [
        part_of(n)
        for n in (0, 1, 2, 3, 5)  # six examples are not ten
    ]
    assert len(rows) == 5 * len(queries)
    by_number = arm_dice(Scripted(), draw)
    assert list(by_number.values()) == sorted(by_number.values())
    assert all(row.seconds >= 0 and (row.fit_seconds or 0) >= 0 for row in rows)
    assert len({(row.target, row.image) for row in rows}) == len(queries)


@pytest.mark.parametrize(("arm", "least"), [(ForestArm(), 0.75), (MeanArm(), 0.6), (NearestArm(), 0.5)])
def test_floors_learn_a_gland_from_five_examples(tmp_path: Path, arm: Arm, least: float) -> None:
    """The gland is brighter than its surroundings and lies in the middle: nothing is easier."""
    if isinstance(arm, ForestArm):
        pytest.importorskip("sklearn")
    assert arm_dice(arm, a_draw(tmp_path / "set"))[5] > least


def test_floors_never_see_the_truth(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    examples, queries = a_draw(tmp_path / "set").load()
    blind = replace(queries[0], region=np.zeros_like(queries[0].region))
    for arm in (ForestArm(), MeanArm(), NearestArm()):
        learnt = arm.learn(examples[:2], [arm.look(shot) for shot in examples[:2]])
        seen = [arm.answer(learnt, shot, arm.look(shot)) for shot in (queries[0], blind)]
        np.testing.assert_array_equal(seen[0], seen[1])


def test_nearest_copies_the_picture_it_knows(tmp_path: Path) -> None:
    examples, _ = a_draw(tmp_path / "set").load()
    arm = NearestArm()
    looks = [arm.look(shot) for shot in examples]
    for shot, look in zip(examples, looks, strict=True):
        answer = arm.answer(arm.learn(examples, looks), shot, look)
        np.testing.assert_array_equal(answer, shot.region)


def test_a_forest_takes_grey_and_coloured_pictures_together(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    examples, queries = a_draw(tmp_path / "set").load()
    tinted = examples[0].picture.copy()
    tinted[..., 2] //= 2
    arm = ForestArm()
    coloured = replace(examples[0])
    coloured.__dict__["picture"] = tinted
    learnt = arm.learn([coloured, examples[1]], [arm.look(coloured), arm.look(examples[1])])
    assert learnt.n_features_in_ % 3 == 0
    assert dice(arm.answer(learnt, queries[0], arm.look(queries[0])), queries[0].region) > 0.3


class Copier:
    """A method that answers with the outline of the first example."""

    def __init__(self) -> None:
        self.prepared: list[tuple[int, ...]] = []
        self.given: list[int] = []

    def prepare(self, volume: Volume, plane: str, slices: tuple[int, ...]) -> Job[None]:
        self.prepared.append(slices)
        yield Progress(1.0)

    def segment(self, request: Request) -> Job[Segmentation]:
        yield Progress(0.5)
        self.given.append(len(request.examples))
        name = request.task.structure_names[0]
        region = request.region()
        for example in request.examples[:1]:
            (index,) = example.mask.reviewed[request.plane]
            region[0] = example.mask.on_slice(name, request.plane, index)
        return Segmentation(request.mask_of({name: region}), request.start)


def test_a_method_is_asked_with_examples_through_its_contract(tmp_path: Path) -> None:
    draw, method = a_draw(tmp_path / "set"), Copier()
    examples, queries = draw.load()
    rows = answers(MethodArm("copier", method, "1", (0, 1, 3)), draw, examples, queries)
    assert method.given == [0] * 3 + [1] * 3 + [3] * 3
    assert len(method.prepared) == 3 + len(queries)
    assert {row.dice for row in rows if row.part == part_of(0)} == {0.0}
    expected = [dice(examples[0].region, shot.region) for shot in queries]
    assert [row.dice for row in rows if row.part == part_of(1)] == pytest.approx(expected)


def test_an_arm_that_comes_later_answers_the_same_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_phantoms(tmp_path / "data" / "pictures", ROWS)
    monkeypatch.setattr(workflow, "model_for", lambda *_: None)
    out, version = tmp_path / "run", ["old"]
    quick = {"minutes": 9.0, "device": "cpu", "out": out}
    first = finish(few_shot.run(tmp_path / "data", **quick, arms=["mean mask"]))
    assert first.arms == ("mean mask",)

    def with_scripted(names: Sequence[str], *_: Any) -> tuple[list[Arm], tuple[str, ...]]:
        return [MeanArm(), Scripted(version=version[0])], ("A note.",)

    monkeypatch.setattr(few_shot, "build_arms", with_scripted)
    monkeypatch.setattr(MeanArm, "answer", None)  # what is done is not done again
    second = finish(few_shot.run(tmp_path / "data", **quick, resume=True))
    assert set(second.arms) == {"mean mask", "scripted"}
    asked = {arm: {key for (n, a), cell in second.cells.items() if a == arm and n for key in cell}
             for arm in second.arms}  # fmt: skip
    assert asked["mean mask"] == asked["scripted"]
    version[0] = "new"
    third = finish(few_shot.run(tmp_path / "data", **quick, resume=True))
    assert len(third.rows) == len(second.rows)
    assert "A note." in (out / "table.md").read_text()
    with pytest.raises(TaskError, match="other seed"):
        finish(few_shot.run(tmp_path / "data", **quick, resume=True, seed=1))


def test_the_command_line_measures_and_answers_in_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_phantoms(tmp_path / "data" / "pictures", ROWS)
    words = [
        "--data",
        str(tmp_path / "data"),
        "--arms",
        "mean mask, nearest copy",
        "-o",
        str(tmp_path / "run"),
    ]
    with pytest.raises(SystemExit) as ended:
        cli.main(["benchmark", "few-shot", *words, "--minutes", "9", "--device", "cpu", "--json"])
    assert not ended.value.code
    record = json.loads(capsys.readouterr().out)
    assert {cell["arm"] for cell in record["cells"]} == {"mean mask", "nearest copy"}
    assert record["about"]["preset"] == "few-shot test"


def test_arms_without_what_they_need_are_left_out_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow, "model_for", lambda *_: None)
    arms, notes = build_arms(few_shot.ARMS, tmp_path, "", "cpu")
    assert "examples_head" not in [arm.name for arm in arms]
    assert len(notes) >= 3 and all(note.endswith(".") for note in notes)
    with pytest.raises(TaskError, match="no arm 'magic'"):
        finish(few_shot.run(tmp_path, arms=["magic"]))
    write_phantoms(tmp_path / "data" / "pictures", ROWS)
    with pytest.raises(TaskError, match="segicl is left out"):
        finish(few_shot.run(tmp_path / "data", arms=["segicl"], out=tmp_path / "run", device="cpu"))


def test_a_method_is_compared_with_itself_under_other_settings(tmp_path: Path, own_models: Path) -> None:
    tiny_sam(own_models)
    names = ["examples_head", "examples_head most=1"]
    (plain, other), notes = build_arms(names, tmp_path, "", "cpu")
    assert not notes and [plain.name, other.name] == names
    assert isinstance(plain, MethodArm) and isinstance(other, MethodArm)
    assert (plain.method.settings.most, other.method.settings.most) == (16, 1)  # type: ignore[attr-defined]
    assert plain.version != other.version
    with pytest.raises(TaskError, match="no setting 'colour'"):
        build_arms(["examples_head colour=1"], tmp_path, "", "cpu")


def row(
    where: str, patient: int, n: int, arm: str, dice: float, target: str = "t", structure: str = "x"
) -> Row:
    """A made-up answer."""
    name, group = f"{patient}.png", f"patient {patient}"
    return Row(where, name, group, structure, target, part_of(n), arm, dice, dice, 0.0, 0.2, fit_seconds=0.5)


def made(rows: list[Row], *names: str) -> FewShotTable:
    """A table of unseen sets of six patients, or of two where the name says few."""
    infos = tuple(SetInfo(name, "unseen", 2 if "few" in name else 6, 6, "px") for name in names)
    return FewShotTable("Made up", {"preset": "test", "commit": "abc"}, infos, tuple(rows), ("A note.",))


def test_differences_take_the_very_same_questions() -> None:
    rows = [row("a", p, 5, "head", 0.5) for p in range(6)]
    rows += [row("a", p, 5, "segicl", 0.6) for p in range(5)]
    rows += [row("a", 0, 5, "head", 0.0, target="another draw")]  # the other arm was not asked this
    table = made(rows, "a")
    found = table.interval((5, "segicl"), "unseen", minus=(5, "head"))
    assert (found.n, found.mean) == (5, pytest.approx(0.1))
    assert table.arms == ("segicl", "head")
    assert table.interval((5, "head"), "unseen").mean == pytest.approx((0.25 + 5 * 0.5) / 6)


def test_targets_structures_images_and_sets_are_averaged_in_turn() -> None:
    rows = [
        row("a", 0, 1, "head", 1.0),
        row("a", 0, 1, "head", 0.0, "u"),
        row("a", 0, 1, "head", 0.1, "t", "y"),
    ]
    rows += [row("a", 1, 1, "head", 0.7), row("b", 0, 1, "head", 0.9), row("few", 0, 1, "head", 0.0)]
    table = made(rows, "a", "b", "few")
    assert table.interval((1, "head"), "a").mean == pytest.approx(0.5)
    assert table.interval((1, "head"), "unseen").mean == pytest.approx(0.7)
    assert table.interval((1, "head"), EVERY).mean == pytest.approx(1.4 / 3)


def test_the_table_says_whether_dice_falls_and_the_ratio(tmp_path: Path) -> None:
    level = {0: 0.4, 1: 0.5, 2: 0.6, 3: 0.6, 5: 0.7, 10: 0.5}
    rows = [row("a", p, n, "segicl", level[n] + p / 100) for p in range(6) for n in NUMBERS]
    table = made(rows, "a")
    assert table.steps("segicl") == [(0, 1), (1, 2), (2, 3), (3, 5), (5, 10)]
    text = "\n".join(table.lines())
    assert "| segicl | 2 to 3 |  |  | +0.000 [+0.000, +0.000] | no worse |" in text
    assert "| segicl | 5 to 10 |  |  | -0.200 [-0.200, -0.200] | worse |" in text
    assert table.ratio("segicl", "unseen") == pytest.approx(0.625 / 0.425)
    assert "segicl, unseen sets: 1.47 (the paper says about 1.5)" in text
    table.save(tmp_path)
    record = json.loads((tmp_path / "table.json").read_text())
    assert [step["dice"]["mean"] for step in record["steps"]] == pytest.approx([0.1, 0.1, 0.0, 0.1, -0.2])
    assert (tmp_path / "few-shot-unseen.svg").read_text().count("<circle") == len(NUMBERS)
    assert not (tmp_path / "few-shot-seen.svg").exists()
