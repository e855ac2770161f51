"""The panel's keys against napari's real ones, and the panel worked by keyboard alone."""

from napari.components import ViewerModel
from napari.layers import Labels
from napari.utils.key_bindings import coerce_keybinding
from qtpy.QtCore import Qt
from qtpy.QtGui import QAction, QKeySequence
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QApplication, QComboBox, QLineEdit, QWidget

from napari_medseg.gui.keys import KEYS
from napari_medseg.gui.strip import Strip

MEANT = {"Ctrl+Z", "Ctrl+Shift+Z"}  # one undo for all, so napari's own is replaced


def taken_by_napari(viewer) -> set[str]:
    """Every key that does something in napari while a Labels layer is selected."""
    classes = [cls for cls in (*Labels.__mro__, *ViewerModel.__mro__) if hasattr(cls, "class_keymap")]
    taken = {str(coerce_keybinding(key)) for cls in classes for key in cls.class_keymap}
    return taken | {str(key) for key in viewer.keymap}


def test_no_key_is_one_of_naparis(desk):
    ours = {str(coerce_keybinding(key)) for name, key in KEYS.items() if key not in MEANT}
    assert len(ours) == len(KEYS) - len(MEANT)
    taken = taken_by_napari(desk.viewer)
    assert {"M", "E", "Ctrl+Y"} <= taken, "napari's own keys must be among those looked at"
    assert not ours & taken
    window = desk.panel.window()
    menus = {
        QKeySequence(key).toString() for action in window.findChildren(QAction) for key in action.shortcuts()
    }
    assert not {QKeySequence(key).toString() for key in KEYS.values()} & menus


def test_every_part_is_reached_by_tab_and_has_a_name(desk, phantom):
    desk.show(phantom[0])
    sections = desk.panel.sections
    sections.structures.tree.setFocus()
    reached: list[QWidget] = []
    for _ in range(80):
        widget = QApplication.focusWidget()
        if widget is None or (widget in reached and len(reached) > 10):
            break
        reached.append(widget)
        QTest.keyClick(widget, Qt.Key.Key_Tab)
    kinds = (QAbstractButton, QComboBox, QLineEdit, Strip)
    parts = [
        w for w in sections.findChildren(QWidget) if isinstance(w, kinds) and w.isVisible() and w.isEnabled()
    ]
    parts = [w for w in parts if w.focusPolicy() & Qt.FocusPolicy.TabFocus]
    missing = [(type(w).__name__, getattr(w, "text", lambda: "")()) for w in parts if w not in reached]
    assert not missing
    nameless = [w for w in parts if not (w.accessibleName() or getattr(w, "text", lambda: "")())]
    assert not nameless

    add = sections.structures.add_button  # a structure added, named and coloured without a mouse
    add.setFocus()
    QTest.keyClick(add, Qt.Key.Key_Space)
    editor = QApplication.focusWidget()
    assert isinstance(editor, QLineEdit)
    QTest.keyClicks(editor, "liver aqua")  # letters that are keys elsewhere
    QTest.keyClick(editor, Qt.Key.Key_Return)
    desk.wait_idle()
    assert desk.work.mask.names == ("untitled", "liver aqua")
    assert desk.panel.canvas.tool == "point"

    strip = sections.proposal.strip
    before = desk.panel.bench.index
    strip.setFocus()
    QTest.keyClick(strip, Qt.Key.Key_Right)
    assert abs(desk.panel.bench.index - before) == 1
    desk.key("G", strip)  # a key works wherever the focus is
    desk.wait_idle()
    assert desk.work.waiting("axial") == (desk.panel.bench.index,)
    desk.key("J")
    assert desk.work.current == "untitled"
    desk.key("D")
    assert not desk.work.pending
    desk.key("D")
    assert "nothing to discard" in sections.message.text.text()
