"""Packages whose parts can be had before they themselves are started."""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any


def start_late(name: str) -> None:
    """Let submodules of a package be imported without running the package's own `__init__`.

    segment-anything's loads torchvision, and with it torch's compiler: two seconds and 160 MB of which a mask
    needs nothing. The `__init__` still runs as soon as anybody asks the package for something of its own.
    """
    if name in sys.modules:
        return
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        return  # its import says so in its own words
    package, loader = module_from_spec(spec), spec.loader

    def whole(attribute: str) -> Any:
        """Start the package for the first attribute that it does not have yet."""
        if attribute.startswith("__"):
            raise AttributeError(f"module '{name}' has no attribute '{attribute}'")
        ModuleType.__delattr__(package, "__getattr__")
        loader.exec_module(package)
        return getattr(package, attribute)

    package.__dict__["__getattr__"] = whole
    sys.modules[name] = package
