"""What all tests share: one thread, no models but the shipped ones, and the real data where it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before anything imports torch or numpy: more threads than cores make every test slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty folders in place of the user's own models and cache, so that no test depends on this machine."""
    folder = tmp_path / "own_models"
    monkeypatch.setenv("MEDSEG_MODELS", str(folder))
    monkeypatch.setenv("MEDSEG_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture(scope="session")
def medseg_data() -> Path:
    """The folder of real data sets, named by MEDSEG_DATA; tests that need it are skipped without it."""
    folder = Path(os.environ.get("MEDSEG_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("The real data sets are not here; MEDSEG_DATA may name their folder.")
    return folder
