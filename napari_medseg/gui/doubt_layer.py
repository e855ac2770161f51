"""The model's doubt as one layer over the image, for as long as what it doubts is proposed."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.geometry import Plane, slab
from napari_medseg.gui.display import Display
from napari_medseg.gui.jobs import Steps
from napari_medseg.gui.layers import KEY, ROLE, redraw
from napari_medseg.gui.work import Work

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

DOUBT = "doubt"  # the layer's role
_FROM = 0.12  # of full doubt, below which a pixel stays clear
Pictures = dict[int, NDArray[np.uint8]]  # by slice of the plane on screen


class DoubtLayer:
    """Shows how unsure the method is of each pixel of what is proposed on the plane on screen.

    Attributes
    ----------
    enabled : bool
        Whether it is wanted; call `show` afterwards.
    """

    def __init__(self, viewer: Viewer) -> None:
        self.enabled = False
        self._viewer = viewer
        self._layer: Image | None = None
        self._array: NDArray[np.uint8] | None = None
        self._drawn: tuple[Plane, Pictures] = ("axial", {})
        self._steps = Steps()

    def show(self, work: Work, display: Display, plane: Plane, index: int) -> None:
        """Bring the layer up to date: the slice on screen at once, the others a piece at a time."""
        wanted = pictures(work, plane) if self.enabled else {}
        if not wanted:
            self.remove()
            return
        if self._array is None or self._array.shape != work.volume.geometry.shape or self._gone:
            self.remove()
            self._array = np.zeros(work.volume.geometry.shape, np.uint8)
            self._layer = _add(self._viewer, self._array, work, display)
        if plane != self._drawn[0]:
            self._array[:] = 0
            self._drawn = (plane, {})
        axis = work.volume.geometry.axis_of(plane)
        self._steps.start(self._draw(axis, wanted, index), lambda: None)

    def remove(self) -> None:
        """Take the layer away."""
        self._steps.finish()
        if self._layer is not None and not self._gone:
            self._viewer.layers.remove(self._layer)
        self._layer, self._array, self._drawn = None, None, ("axial", {})

    def close(self) -> None:
        """Draw what is left."""
        self._steps.finish()

    @property
    def _gone(self) -> bool:
        """Whether a person took the layer away, or another case did."""
        return self._layer is None or self._layer not in self._viewer.layers

    def _draw(self, axis: int, wanted: Pictures, here: int) -> Generator[None, None, None]:
        """Write the slices that differ, the one on screen first."""
        array, layer, drawn = self._array, self._layer, self._drawn[1]
        changed = [i for i in {*wanted, *drawn} if wanted.get(i) is not drawn.get(i)]
        for index in sorted(changed, key=lambda i: abs(i - here)):
            assert array is not None and layer is not None
            picture = wanted.get(index)
            array[slab(axis, index, index + 1)] = 0 if picture is None else np.expand_dims(picture, axis)
            drawn.pop(index, None)
            if picture is not None:
                drawn[index] = picture
            if index == here:
                redraw((layer,))
            yield


def pictures(work: Work, plane: Plane) -> Pictures:
    """What is known of the doubt on the proposed slices of a plane."""
    return {i: p.doubt for (_, owner, i), p in work.pending.items() if owner == plane and p.doubt is not None}


def _add(viewer: Viewer, array: NDArray[np.uint8], work: Work, display: Display) -> Image:
    """Add the layer above all masks, whose colours would tint it, and below all prompts."""
    from napari.layers import Image

    words: dict[str, Any] = {"name": DOUBT, "metadata": {KEY: work.volume, ROLE: DOUBT}, **display.placement}
    layer = Image(
        display.view(array),
        contrast_limits=(0, 255),
        colormap=_colours(),
        blending="translucent",
        interpolation2d="linear",
        **words,
    )
    prompts = [n for n, other in enumerate(viewer.layers) if other.metadata.get(ROLE) == "prompts"]
    viewer.layers.insert(min(prompts, default=len(viewer.layers)), layer)
    return layer


def _colours() -> Any:
    """Plasma, a perceptually even colour map; it fades in with doubt, so that the image stays in sight."""
    from napari.utils.colormaps import Colormap, ensure_colormap

    colours = np.array(ensure_colormap("plasma").map(np.linspace(0, 1, 64)), np.float32)
    colours[:, 3] = np.clip((np.linspace(0, 1, 64) - _FROM) / (0.6 - _FROM), 0, 1) * 0.85
    return Colormap(colours, name="medseg doubt", display_name="doubt")
