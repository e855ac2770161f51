"""Which grey values are shown, from black to white."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.volume import Volume, Window

# Hounsfield units. Brain, soft tissue and bone as in Ma et al., Segment anything in medical images,
# Nature Communications 2024; lung as most reading rooms set it; liver narrow, for portal venous scans.
CT: tuple[Window, ...] = (
    Window(40, 400, "soft tissue"),
    Window(-600, 1500, "lung"),
    Window(400, 1800, "bone"),
    Window(40, 80, "brain"),
    Window(60, 160, "liver"),
)
_PERCENTILES = (0.5, 99.5)
_SAMPLED = 2_000_000  # values that percentiles are taken from


def presets(volume: Volume) -> tuple[Window, ...]:
    """Windows to offer: the file's own first, then those for CT where the image is one."""
    return volume.windows + (CT if is_ct(volume) else ())


def default_window(volume: Volume) -> Window:
    """The window an image opens with: the file's first, else soft tissue for CT, else from its values.

    Eight-bit pictures show all they have; other images leave out the darkest and brightest half per cent.
    """
    if volume.windows:
        return volume.windows[0]
    if is_ct(volume):
        return CT[0]
    if volume.array.dtype == np.uint8 and not volume.geometry.spacing_known:
        return Window(127.5, 255.0, "all")
    return percentile_window(volume.array)


def percentile_window(array: NDArray[Any]) -> Window:
    """The window between the darkest and the brightest half per cent of the values."""
    values = array.reshape(-1)[:: max(1, array.size // _SAMPLED)]
    low, high = (float(v) for v in np.percentile(values, _PERCENTILES))
    if low == high:
        low, high = float(array.min()), float(array.max())
    width = (high - low) or 1.0
    return Window((low + high) / 2, width, "auto")


def is_ct(volume: Volume) -> bool:
    """Whether the values are Hounsfield units: CT by DICOM's or a data set's words, not an 8-bit picture."""
    return volume.modality.upper().split("(")[0].split()[-1:] == ["CT"] and volume.array.dtype != np.uint8
