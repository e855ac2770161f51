"""Unaccepted work comes back after a crash, whole acts only, and only from those who no longer live."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from napari_medseg.core.errors import SessionError
from napari_medseg.session.journal import Journal, has_left_behind

ROOT = Path(__file__).parents[2]
# Writes as many acts as it is told, says so, and waits to be killed or told to end.
OTHER = """
import sys
from pathlib import Path
import numpy as np
from napari_medseg.session.journal import Journal
journal = Journal(Path(sys.argv[1]))
for n in range(int(sys.argv[2])):
    journal.append("brush", {"n": n}, {"labels": np.full((4, 4), n, np.uint8)})
print("ready", flush=True)
sys.stdin.readline()
journal.close()
"""


class Other:
    """A process with a journal of its own in a folder."""

    def __init__(self, folder, n):
        self.process = subprocess.Popen(
            [sys.executable, "-c", OTHER, str(folder), str(n)],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdout.readline() == b"ready\n"

    def end(self, *, killed):
        if killed:
            self.process.kill()
        self.process.communicate(b"\n")


def kinds(journal):
    return [entry.kind for entry in journal.read()]


def test_acts_come_back_with_their_arrays(tmp_path):
    journal = Journal(tmp_path)
    arrays = {
        "file": np.arange(6, dtype=">i2").reshape(2, 3), "empty": np.zeros((0, 4), bool),
        "turned": np.arange(12.0).reshape(3, 4).T, "one": np.array(7, np.int64),
    }  # fmt: skip
    assert journal.append("brush", {"at": [1, 2], "n": np.int64(3), "text": "ä\n"}, arrays) == 1
    assert journal.append("accept", {}) == 2
    first, second = journal.read()
    assert (first.kind, first.payload) == ("brush", {"at": [1, 2], "n": 3, "text": "ä\n"})
    assert set(first.arrays) == set(arrays)
    for name, array in arrays.items():
        assert first.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(first.arrays[name], array)
        assert first.arrays[name].flags.writeable
    assert (second.kind, second.payload, second.arrays) == ("accept", {}, {})
    journal.close()


def test_python_objects_are_not_kept(tmp_path):
    journal = Journal(tmp_path)
    with pytest.raises(TypeError, match="holds Python objects"):
        journal.append("brush", {}, {"labels": np.array([{}], object)})
    assert journal.read() == []
    journal.close()


def test_a_torn_end_is_left_out_wherever_it_was_torn(tmp_path):
    journal = Journal(tmp_path)
    for n in range(3):
        journal.append(f"act {n}", {}, {"labels": np.full((3, 3), n, np.uint8)})
    journal.close()
    (log,) = tmp_path.glob("*.log")
    data = log.read_bytes()
    length = len(data) // 3  # the acts are of one size, but for what zlib makes of them
    for cut in range(length, len(data), 7):
        log.write_bytes(data[:cut])
        journal = Journal(tmp_path)
        whole = kinds(journal)
        assert whole == ["act 0", "act 1"][: len(whole)] and whole
        journal.close()
    log.write_bytes(data[:-1] + b"!")
    journal = Journal(tmp_path)
    assert kinds(journal) == ["act 0", "act 1"]
    assert journal.append("act 3", {}) == 3
    journal.close()
    journal = Journal(tmp_path)
    assert kinds(journal) == ["act 0", "act 1", "act 3"]
    journal.close()


def test_what_a_killed_process_left_comes_back_and_stays_until_cleared(tmp_path):
    other = Other(tmp_path, 3)
    assert not has_left_behind(tmp_path)  # it lives
    ours = Journal(tmp_path)
    assert ours.read() == []
    ours.close()
    other.end(killed=True)
    for _ in range(2):  # looking takes nothing away
        assert has_left_behind(tmp_path)
        ours = Journal(tmp_path)
        assert [entry.payload["n"] for entry in ours.read()] == [0, 1, 2]
        assert not has_left_behind(tmp_path)  # we have taken it over
        ours.close()
    ours = Journal(tmp_path)
    assert ours.append("brush", {"n": 3}) == 4
    ours.clear()
    ours.close()
    assert not has_left_behind(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_two_living_processes_keep_apart(tmp_path):
    one, two = Other(tmp_path, 1), Other(tmp_path, 2)
    one.end(killed=True)
    ours = Journal(tmp_path)
    assert len(ours.read()) == 1
    two.end(killed=False)  # a viewer closed with unaccepted work
    assert len(ours.read()) == 1
    ours.clear()
    assert has_left_behind(tmp_path)
    ours.close()
    again = Journal(tmp_path)
    assert len(again.read()) == 2
    again.close()


def test_clearing_what_was_accepted_keeps_what_came_after(tmp_path):
    other = Other(tmp_path, 2)
    other.end(killed=True)
    journal = Journal(tmp_path)
    mark = journal.append("brush", {"n": 2})
    journal.append("brush", {"n": 3})  # painted while the mask was being accepted
    journal.clear(upto=mark)
    assert [entry.payload["n"] for entry in journal.read()] == [3]
    assert journal.append("brush", {"n": 4}) == 2
    journal.close()
    journal = Journal(tmp_path)
    assert [entry.payload["n"] for entry in journal.read()] == [3, 4]
    journal.close()


def test_clearing_bounds_the_file(tmp_path):
    journal = Journal(tmp_path)
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    for _ in range(5):
        for _ in range(10):
            journal.append("brush", {}, {"labels": noise})
        journal.clear()
        assert sum(file.stat().st_size for file in tmp_path.glob("*.log")) == 0
    journal.close()


@pytest.mark.parametrize("step", ["write", "fsync"])
def test_a_full_disk_costs_the_one_act_only(tmp_path, monkeypatch, step):
    journal = Journal(tmp_path)
    journal.append("first", {})
    really = getattr(os, step)

    def full(descriptor, *data):
        if data:
            really(descriptor, data[0][:11])  # some of it went through
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, full)
        with pytest.raises(SessionError, match="is full"):
            journal.append("second", {"long": "x" * 100})
    assert kinds(journal)[:1] == ["first"]
    assert journal.append("third", {}) == 2
    assert kinds(journal) == ["first", "third"]
    journal.close()


def test_threads_may_write_at_once(tmp_path):
    journal = Journal(tmp_path)
    threads = [Thread(target=lambda n=n: [journal.append(f"{n}", {}) for _ in range(10)]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(kinds(journal)) == sorted(f"{n}" for n in range(4) for _ in range(10))
    journal.close()
