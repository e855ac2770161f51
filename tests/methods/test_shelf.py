"""Prepared slices on disk: limits, age, damage, folders that cannot be written to, two programs at once."""

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from napari_medseg.methods import _shelf
from napari_medseg.methods._shelf import Shelf, clear_shelf, key_of, shelf_folder, total_of

N = 100_000  # bytes of one entry, without its header


def parts(number: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(number)
    return {"embedding": random.random((1, 4, N // 16)).astype(np.float16), "stem.0": random.random(N // 8)}


def assert_same(found: object, wanted: dict[str, np.ndarray]) -> None:
    assert isinstance(found, dict)
    assert set(found) == set(wanted)
    for name, part in wanted.items():
        assert found[name].dtype == part.dtype
        assert np.array_equal(found[name], part)


def test_what_is_put_is_found_again_by_another_program(tmp_path: Path) -> None:
    Shelf(tmp_path / "new" / "folder", 10).put("a", parts())
    assert_same(Shelf(tmp_path / "new" / "folder", 10).take("a"), parts())
    assert Shelf(tmp_path / "new" / "folder", 10).take("b") is None
    if os.name == "posix":
        assert (tmp_path / "new" / "folder").stat().st_mode & 0o077 == 0


def test_the_order_in_memory_does_not_matter(tmp_path: Path) -> None:
    turned = {name: part.reshape(20, -1).T for name, part in parts().items()}
    Shelf(tmp_path, 10).put("a", turned)
    assert_same(Shelf(tmp_path, 10).take("a"), turned)


def test_the_limit_holds_and_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 1)
    for number in range(30):
        shelf.put(f"key{number}", parts(number))
        for age, path in enumerate(reversed(sorted(tmp_path.iterdir(), key=lambda p: p.stat().st_mtime))):
            os.utime(path, (1e9 - age, 1e9 - age))  # file systems with coarse clocks
        shelf.take("key0")  # used all the time
        assert total_of(tmp_path) <= 2**20
    kept = {path.stem for path in tmp_path.iterdir()}
    assert {"key0", "key29", "key28"} <= kept
    assert "key1" not in kept
    assert len(kept) >= 5


def test_nothing_is_kept_at_a_limit_of_nought(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 0)
    shelf.put("a", parts())
    assert list(tmp_path.iterdir()) == []
    Shelf(tmp_path, 10).put("a", parts())
    assert shelf.take("a") is None


@pytest.mark.parametrize("harm", ["cut", "empty", "noise", "bit"])
def test_a_damaged_file_is_removed_and_written_anew(tmp_path: Path, harm: str) -> None:
    shelf = Shelf(tmp_path, 10)
    shelf.put("a", parts())
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[-500] ^= 4
    harmed = {"cut": content[:-7], "empty": b"", "noise": os.urandom(5000), "bit": content}[harm]
    path.write_bytes(harmed)
    assert shelf.take("a") is None
    assert not path.exists()
    shelf.put("a", parts())
    assert_same(shelf.take("a"), parts())
    assert shelf.told() == []


def test_a_folder_that_cannot_be_made_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    shelf = Shelf(tmp_path / "file" / "folder", 10)
    shelf.put("a", parts())
    shelf.put("b", parts())
    (note,) = shelf.told()
    assert "cannot be kept" in note
    assert note.endswith(".")
    assert shelf.told() == []
    assert shelf.take("a") is None


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(tmp_path, 10)
    shelf.put("before", parts(1))

    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:1000])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    shelf.put("a", parts())
    assert [path.stem for path in tmp_path.iterdir()] == ["before"]
    assert "No space left on device" in shelf.told()[0]


def test_a_folder_that_may_only_be_read_still_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Shelf(tmp_path, 10).put("a", parts())

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    for name in ("utime", "replace"):
        monkeypatch.setattr(_shelf.os, name, refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    shelf = Shelf(tmp_path, 10)
    assert_same(shelf.take("a"), parts())
    shelf.put("b", parts())
    assert "Permission denied" in shelf.told()[0]


def _fill(folder: Path, n: int) -> None:
    """Two programs lay the same slices and their own, and read each other's."""
    shelf = Shelf(folder, 1)
    for number in range(n):
        shelf.put(f"shared{number}", parts(number))
        found = shelf.take(f"shared{number}")
        assert found is None or np.array_equal(found["embedding"], parts(number)["embedding"])
        shelf.put(f"{os.getpid()}-{number}", parts(number))
    assert shelf.told() == []


def test_two_programs_share_a_folder_and_its_limit(tmp_path: Path) -> None:
    fresh = multiprocessing.get_context("spawn")
    both = [fresh.Process(target=_fill, args=(tmp_path, 25)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(120)
    assert [one.exitcode for one in both] == [0, 0]
    assert 0 < total_of(tmp_path) <= 2**20
    assert all(path.suffix == ".safetensors" for path in tmp_path.iterdir())


def test_the_folder_is_the_users_and_can_be_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSEG_CACHE", str(tmp_path))
    assert shelf_folder() == tmp_path / "prepared"
    assert clear_shelf() == 0
    Shelf(shelf_folder(), 10).put("a", parts())
    (shelf_folder() / "notes.txt").write_text("not ours")
    assert clear_shelf() > N
    assert [path.name for path in shelf_folder().iterdir()] == ["notes.txt"]
    monkeypatch.delenv("MEDSEG_CACHE")
    assert shelf_folder().name == "prepared"


def test_the_key_knows_pixels_place_and_everything_told() -> None:
    canvas = np.zeros((4, 6, 3), np.uint8)
    other = canvas.copy()
    other[0, 0, 0] = 1
    keys = {
        key_of(canvas, "w"), key_of(other, "w"), key_of(canvas, "v"), key_of(canvas, "w", (0.5,)),
        key_of(canvas.reshape(6, 4, 3), "w"),
    }  # fmt: skip
    assert len(keys) == 5
    assert key_of(canvas[::-1][::-1], "w") in keys
    assert all(set(key) <= set("0123456789abcdef") for key in keys)
