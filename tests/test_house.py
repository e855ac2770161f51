"""The house's own rules, read from its files: sizes, doors, what is shipped and what is asked of others."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "napari_medseg"
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
LONGEST_FILE = 250
LONGEST_FUNCTION = 30
LONGEST_RECIPE = 80  # in learning/, read top to bottom


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and lines of code of each function, without its signature and docstring."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            described = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            body = node.body[1:] if described else node.body
            yield node.name, (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_and_functions_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE
    most = LONGEST_RECIPE if "learning" in path.parts else LONGEST_FUNCTION
    assert not [(name, lines) for name, lines in functions(path) if lines > most]


def test_nothing_is_left_half_done() -> None:
    words = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|raise NotImplemented" r"Error)\b")
    assert not [path for path in (*SOURCES, *TESTS) if words.search(path.read_text(encoding="utf-8"))]


def swallows(path: Path) -> bool:
    """Whether a file catches every error without raising it again."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ExceptHandler):
            wide = node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
            if wide and ast.unparse(node.body[-1]) != "raise":
                return True
    return False


def test_every_error_is_caught_at_two_doors_only() -> None:
    found = {str(path.relative_to(PACKAGE)) for path in SOURCES if swallows(path)}
    assert {path for path in found if not path.startswith("gui/")} == {"cli/__init__.py"}
    assert len(found) <= 2


def test_every_test_asserts_something() -> None:
    """By an assert, an expected error, a wait for something, or a function of ours that does one of these."""
    asserting = {"raises", "waitUntil", "waitSignal"}
    bodies = {
        f"{path.name}::{node.name}": node
        for path in TESTS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    silent = set(bodies)
    for _ in range(4):  # functions that call functions
        for name in sorted(silent):
            inside = list(ast.walk(bodies[name]))
            called = {ast.unparse(node.func).split(".")[-1] for node in inside if isinstance(node, ast.Call)}
            proves = called & asserting or any(called_name.startswith("assert_") for called_name in called)
            if proves or any(isinstance(node, ast.Assert) for node in inside):
                silent.discard(name)
                asserting.add(bodies[name].name)
    assert not [name for name in sorted(silent) if "::test_" in name]


def test_base_dependencies_know_no_screen() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    base = " ".join(project["dependencies"]).lower()
    assert not re.search(r"napari|pyside|pyqt|qtpy|superqt|magicgui|vispy", base)
    bound = next(line for line in project["optional-dependencies"]["all"] if line.startswith("napari["))
    assert "<" in bound  # napari breaks things with every minor version


def test_the_manifest_is_one_file() -> None:
    assert (ROOT / "napari.yaml").resolve() == (PACKAGE / "napari.yaml").resolve()


def test_the_wheel_carries_models_manifest_and_types(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="Wheels are built in the full environment.")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    assert {"napari_medseg/napari.yaml", "napari_medseg/py.typed", "napari_medseg/cli/__init__.py"} <= names
    shipped = [path for path in (ROOT / "models").rglob("*") if path.is_file() and path.suffix != ".state"]
    assert {f"napari_medseg/models/{path.relative_to(ROOT / 'models')}" for path in shipped} <= names
    assert not [name for name in names if name.startswith(("tests/", "docs/"))]


def test_released_models_stay_small() -> None:
    weights = sum(path.stat().st_size for path in (ROOT / "models").rglob("*.safetensors"))
    assert weights < 64_000_000


def test_documents_name_files_that_exist() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
