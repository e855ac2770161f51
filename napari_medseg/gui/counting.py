"""Slice numbers in sentences: methods count array indices from 0, the screen as napari does, from 1."""

from __future__ import annotations

import re

from napari_medseg.core.geometry import Plane
from napari_medseg.gui.display import Display

_SLICES = re.compile(r"\b([Ss]lices? )(\d+(?:(?:, | to | and )\d+)*)")
_SIDES = {"before that": "after that", "after that": "before that"}


def counted(sentence: str, display: Display, plane: Plane) -> str:
    """A sentence about slices of a plane with their numbers, and what is before and after, as on screen."""
    n = display.geometry.n_slices(plane)
    turned = n > 1 and display.position(plane, 0) > 0

    def on_screen(found: re.Match[str]) -> str:
        separators = re.split(r"\d+", found[2])[1:-1]
        indices = [int(number) for number in re.findall(r"\d+", found[2])]
        if max(indices) >= n:
            return found[0]
        numbers = [str(display.position(plane, index) + 1) for index in indices]
        if turned:
            numbers.reverse()
        rest = (separator + number for separator, number in zip(separators, numbers[1:], strict=True))
        return found[1] + numbers[0] + "".join(rest)

    told = _SLICES.sub(on_screen, sentence)
    return re.sub("|".join(_SIDES), lambda side: _SIDES[side[0]], told) if turned else told
