"""What napari calls by name from its menus: readers, the writer of masks, sample images."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_medseg.core.errors import GeometryError, MedsegError, TaskError
from napari_medseg.core.mask import Mask
from napari_medseg.core.volume import Volume

if TYPE_CHECKING:
    from napari.types import LayerData

    from napari_medseg.imaging.dicom import Series

_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".dcm")
_LOOK_AT = 100  # files of a folder before it is taken to hold no DICOM
_NOTHING: list[Any] = [(None,)]  # how a reader says that it has spoken for itself
_MOST = 255


def get_reader(path: str | list[str]) -> Callable[[Any], list[LayerData]] | None:
    """Say whether we can read a file or folder; None for anything else, never an error."""
    paths = [Path(p) for p in ([path] if isinstance(path, str) else path)]
    return read if paths and all(_ours(p) for p in paths) else None


def read(path: str | list[str]) -> list[LayerData]:
    """Read files or DICOM folders into layers; what goes wrong is told in one sentence."""
    from napari.utils.notifications import show_error

    layers: list[LayerData] = []
    for one in [path] if isinstance(path, str) else path:
        try:
            volume = _open(Path(one))
        except MedsegError as error:
            show_error(str(error))
            continue
        layers += [] if volume is None else volume_layers(volume)
    return layers or _NOTHING


def volume_layers(volume: Volume) -> list[LayerData]:
    """Layer tuples that show a volume the right way up."""
    from napari_medseg.gui.layers import image_layers

    return [(data, words, "image") for data, words in image_layers(volume)]


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Labels layer on the grid of the image it was drawn on.

    Raises
    ------
    GeometryError
        If no image of ours tells where the layer lies in the patient.
    TaskError
        If it holds more than 255 labels.
    """
    import numpy as np

    from napari_medseg import workflow
    from napari_medseg.gui.layers import KEY, Display

    volume = attributes.get("metadata", {}).get(KEY) or _shown_volume()
    name = attributes.get("name", "labels")
    if volume is None or Display(volume.geometry).shape != np.shape(data):
        raise GeometryError(
            f"Where '{name}' lies in the body is unknown: open its image with this plugin and save again."
        )
    highest = int(np.max(data, initial=0))
    if highest > _MOST or int(np.min(data, initial=0)) < 0:
        raise TaskError(f"'{name}' holds labels outside 0 to {_MOST}, which a mask file of ours cannot keep.")
    labels = Display(volume.geometry).stored(np.asarray(data))
    names = {value: f"label {value}" for value in range(1, highest + 1)}
    mask = Mask.from_labels(labels, volume.geometry, names)
    return [str(workflow.save_mask(mask, volume, Path(path)))]


def sample_ct() -> list[LayerData]:
    """Make an abdominal CT with its organs outlined."""
    from napari_medseg.core.phantoms import ct_phantom
    from napari_medseg.gui.layers import mask_layers

    volume, mask = ct_phantom((48, 256, 256))
    labels = [(data, words, "labels") for data, words in mask_layers(mask, volume)]
    return [*volume_layers(volume), *labels]


def sample_retina() -> list[LayerData]:
    """Show the colour photograph of a retina that comes with scikit-image."""
    from napari_medseg.workflow.samples import fundus

    return volume_layers(fundus().volume)


def _ours(path: Path) -> bool:
    if path.is_dir():
        from napari_medseg.imaging.checks import is_dicom

        return any(is_dicom(file) for file in islice(_files(path), _LOOK_AT))
    return path.name.lower().endswith(_SUFFIXES)


def _files(folder: Path) -> Iterator[Path]:
    """Files below a folder; what may not be looked into is left out."""
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)


def _open(path: Path) -> Volume | None:
    """Open a file or folder, asking which series where there are several; None when none is chosen."""
    from napari_medseg import workflow

    series = workflow.list_series(path) if path.is_dir() else ()
    if len(series) < 2:
        return workflow.open_volume(path)
    chosen = _choose(series)
    return None if chosen is None else workflow.open_volume(path, chosen)


def _choose(series: Sequence[Series]) -> Series | None:
    """Ask the person which of several series to open."""
    from qtpy.QtWidgets import QApplication

    from napari_medseg.gui.series_dialog import SeriesDialog

    chosen: list[Series] = []
    dialog = SeriesDialog(series, QApplication.activeWindow())
    dialog.accepted.connect(lambda: chosen.append(dialog.chosen))
    dialog.exec()
    return chosen[0] if chosen else None


def _shown_volume() -> Volume | None:
    """The volume worked on in the viewer in front, for layers that were made by hand."""
    from napari import current_viewer

    from napari_medseg.gui.layers import volume_of

    viewer = current_viewer()
    return None if viewer is None else volume_of(viewer)
