"""The files of a round: whole or not there, and a lock that the system takes from the dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from napari_medseg.core.errors import SessionError
from napari_medseg.session.rounds import RoundFolder, is_alive, keep_version, log_file, only_one, rounds_of

ROOT = Path(__file__).parents[2]
HOLDS = """
import sys
from pathlib import Path
from napari_medseg.session.rounds import only_one
with only_one(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_rounds_are_numbered_and_remember(tmp_path: Path) -> None:
    assert rounds_of(tmp_path) == []
    first = RoundFolder.begin(tmp_path, {"recipe": "r"})
    (first.work / "half a model").mkdir()
    for number in range(12):
        second = RoundFolder.begin(tmp_path, {"recipe": str(number)})
    assert not first.work.exists()  # what a killed round left goes
    assert [place.number for place in rounds_of(tmp_path)] == list(range(1, 14))
    assert second.about == {"recipe": "11"} and second.end == {} and second.last == {}
    second.finish({"state": "finished"})
    assert second.end == {"state": "finished"} and not second.work.exists()
    (second.folder / "verdict.json").write_text("{")
    with pytest.raises(SessionError, match="is damaged: remove the folder"):
        _ = second.end


def test_the_last_whole_line_counts(tmp_path: Path) -> None:
    place = RoundFolder.begin(tmp_path, {})
    for done in range(3000):
        place.tell({"done": done, "message": "x" * 40})
    assert place.last["done"] == 2999
    with (place.folder / "progress.jsonl").open("ab") as file:
        file.write(b'{"done": 30')  # torn by a kill
    assert place.last["done"] == 2999


def test_a_wish_is_what_was_asked_last(tmp_path: Path) -> None:
    place = RoundFolder.begin(tmp_path, {})
    assert place.wish == "go on"
    for wish in ("pause", "go on", "cancel"):
        place.ask(wish)
        assert RoundFolder(place.folder).wish == wish


def test_one_at_a_time_until_it_is_killed(tmp_path: Path) -> None:
    assert not is_alive(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"held\n"
        assert is_alive(tmp_path)
        with pytest.raises(SessionError, match="already: wait for it, or cancel it"), only_one(tmp_path):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not is_alive(tmp_path)
    with only_one(tmp_path):
        assert is_alive(tmp_path)
    assert not is_alive(tmp_path)


def test_a_version_is_kept_whole(tmp_path: Path) -> None:
    made = RoundFolder.begin(tmp_path, {}).work / "name"
    made.mkdir()
    (made / "model.json").write_bytes(b"{}")
    kept = keep_version(tmp_path, made)
    assert kept == tmp_path / "versions" / "name" and (kept / "model.json").read_bytes() == b"{}"
    assert log_file(tmp_path).parent.is_dir()
