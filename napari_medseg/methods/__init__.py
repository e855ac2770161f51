"""The menu: each file here is one way from a request to a mask.

A method's file holds `TITLE`, `WAY`, `NETWORK`, `HELP`, a frozen dataclass `Settings` and a function
`build(settings, model, device)`. Copy `threshold.py`, edit five lines, and it is in the panel, on the
command line and under the contract test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Literal, Protocol

from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.model import Model
from napari_medseg.core.progress import Job
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.volume import Volume

Way = Literal["prompt", "automatic", "examples"]


class Method(Protocol):
    """One way from a request to a mask; both steps may be slow and can be cancelled."""

    def prepare(self, volume: Volume, plane: Plane, slices: tuple[int, ...]) -> Job[None]:
        """Do the slow part that does not depend on prompts, once; calling it again is cheap."""

    def segment(self, request: Request) -> Job[Segmentation]:
        """Answer a request; runs `prepare` itself where that was not done."""


@dataclass(frozen=True)
class Entry:
    """A line of the menu."""

    name: str
    title: str
    way: Way
    help: str
    network: str  # file of networks/ whose models it needs, "" for none
    settings: type
    build: Callable[[Any, Model | None, str], Method]


@cache
def menu() -> dict[str, Entry]:
    """List the methods by name, in alphabetical order."""
    entries = {}
    for found in sorted(iter_modules(__path__), key=lambda found: found.name):
        if found.name.startswith("_"):
            continue
        file = import_module(f"{__name__}.{found.name}")
        entries[found.name] = Entry(
            found.name, file.TITLE, file.WAY, file.HELP, file.NETWORK, file.Settings, file.build
        )
    return entries


def entry(name: str) -> Entry:
    """Find a method by name.

    Raises
    ------
    TaskError
        If the menu has no such method.
    """
    if name not in menu():
        raise TaskError(f"There is no method '{name}'; the methods are: {', '.join(menu())}.")
    return menu()[name]
