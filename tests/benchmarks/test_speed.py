"""The speed benchmark: medians counted by hand, one real run where a model is installed."""

import json
import time
from pathlib import Path

import pytest

from napari_medseg import workflow
from napari_medseg.benchmarks import speed, stopwatch
from napari_medseg.benchmarks.speed import QUANTITIES, Timings
from napari_medseg.core.errors import MedsegError
from napari_medseg.core.phantoms import slice_phantom
from napari_medseg.core.progress import finish
from napari_medseg.imaging.files import write_volume


def test_medians_and_tables(tmp_path: Path) -> None:
    runs = {"picture": [{name: float(value) for name in QUANTITIES} for value in (5, 1, 3)]}
    timings = Timings({"preset": "speed", "threads": 2, "commit": "abc"}, runs)
    assert timings.median("picture", "encode") == 3.0
    text = "\n".join(timings.lines())
    assert "threads 2" in text
    assert "| prepare a slice, s | 3 |" in text
    timings.save(tmp_path)
    record = json.loads((tmp_path / "speed.json").read_text())
    assert record["medians"]["picture"]["click_p95"] == 3.0
    assert len(record["runs"]["picture"]) == 3


def test_clicks_are_the_same_in_every_run_and_on_the_slice() -> None:
    volume, _ = slice_phantom(100, 0)
    clicks = stopwatch.clicks_on(volume, 0, 30)
    assert clicks == stopwatch.clicks_on(volume, 0, 30)
    for index, row, column in (click.at for click in clicks):
        assert index == 0
        assert 30 <= row <= 70
        assert 30 <= column <= 70


def test_rounds_are_interleaved_and_end_with_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fake(path: Path, device: str, model: str) -> tuple[dict[str, float], dict[str, object]]:
        asked.append(path.name)
        return dict.fromkeys(QUANTITIES, 1.0), {"model": "m", "device": "cpu", "threads": 1}

    monkeypatch.setattr(speed, "_in_fresh_process", fake)
    monkeypatch.setattr(speed, "_cases", lambda folder: {"one": folder / "1", "two": folder / "2"})
    timings = finish(speed.run(minutes=5.0, out=tmp_path))
    assert asked == ["1", "2"] * 5
    assert timings.about["runs"] == 5
    assert finish(speed.run(minutes=0.0, out=tmp_path)).about["runs"] == 1


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    path = write_volume(slice_phantom(32, 0)[0], tmp_path / "x.png")
    with pytest.raises(MedsegError, match="no-such-model"):
        speed._in_fresh_process(path, "cpu", "no-such-model")


@pytest.mark.slow
def test_one_real_run(tmp_path: Path) -> None:
    if workflow.model_for("sam") is None:
        pytest.skip("no SAM model is installed, so there is nothing to time")
    path = write_volume(slice_phantom(64, 0)[0], tmp_path / "x.png")
    values, about = stopwatch.one_run(path, "cpu", "", time.time(), n_clicks=3)
    assert set(values) == set(QUANTITIES)
    assert all(value > 0 for name, value in values.items() if name != "beyond")
    assert values["first_mask"] > values["opening"]
    assert values["first_mask"] > values["open_to_mask"] > values["click_p50"]
    assert values["beyond"] < values["peak_rss"]
    assert about["device"] == "cpu"


def test_a_large_ct_is_made_of_few_slices() -> None:
    volume = speed._ct(50)
    assert volume.array.shape == volume.geometry.shape == (50, 512, 512)
    assert volume.array.dtype == "int16"
    assert (volume.array[0] == volume.array[24]).all()
    assert (volume.array[0] != volume.array[5]).any()
