"""Who made a part of a mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_medseg.core.geometry import Plane


@dataclass(frozen=True)
class Provenance:
    """Who made a part of a mask, with what, and what a person changed afterwards.

    `index` is None when the record speaks of the whole volume; `reader` is a pseudonym, never a name.
    """

    structure: str
    plane: Plane
    index: int | None
    method: str
    model: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    n_prompts: int = 0
    changed_voxels: int = 0
    seconds: float = 0.0
    reader: str = ""
    at: str = ""
