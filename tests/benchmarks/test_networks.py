"""The race of SAM's networks: equal answers on a small size, medians by hand, what is missing is said."""

import json
from pathlib import Path

import pytest

from napari_medseg.benchmarks import contestants, networks
from napari_medseg.benchmarks.contestants import Size
from napari_medseg.benchmarks.networks import ANOTHER, OURS, REFERENCE, THIRD, Entry, Race
from napari_medseg.cli import main
from napari_medseg.core.progress import finish

SMALL = (Size("small", 96, 32, 2, 2, 4, (1,), 64, 64),)


def test_all_arms_give_the_same_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "find_spec", lambda name: None)
    race = finish(networks.run(device="cpu", out=tmp_path, sizes=SMALL))
    parts = ["Encoder small, 96 px", "Decoder small, 6 x 6, first click", "Decoder small, 6 x 6, next clicks"]
    whole = "A slice, 3 structures, small, 96 px"
    pairs = [(p, a) for p in parts for a in (REFERENCE, OURS)] + [(whole, a) for a in (REFERENCE, ANOTHER)]
    assert [(e.part, e.arm) for e in race.entries] == pairs
    for entry in race.entries:
        assert entry.difference is None if entry.arm == ANOTHER else entry.difference < 1e-4
        assert len(entry.seconds) == len(entry.processor) == 5
    record = json.loads((tmp_path / "networks.json").read_text())
    assert len(record["entries"]) == 8
    assert "transformers is not installed" in (tmp_path / "networks.md").read_text()


def test_transformers_answers_alike(tmp_path: Path) -> None:
    pytest.importorskip(
        "transformers", reason="transformers is not installed, so there is nothing to compare"
    )
    race = finish(networks.run(minutes=0.0, device="cpu", out=tmp_path, sizes=SMALL))
    others = [entry for entry in race.entries if entry.arm == THIRD]
    assert len(others) == 3
    assert all(entry.difference < 1e-4 and len(entry.seconds) == 1 for entry in others)
    assert "not installed" not in "\n".join(race.lines())


def test_ratios_are_of_medians() -> None:
    entries = [
        Entry("part", REFERENCE, 0.0, (8.0, 6.0, 70.0), (1.0, 1.0, 1.0)),
        Entry("part", OURS, 1e-6, (4.0, 1.0, 50.0), (1.0, 2.0, 9.0)),
    ]
    race = Race({"preset": "x"}, entries)
    assert race.times_faster(entries[1]) == 2.0
    assert "| napari-medseg | 4 | 1 | 50 | 2 | 2.00 | 1.0e-06 |" in race.lines()


def test_the_command_line_prints_the_race(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(networks, "find_spec", lambda name: None)
    monkeypatch.setattr(contestants, "SIZES", SMALL)
    options = ["--networks", "--minutes", "0", "--device", "cpu", "--json", "-o", str(tmp_path)]
    with pytest.raises(SystemExit) as ended:
        main(["benchmark", "speed", *options])
    assert ended.value.code == 0
    assert len(json.loads(capsys.readouterr().out)["entries"]) == 8
    assert (tmp_path / "networks.md").is_file()
