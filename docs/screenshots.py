"""Make the pictures of the README: the panel at work on images that come with the libraries, dark and light.

Run on a screen or a virtual one:
`xvfb-run -a -s "-screen 0 1600x1000x24" .venv/bin/python docs/screenshots.py`.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_medseg.core.phantoms import ct_phantom
from napari_medseg.core.prompts import Box, Point
from napari_medseg.core.volume import Volume
from napari_medseg.gui.layers import image_layers
from napari_medseg.gui.panel import Panel
from napari_medseg.workflow.samples import fundus

PICTURES = Path(__file__).parent / "pictures"
PATIENCE = 120.0  # seconds


class Desk:
    """A viewer with the panel, and a hand that works in it."""

    def __init__(self, theme: str) -> None:
        self.viewer = napari.Viewer(show=True)
        self.viewer.theme = theme
        self.panel = Panel(self.viewer)
        self.viewer.window.add_dock_widget(self.panel, area="right", name="medseg")
        self.viewer.window.resize(1600, 1000)

    def until(self, condition: Callable[[], bool]) -> None:
        """Let the window live until something is so, and a moment more."""
        end = time.monotonic() + PATIENCE
        while not condition():
            QApplication.processEvents()
            if time.monotonic() > end:
                raise TimeoutError("The panel did not come to rest.")
        for _ in range(20):
            QApplication.processEvents()

    def settle(self) -> None:
        """Let the window live until nothing runs."""
        panel = self.panel
        busy = (panel.enquiry, panel.bench.steps, panel.enquiry.worker, panel.memory.worker)
        self.until(lambda: not any(part.busy for part in busy))

    def show(self, volume: Volume) -> None:
        """Put an image on screen and wait until the panel has taken it up."""
        for data, words in image_layers(volume):
            self.viewer.add_image(data, **words)
        self.until(lambda: self.panel.bench.work is not None and self.panel.bench.work.volume is volume)
        self.settle()

    def ask(self, prompt: Box | Point) -> None:
        """Point at a structure and wait for its outline."""
        self.panel.enquiry.prompt(prompt)
        self.settle()

    def take(self, name: str) -> None:
        """Take a picture of the whole window."""
        self.viewer.screenshot(str(PICTURES / f"{name}.png"), canvas_only=False, flash=False)
        self.viewer.close()


def one_box() -> None:
    """A fundus photograph: one box, the disc outlined with its expected quality."""
    desk, sample = Desk("dark"), fundus()
    desk.show(sample.volume)
    desk.panel.bench.add_structure(sample.prompt.structure)
    desk.ask(sample.prompt)
    desk.take("box-dark")


def a_volume() -> None:
    """A CT phantom: the liver accepted on some slices, a kidney proposed after one click."""
    volume, truth = ct_phantom((40, 320, 320))
    desk = Desk("light")
    desk.show(replace(volume, name="CT phantom"))
    for name, accepted in (("liver", True), ("left kidney", False)):
        desk.panel.bench.add_structure(name)
        index = int(truth.of(name).sum((1, 2)).argmax())
        y, x = np.argwhere(truth.on_slice(name, "axial", index)).mean(axis=0)
        for z in (index - 1, index, index + 1) if accepted else (index,):
            desk.panel.canvas.go_to(z)
            desk.ask(Point(name, "axial", (z, round(y), round(x))))
            if accepted:
                desk.panel.bench.accept()
                desk.settle()
    desk.take("volume-light")


def main() -> None:
    """Make every picture, with sessions in a place that is thrown away."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        os.environ["MEDSEG_HOME"] = home
        one_box()
        a_volume()


if __name__ == "__main__":
    main()
