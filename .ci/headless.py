"""Make an environment without Qt and napari out of the one that has them.

A second installation would cost five gigabytes. This one is a fresh virtual environment with links to exactly
the packages that `pip install napari-medseg`, without extras, the test runner and the random forest of the
benchmarks ask for, as their own metadata say. What is not asked for is not there, so a forgotten dependency
fails the tests too.

Usage: .venv/bin/python .ci/headless.py .venv-headless
"""

from __future__ import annotations

import subprocess
import sys
import venv
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

WANTED = ("napari-medseg", "hypothesis", "pytest", "pytest-timeout", "scikit-learn")
BANNED = ("PySide6", "PyQt5", "PyQt6", "qtpy", "superqt", "magicgui", "pyqtgraph", "vispy", "napari")


def closure(wanted: tuple[str, ...]) -> dict[str, Distribution]:
    """Every distribution that the wanted ones need here, by name."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [Requirement(name) for name in wanted]
    while waiting:
        requirement = waiting.pop()
        for extra in ("", *requirement.extras):
            key = (canonicalize_name(requirement.name), extra)
            if key in seen:
                continue
            seen.add(key)
            try:
                found[key[0]] = distribution(requirement.name)
            except PackageNotFoundError:
                sys.exit(f"{requirement.name} is needed but not installed; run 'make install' first.")
            needs = [Requirement(line) for line in found[key[0]].requires or ()]
            waiting += [need for need in needs if not need.marker or need.marker.evaluate({"extra": extra})]
    return found


def link(found: dict[str, Distribution], site: Path) -> None:
    """Link the top-level files and folders of the distributions into a site-packages folder."""
    for package in found.values():
        tops = {file.parts[0] for file in package.files or () if file.parts[0] not in ("..", "__pycache__")}
        for top in tops:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(package.locate_file(top))).resolve())


def main(folder: Path) -> None:
    """Make the environment and prove what it lacks."""
    venv.create(folder, clear=True, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.check_output([python, "-c", where], text=True).strip())
    found = closure(WANTED)
    link(found, site)
    proof = f"import importlib.util as u; found = [n for n in {BANNED} if u.find_spec(n)]; assert not found"
    subprocess.run([python, "-c", proof], check=True)
    print(f"{folder}: {len(found)} packages, none of {', '.join(BANNED)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
