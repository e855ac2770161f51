"""What a person decided about a structure, slice by slice."""

from __future__ import annotations

import numpy as np

from napari_medseg.core.correction import Fixed
from napari_medseg.core.mask import Region
from napari_medseg.core.request import Request


def decided_on(request: Request, name: str, index: int) -> Fixed | None:
    """What is fixed on one slice (rows, columns) int8; None where nobody decided anything."""
    fixed = request.fixed.get(name)
    if fixed is None:
        return None
    return np.asarray(fixed[request.volume.geometry.one_slice(request.plane, index)].squeeze(request.axis))


def accepted(request: Request, name: str) -> dict[int, Region]:
    """The slices on which every pixel is decided, with the outline (rows, columns), which may be empty."""
    fixed = request.fixed.get(name)
    if fixed is None:
        return {}
    whole = np.moveaxis(fixed, request.axis, 0)
    return {i: part > 0 for i, part in enumerate(whole) if part.all()}
