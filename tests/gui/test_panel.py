"""The main way in a real viewer: click, paint, accept, take back; the phantom knows its own organs."""

import numpy as np
import pytest

from napari_medseg.core.structure import UNTITLED


def middle(region):
    """An index well inside a region."""
    z = int(np.argmax(region.sum(axis=(1, 2))))
    rows, columns = np.nonzero(region[z])
    nearest = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    return z, int(rows[nearest]), int(columns[nearest])


@pytest.fixture
def spine(phantom):
    """Centre of the brightest structure, which Otsu's threshold finds."""
    volume, organs = phantom
    brightest = max(organs, key=lambda name: volume.array[organs[name]].mean())
    return middle(organs[brightest])


def test_the_first_click_makes_a_mask_of_an_untitled_structure(desk, phantom, spine):
    desk.show(phantom[0])
    desk.go_to(spine[0])
    desk.click(spine)
    desk.wait_idle()
    work = desk.work
    assert [p.structure for p in work.prompts] == [UNTITLED]
    np.testing.assert_allclose(work.prompts[0].at, spine, atol=1.0)
    assert work.shown(UNTITLED, "axial", spine[0])[spine[1:]]
    assert set(work.pending) == {(UNTITLED, "axial", spine[0])}
    layer = next(la for la in desk.viewer.layers if la.name == "proposal")
    shown = desk.panel.canvas.display.view(work.proposal.arrays[0])
    np.testing.assert_array_equal(layer.data, shown)


def test_paint_accept_and_take_everything_back(desk, phantom, spine):
    desk.show(phantom[0])
    z, y, x = spine
    desk.go_to(z)
    spot = (UNTITLED, "axial", z)
    desk.click(spine)
    desk.wait_idle()
    proposed = desk.work.shown(*spot).copy()
    runs = []
    desk.panel.enquiry.progressed.connect(lambda *_: runs.append(1))

    desk.key("U")  # the brush, painting where nothing is
    assert desk.panel.sections.tools.buttons["brush"].isChecked()
    row = int(np.flatnonzero(~proposed.any(axis=1))[-2])
    desk.drag((z, row, x - 8), (z, row, x + 8))
    painted = desk.work.shown(*spot).copy()
    assert painted[row, x] and not proposed[row, x]
    assert desk.work.corrections[spot].painted[row, x]
    assert desk.work.state("axial", z) == "edited"

    desk.key("Y")  # the eraser
    desk.drag((z, row, x - 8), (z, row, x))
    erased = desk.work.shown(*spot).copy()
    assert not erased[row, x - 4] and erased[row, x + 6]
    assert not runs, "no model may run after a stroke"

    desk.key("A")
    desk.wait_idle()
    assert desk.work.state("axial", z) == "accepted"
    np.testing.assert_array_equal(desk.work.mask.on_slice(*spot), erased)
    assert not desk.work.pending and not desk.work.prompts

    desk.panel.bench.add_structure("liver")
    desk.viewer.layers.selection.active = desk.viewer.layers[0]  # no undo depends on the layer in hand
    desk.key("Ctrl+Z")
    assert desk.work.mask.names == (UNTITLED,)
    for region in (erased, painted, proposed):  # before the accept, the eraser, the brush
        desk.key("Ctrl+Z")
        np.testing.assert_array_equal(desk.work.shown(*spot), region)
        assert desk.work.state("axial", z) != "accepted" and not desk.work.mask.arrays[0].any()
    desk.key("Ctrl+Z")  # the click with the mask it brought
    assert not desk.work.prompts and not desk.work.pending and not desk.work.proposal.arrays[0].any()
    for _ in range(5):
        desk.key("Ctrl+Shift+Z")
    assert desk.work.mask.names == (UNTITLED, "liver")
    np.testing.assert_array_equal(desk.work.mask.on_slice(*spot), erased)


def test_the_brush_goes_on_from_what_is_accepted(desk, phantom, spine):
    desk.show(phantom[0])
    z, y, x = spine
    desk.go_to(z)
    spot = (UNTITLED, "axial", z)
    desk.click(spine)
    desk.wait_idle()
    desk.key("A")
    accepted = desk.work.mask.on_slice(*spot).copy()
    desk.key("Y")
    desk.drag((z, y - 3, x), (z, y + 3, x))
    shown = desk.work.shown(*spot)
    assert not shown[y, x] and shown.sum() > 0
    np.testing.assert_array_equal(shown & ~accepted, False)
    np.testing.assert_array_equal(desk.work.mask.on_slice(*spot), accepted)
    desk.key("D")
    assert desk.work.state("axial", z) == "accepted"
    np.testing.assert_array_equal(desk.work.mask.on_slice(*spot), accepted)
    assert not desk.work.proposal.arrays[0].any()
