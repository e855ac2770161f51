"""The reader who labels ten cases: what a correction costs, and what examples save."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_medseg import workflow
from napari_medseg.benchmarks import effort, reader
from napari_medseg.benchmarks.draws import N_CASES, cases_of
from napari_medseg.benchmarks.effort import Learning, Piece, Unaided
from napari_medseg.benchmarks.reader import GOOD, by_hand, with_clicks
from napari_medseg.benchmarks.shots import Draw, Shot
from napari_medseg.core.errors import TaskError
from napari_medseg.core.mask import Region
from napari_medseg.core.metrics import dice
from napari_medseg.core.progress import finish
from napari_medseg.core.prompts import Prompt
from napari_medseg.core.volume import Volume
from napari_medseg.learning.data import read_datasets
from napari_medseg.learning.prompting import Target
from tests.phantom_sets import patients, write_phantoms


def square(top: int, left: int, side: int) -> Region:
    """A square on a slice of 64 px."""
    region = np.zeros((64, 64), bool)
    region[top : top + side, left : left + side] = True
    return region


def a_series(folder: Path) -> Draw:
    """Ten cases."""
    write_phantoms(folder, patients(N_CASES, "test"), role="unseen")
    return finish(cases_of(read_datasets([folder]), "test", 0))[0][0]


def test_painting_from_nothing_ends_at_the_goal_and_no_pixel_later() -> None:
    truth = square(10, 10, 20)
    done = by_hand(np.zeros((64, 64), bool), truth)
    # Dice of k of 400 pixels is 2k / (k + 400), which reaches 0.95 at k = 362.
    assert (done.acts, done.changed) == (1, 362)
    assert GOOD <= dice(done.region, truth) < GOOD + 0.002
    assert not (done.region & ~truth).any()


def test_too_much_is_erased_largest_part_first() -> None:
    truth = square(10, 10, 20)
    done = by_hand(truth | square(40, 40, 10) | square(2, 50, 6), truth)
    # 536 pixels with 400 shared: 800 / (936 - k) reaches 0.95 at k = 94, of the 100 of the larger part.
    assert (done.acts, done.changed) == (1, 94)
    again = by_hand(truth | square(40, 40, 6) | square(2, 50, 6), truth)
    assert (again.acts, again.changed) == (1, 30)
    assert by_hand(truth, truth).acts == 0


def test_a_missing_part_and_one_too_many_are_two_acts() -> None:
    truth = square(10, 10, 20) | square(40, 10, 12)
    done = by_hand(square(10, 10, 20) | square(40, 40, 10), truth)
    assert done.acts == 2
    assert dice(done.region, truth) >= GOOD


class Halves:
    """A promptable method whose n-th answer lacks a smaller part of the truth."""

    def __init__(self, lacking: Sequence[int]) -> None:
        self.lacking, self.n = lacking, 0

    def outline(self, volume: Volume, target: Target, prompts: Sequence[Prompt], before: Region) -> Region:
        answer = target.region.copy()
        first = int(np.flatnonzero(answer.any(1))[0])
        answer[first : first + self.lacking[min(self.n, len(self.lacking) - 1)]] = False
        self.n += 1
        return answer


def test_clicks_count_until_they_bring_nothing_then_the_brush(tmp_path: Path) -> None:
    shot = a_series(tmp_path / "set").load()[1][0]
    enough = with_clicks(Halves([20, 10, 0]), shot)  # type: ignore[arg-type]
    assert (enough.acts, enough.changed) == (3, 0)
    stuck = with_clicks(Halves([20, 12, 12]), shot)  # type: ignore[arg-type]
    assert stuck.acts == 3 + 1 and stuck.changed > 0
    assert dice(stuck.region, shot.region) >= GOOD
    never = with_clicks(Halves(range(30, 0, -1)), shot)  # type: ignore[arg-type]
    assert never.acts <= reader._MOST_CLICKS + 1


@dataclass(frozen=True)
class Better:
    """An arm that lacks fewer rows with each example it is given."""

    name: str = "better"
    version: str = "1"
    numbers: tuple[int, ...] = (1, 2, 3)

    def look(self, shot: Shot) -> None:
        return None

    def learn(self, shots: Sequence[Shot], looks: Sequence[Any]) -> int:
        assert all(shot.region.any() for shot in shots)
        return len(shots)

    def answer(self, learnt: int, shot: Shot, look: Any) -> Region:
        region = shot.region.copy()
        first = int(np.flatnonzero(region.any(1))[0])
        region[first : first + 2 * (N_CASES - 1 - learnt)] = False
        return region


def test_corrected_cases_become_examples_and_a_bad_proposal_is_thrown_away(tmp_path: Path) -> None:
    draw = a_series(tmp_path / "set")
    rows = effort._through(Piece(draw, Learning(Better())))
    assert [row.part for row in rows] == [f"case {n}" for n in range(1, N_CASES + 1)]
    assert rows[0].dice == 0.0 and rows[-1].dice == 1.0
    assert rows[-1].changed == 0.0 and rows[-1].clicks == 0
    unaided = effort._through(Piece(draw, Unaided()))
    assert all((row.changed or 0) <= (other.changed or 0) for row, other in zip(rows, unaided, strict=True))
    assert len({row.group for row in rows}) == N_CASES


def test_run_compares_ways_on_the_same_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "model_for", lambda *_: None)
    monkeypatch.setattr(effort, "build_arms", lambda *_: ([Better()], ("A note.",)))
    a_series(tmp_path / "data" / "unseen")
    out = tmp_path / "run"
    words: dict[str, Any] = {"device": "cpu", "out": out}
    finish(effort.run(tmp_path / "data", minutes=0.0, **words))
    table = finish(effort.run(tmp_path / "data", minutes=9.0, resume=True, **words))
    assert table.ways == ("by hand", "better")
    saved = table.interval("changed", "better", N_CASES, minus=("by hand", N_CASES))
    # By hand 90 to 91 % of the structure is painted: k of n pixels reach 2k / (k + n) = 0.95 at k = 0.905 n.
    assert saved.mean == pytest.approx(-0.905, abs=0.01) and saved.verdict() == "worse"  # fewer
    text = (out / "table.md").read_text()
    assert "A note." in text and "| better | by hand, tenth case |" in text
    assert (out / "effort-acts.svg").is_file() and (out / "effort-changed.svg").is_file()


def test_ten_patients_are_needed(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "set", patients(9, "test"), role="unseen")
    with pytest.raises(TaskError, match="ten patients"):
        finish(effort.run(tmp_path / "set", out=tmp_path / "run"))
