"""Opening a case: from a file, a folder with its series, or a layer that is on screen already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_medseg import workflow
from napari_medseg.core.geometry import Geometry, from_spacing
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.volume import Volume
from napari_medseg.gui.jobs import Ticket
from napari_medseg.gui.layers import KEY
from napari_medseg.gui.memory import Memory, Opened
from napari_medseg.gui.series_dialog import SeriesDialog


class Opening(QObject):
    """Brings a case to the bench; all that is slow happens elsewhere."""

    opened = Signal(object)  # Opened
    progressed = Signal(float, str)
    ended = Signal()
    failed = Signal(str)

    def __init__(self, memory: Memory, window: QWidget) -> None:
        super().__init__()
        self._memory = memory
        self._window = window
        self._ticket: Ticket | None = None

    @property
    def busy(self) -> bool:
        """Whether something is being opened."""
        return self._ticket is not None

    def open(self, path: Path) -> None:
        """Open an image file, or one series of a DICOM folder."""
        if path.is_dir():
            self._start(lambda: _series_of(path), lambda series: self._choose(path, series))
        else:
            self.open_series(path, None)

    def open_series(self, path: Path, series: Any) -> None:
        """Open a file, or the series of a folder that was chosen."""
        self._start(lambda: self._memory.opened(path, series), self._done)

    def adopt(self, layer: Any) -> None:
        """Make a case of an image layer that napari or another plugin put on screen."""
        volume = volume_of_layer(layer)
        source = Path(layer.source.path or volume.name)
        self._start(lambda: self._memory.case_of(volume, source, ""), self._done)

    def cancel(self) -> None:
        """Stop reading."""
        if self._ticket is not None:
            self._ticket.cancel()
            self._end()

    def close(self) -> None:
        """Want nothing any more."""
        if self._ticket is not None:
            self._ticket.cancel()

    def _choose(self, path: Path, series: tuple[Any, ...]) -> None:
        """Ask which series where there are several."""
        self._end()
        if len(series) < 2:
            self.open_series(path, series[0] if series else None)
            return
        dialog = SeriesDialog(series, self._window)
        dialog.accepted.connect(lambda: self.open_series(path, dialog.chosen))
        dialog.open()

    def _start(self, job: Callable[[], Job[Any]], done: Callable[[Any], None]) -> None:
        self.cancel()
        self.progressed.emit(0.0, "Reading")
        self._ticket = self._memory.worker.start(
            job, done, lambda step: self.progressed.emit(step.done, step.message), self._failed
        )

    def _done(self, opened: Opened) -> None:
        self._end()
        self.opened.emit(opened)

    def _failed(self, sentence: str) -> None:
        self._end()
        self.failed.emit(sentence)

    def _end(self) -> None:
        self._ticket = None
        self.ended.emit()


def volume_of_layer(layer: Any) -> Volume:
    """The volume a layer shows: ours if a reader of ours made it, else its array as it lies on screen.

    An array in one plane becomes one slice; without a unit lengths are pixels.
    """
    volume = layer.metadata.get(KEY)
    if isinstance(volume, Volume):
        return volume
    array = np.asarray(layer.data[0] if layer.multiscale else layer.data)
    n_channels = 1 if layer.rgb else 0
    while array.ndim - n_channels < 3:
        array = array[None]
    while array.ndim - n_channels > 3:
        array = array[0]
    z, y, x = array.shape[:3]
    known = all(str(unit) in ("mm", "millimeter") for unit in layer.units)
    dz, dy, dx = (1.0, 1.0, 1.0, *map(float, layer.scale))[-3:] if known else (1.0, 1.0, 1.0)
    affine = from_spacing((dz, dy, dx))
    geometry = Geometry((z, y, x), affine, spacing_known=known, oriented=False)
    return Volume(array, geometry, layer.name)


def _series_of(folder: Path) -> Job[tuple[Any, ...]]:
    yield Progress(0.1, f"Looking through {folder.name}")
    return workflow.list_series(folder)
