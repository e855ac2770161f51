"""Volumes and masks as ordinary napari layers, the right way up and without a copy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.geometry import Geometry
from napari_medseg.core.mask import Mask
from napari_medseg.core.volume import Volume
from napari_medseg.gui.display import Display as Display
from napari_medseg.imaging.window import default_window

if TYPE_CHECKING:
    from napari.layers import Image, Labels
    from napari.viewer import Viewer

Colour = tuple[int, int, int]
KEY = "medseg"  # layer.metadata[KEY]: the Volume a layer shows or lies on
OPENING = "medseg_window"  # layer.metadata[OPENING]: the Window an image was opened with
ROLE = "medseg_role"  # layer.metadata[ROLE]: "image", "mask", "proposal" or what the panel says
_FINE = 768  # up to this many pixels across an outline is one pixel wide, beyond that two


def volume_of(viewer: Viewer) -> Volume | None:
    """The volume that is worked on: the lowest image layer that shows one of ours."""
    for layer in viewer.layers:
        volume = layer.metadata.get(KEY)
        if layer.metadata.get(ROLE) == "image" and isinstance(volume, Volume):
            return volume
    return None


def add_volume(viewer: Viewer, volume: Volume, display: Display | None = None) -> Image:
    """Show a volume below all masks; one layer a channel unless it is a colour picture.

    Parameters
    ----------
    display : Display or None
        That of the volume worked on, when this is another one of the same patient.

    Returns
    -------
    Image
        The layer, the first one of several channels; `metadata["medseg"]` is the volume.
    """
    n_images = sum(layer.metadata.get(ROLE) == "image" for layer in viewer.layers)
    added = [viewer.add_image(data, **words) for data, words in image_layers(volume, display)]
    for position, layer in enumerate(added):
        viewer.layers.move(viewer.layers.index(layer), n_images + position)
    return added[0]


def image_layers(volume: Volume, display: Display | None = None) -> list[tuple[NDArray[Any], dict[str, Any]]]:
    """Data and keywords of the image layers that show a volume."""
    own = Display(volume.geometry)
    words: dict[str, Any] = {
        "name": volume.name,
        "metadata": {KEY: volume, ROLE: "image"},
        "translate": _offset(own, display),
        "interpolation2d": "linear",
        **own.placement,
    }
    view = own.view(volume.array)
    if volume.n_channels in (3, 4) and volume.array.dtype.kind == "u":
        return [(view, {**words, "rgb": True})]
    opening = default_window(volume)
    words["metadata"][OPENING] = opening
    words |= {"contrast_limits": opening.limits, "colormap": "gray"}
    if volume.array.ndim == 3:
        return [(view, words)]
    several = volume.n_channels > 1
    names = [f"{volume.name} [{c + 1}]" if several else volume.name for c in range(volume.n_channels)]
    return [(view[..., c], {**words, "name": name, "visible": c == 0}) for c, name in enumerate(names)]


def _offset(own: Display, display: Display | None) -> tuple[float, ...]:
    """Where the first displayed voxel lies in the frame of the display worked on."""
    if display is None or not (own.geometry.oriented and display.geometry.oriented):
        return 0.0, 0.0, 0.0
    world = own.geometry.index_to_world(own.to_array((0, 0, 0)))
    at = display.to_display(display.geometry.world_to_index(world))
    return tuple(float(a * s) for a, s in zip(at, display.scale, strict=True))


def add_mask(viewer: Viewer, mask: Mask, display: Display, role: str = "mask") -> list[Labels]:
    """Show a mask as coloured outlines: one Labels layer for each label array, which it writes into.

    Calling it again with a mask that has changed structures, colours or arrays brings the layers up to
    date and keeps those that are there. A proposal (`role="proposal"`) is filled, not outlined.
    """
    layers = [layer for layer in viewer.layers if layer.metadata.get(ROLE) == role]
    for layer in layers[len(mask.arrays) :]:
        viewer.layers.remove(layer)
    del layers[len(mask.arrays) :]
    for position, (data, words) in enumerate(mask_layers(mask, volume_of(viewer), display, role)):
        if position == len(layers):
            layers.append(_add_labels(viewer, data, words))
            continue
        layer = layers[position]
        if not np.may_share_memory(layer.data, data):
            layer.data = data
        if _differ(layer.colormap, words["colormap"]):
            layer.colormap = words["colormap"]  # draws it too
        else:
            redraw((layer,))
    return layers


def add_proposal(viewer: Viewer, geometry: Geometry, *colours: Colour) -> Labels:
    """Add an empty filled layer for what a method proposes; value n has the n-th colour."""
    view = Display(geometry).view(np.zeros(geometry.shape, np.uint8))
    table = dict(enumerate(colours, start=1))
    return _add_labels(viewer, view, _labels_words(volume_of(viewer), Display(geometry), "proposal", table))


def mask_layers(
    mask: Mask, volume: Volume | None, display: Display | None = None, role: str = "mask"
) -> list[tuple[NDArray[np.uint8], dict[str, Any]]]:
    """Data and keywords of the Labels layers that show a mask on the grid of `volume`."""
    display = display or Display(mask.geometry)
    layers = []
    for position, array in enumerate(mask.arrays):
        colours = {v: mask.structure(name).colour for name, (a, v) in mask.places.items() if a == position}
        words = _labels_words(volume, display, role, colours)
        words["name"] += f" {position + 1}" if position else ""
        layers.append((display.view(array), words))
    return layers


def _labels_words(
    volume: Volume | None, display: Display, role: str, colours: dict[int, Colour]
) -> dict[str, Any]:
    metadata = {KEY: volume, ROLE: role}
    opacity = 0.4 if role == "proposal" else 0.85
    words = {"name": role, "metadata": metadata, "colormap": colormap(colours), "opacity": opacity}
    return {**words, **display.placement}


def _add_labels(viewer: Viewer, data: NDArray[np.uint8], words: dict[str, Any]) -> Labels:
    """Add a Labels layer below all prompts, outlined if it is a mask."""
    from napari.layers import Labels

    layer = Labels(data, **words)
    if words["metadata"][ROLE] == "mask":
        layer.contour = 1 if max(data.shape) <= _FINE else 2
        # napari finds outlines by two rank filters, a third of its time for a slice of 512 x 512 pixels;
        # without this line, which leans on a private name, they are the same and only slower.
        layer._calculate_contour = partial(_contour, layer)
    prompts = [n for n, other in enumerate(viewer.layers) if other.metadata.get(ROLE) == "prompts"]
    viewer.layers.insert(min(prompts, default=len(viewer.layers)), layer)
    return layer


def _differ(one: Any, other: Any) -> bool:
    """Whether two colour maps show any value in different colours."""
    a, b = one.color_dict, other.color_dict
    return a.keys() != b.keys() or any(not np.array_equal(a[value], b[value]) for value in a)


def colormap(colours: dict[int, Colour]) -> Any:
    """Colours (0 to 255) by label value; every other value is clear."""
    from napari.utils.colormaps import DirectLabelColormap

    clear = np.zeros(4, np.float32)
    table: dict[int | None, NDArray[np.float32]] = {None: clear, 0: clear}
    for value, colour in colours.items():
        table[value] = np.array([*colour, 255], np.float32) / np.float32(255)
    return DirectLabelColormap(color_dict=table)


def redraw(layers: Sequence[Labels]) -> None:
    """Draw the slice on screen again after its array was changed from outside; nothing else is touched."""
    for layer in layers:
        layer.refresh(thumbnail=False, highlight=False, extent=False)


def _contour(layer: Labels, labels: NDArray[np.uint8], part: tuple[slice, ...]) -> NDArray[np.uint8] | None:
    """Part of a slice's outlines as thick as the layer wants them; None where masks are filled, as in 3-D."""
    if layer.contour < 1 or labels.ndim > 2:
        return None
    rings, inner = np.zeros_like(labels), labels
    for _ in range(layer.contour):
        ring = outline(inner)
        rings, inner = rings + ring, inner - ring
    return rings[part]


def outline(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Keep of each label (rows, columns) the pixels beside another value or the picture's edge."""
    padded = np.pad(labels, 1)
    middle = padded[1:-1, 1:-1]
    same = padded[:-2, 1:-1] == middle
    for side in (padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]):
        same &= side == middle
    return np.where(same, 0, middle).astype(labels.dtype)
