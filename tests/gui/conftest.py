"""A desk for the panel's tests: a real napari viewer, the panel in it, and a hand on mouse and keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

from napari_medseg.core.phantoms import ct_phantom
from napari_medseg.core.volume import Volume
from napari_medseg.gui.layers import image_layers
from napari_medseg.gui.panel import Panel
from napari_medseg.gui.work import Work

PATIENCE = 120_000  # milliseconds


class Desk:
    """A person at the panel: what they do goes through real Qt events."""

    def __init__(self, viewer, qtbot) -> None:
        self.viewer = viewer
        self.qtbot = qtbot
        self.panel = Panel(viewer)
        viewer.window.add_dock_widget(self.panel, area="right", name="medseg")
        viewer.window.resize(1600, 1000)
        viewer.window.activate()
        self.select_method("threshold")
        QApplication.processEvents()

    @property
    def work(self) -> Work:
        """The case on the bench."""
        work = self.panel.bench.work
        assert work is not None
        return work

    @property
    def canvas(self) -> QWidget:
        """The widget that the image is drawn on."""
        return next(w for w in QApplication.allWidgets() if type(w).__name__ == "CanvasBackendDesktop")

    def wait(self, condition: Callable[[], bool]) -> None:
        """Let the window live until something is so."""
        self.qtbot.waitUntil(condition, timeout=PATIENCE)

    def wait_idle(self) -> None:
        """Let the window live until nothing runs and all is on the disk."""
        panel = self.panel
        self.wait(
            lambda: (
                not (
                    panel.enquiry.busy
                    or panel.opening.busy
                    or panel.bench.steps.busy
                    or panel.enquiry.worker.busy
                    or panel.memory.worker.busy
                )
            )
        )
        QApplication.processEvents()

    def select_method(self, name: str) -> None:
        """Choose a method in the menu."""
        combo = self.panel.sections.get_mask.method
        combo.setCurrentIndex(combo.findData(name))

    def show(self, volume: Volume) -> None:
        """Put an image on screen as napari's reader would, and wait until the panel has taken it up."""
        for data, words in image_layers(volume):
            self.viewer.add_image(data, **words)
        self.wait(lambda: self.panel.bench.work is not None and self.panel.bench.work.volume is volume)
        self.wait_idle()

    def at(self, index: Sequence[float]) -> QPoint:
        """Where an array index (z, y, x) lies on the canvas."""
        display, camera = self.panel.canvas.display, self.viewer.scene.camera
        assert display is not None
        world = np.multiply(display.to_display(index), display.scale)
        shown = list(self.viewer.dims.order[-2:])
        size = np.array([self.canvas.height(), self.canvas.width()])
        row, column = (world[shown] - np.array(camera.center)[-2:]) * camera.zoom + size / 2
        return QPoint(round(column), round(row))

    def click(self, index: Sequence[float], modifier=Qt.KeyboardModifier.NoModifier) -> None:
        """Click on the canvas."""
        QTest.mouseMove(self.canvas, self.at(index))
        QTest.mouseClick(self.canvas, Qt.MouseButton.LeftButton, modifier, self.at(index))
        QApplication.processEvents()

    def drag(self, *path: Sequence[float]) -> None:
        """Drag over the canvas with the left button."""
        points = [self.at(index) for index in path]
        QTest.mouseMove(self.canvas, points[0])
        QTest.mousePress(self.canvas, Qt.MouseButton.LeftButton, pos=points[0])
        for start, stop in zip(points, points[1:], strict=False):
            for part in np.linspace(0, 1, 6)[1:]:
                QTest.mouseMove(self.canvas, start + (stop - start) * float(part))
                QApplication.processEvents()
        QTest.mouseRelease(self.canvas, Qt.MouseButton.LeftButton, pos=points[-1])
        QApplication.processEvents()

    def key(self, sequence: str, widget: QWidget | None = None) -> None:
        """Press a key with the canvas, or another widget, in focus."""
        widget = widget or self.canvas
        widget.setFocus()
        QTest.keySequence(widget, sequence)
        QApplication.processEvents()

    def go_to(self, index: int) -> None:
        """Show another slice."""
        self.panel.canvas.go_to(index)
        QApplication.processEvents()

    def close(self) -> None:
        """End the panel as its dock's cross does."""
        self.panel.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for sessions."""
    folder = tmp_path / "home"
    monkeypatch.setenv("MEDSEG_HOME", str(folder))
    return folder


@pytest.fixture
def phantom() -> tuple[Volume, dict[str, np.ndarray]]:
    """A small CT and the true voxels of each organ."""
    volume, mask = ct_phantom((12, 96, 96))
    return volume, {name: mask.of(name) for name in mask.names}


@pytest.fixture
def desk(make_napari_viewer_proxy, qtbot, home) -> Iterator[Desk]:
    """A viewer with the panel and nothing open."""
    desk = Desk(make_napari_viewer_proxy(show=True), qtbot)
    yield desk
    desk.close()


@pytest.fixture
def liver(desk: Desk, phantom: tuple[Volume, dict[str, np.ndarray]]) -> int:
    """An outline of the liver's largest slice, proposed after a click; the number of that slice."""
    volume, organs = phantom
    z = int(np.argmax(organs["liver"].sum(axis=(1, 2))))
    y, x = np.argwhere(organs["liver"][z]).mean(axis=0).astype(int)
    desk.show(volume)
    desk.go_to(z)
    desk.click((z, y, x))
    desk.wait_idle()
    return z
