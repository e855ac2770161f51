"""Prompts in napari's own layers: hidden where there is nothing to see, read back when changed by hand."""

import numpy as np

from napari_medseg.core.prompts import Box, Point

HERE = 6


def test_what_is_moved_added_or_removed_by_hand_changes_the_prompts(desk, phantom):
    desk.show(phantom[0])
    desk.go_to(HERE)
    desk.click((HERE, 40, 40))
    desk.wait_idle()
    layers, display = desk.panel.canvas.prompts, desk.panel.canvas.display
    layers.points.add([display.to_display((HERE, 50, 60))])
    desk.wait(lambda: len(desk.work.prompts) == 2)
    desk.wait_idle()
    first, second = desk.work.prompts
    assert isinstance(second, Point) and second.positive and second.plane == "axial"
    np.testing.assert_allclose(second.at, (HERE, 50, 60))
    assert desk.work.state("axial", HERE) == "proposed"
    layers.points.data = layers.points.data[1:]
    desk.wait(lambda: len(desk.work.prompts) == 1)
    assert desk.work.prompts[0].at == second.at
    desk.wait_idle()
    desk.key("Ctrl+Z")
    desk.wait_idle()
    assert desk.work.prompts == (first, second), "one key takes it back, its answer too"
    assert len(layers.points.data) == 2


def test_drawn_prompts_are_hidden_where_there_are_none(desk, phantom):
    desk.show(phantom[0])
    desk.go_to(HERE)
    shapes = desk.panel.canvas.prompts.shapes
    assert not shapes.visible
    desk.key("C")
    desk.drag((HERE, 30, 20), (HERE, 60, 70))
    desk.wait_idle()
    assert shapes.visible and len(shapes.data) == 1
    shapes.data = [shapes.data[0] + np.array([0, 5, 5])]
    desk.wait(lambda: desk.work.prompts[0].start[0] > 33)
    (box,) = desk.work.prompts
    assert isinstance(box, Box)
    np.testing.assert_allclose([box.start, box.stop], [(35, 25), (66, 76)], atol=1.0)
    desk.go_to(HERE + 1)
    desk.wait(lambda: not shapes.visible)
    desk.go_to(HERE)
    desk.wait(lambda: shapes.visible)
    shapes.visible = False  # by the eye in napari's list
    desk.go_to(HERE + 1)
    desk.go_to(HERE)
    desk.wait_idle()
    assert not shapes.visible
