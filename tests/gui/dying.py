"""A person at work whose machine dies: run by test_recovery in a process of its own, and killed there."""

import os
import sys
import time
from pathlib import Path

import napari
from qtpy.QtWidgets import QApplication

from tests.gui.conftest import PATIENCE, Desk


class Clock:
    """What qtbot does, without pytest."""

    def waitUntil(self, condition, timeout=PATIENCE):  # noqa: N802  qtbot's name
        end = time.monotonic() + timeout / 1000
        while not condition():
            QApplication.processEvents()
            time.sleep(0.005)
            if time.monotonic() > end:
                raise TimeoutError


def main(image: str, marker: str) -> None:
    """Accept a slice, paint on another, say so, and wait to be killed."""
    desk = Desk(napari.Viewer(show=True), Clock())
    desk.panel.open(image)
    desk.wait(lambda: desk.panel.bench.work is not None)
    desk.wait_idle()
    desk.go_to(1)
    desk.key("U")
    desk.drag((1, 20, 20), (1, 20, 40))
    desk.key("A")
    desk.go_to(2)
    desk.drag((2, 30, 20), (2, 30, 40))
    desk.wait_idle()
    Path(marker).write_text(f"{os.getpid()} {desk.work.voxels} {len(desk.work.pending)}")
    while True:
        time.sleep(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
