"""Outlining from examples in the panel, worked by its buttons in a real viewer; a small method answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog

from napari_medseg.core.phantoms import ct_phantom, slice_phantom
from napari_medseg.core.structure import UNTITLED
from napari_medseg.gui import example_set
from tests.lookalike import install, write_picture

HERE = 6
AT = (HERE, 48, 48)


@pytest.fixture
def asked(monkeypatch):
    """What the method "lookalike", which is on the menu before the panel is, gets asked."""
    return install(monkeypatch)


@pytest.fixture
def learning(asked, desk, phantom):
    """The phantom on screen and a method that goes by examples chosen."""
    desk.show(phantom[0])
    desk.go_to(HERE)
    desk.select_method("lookalike")
    desk.wait_idle()
    return desk


def drawer(desk):
    return desk.panel.sections.examples


def said(desk):
    return desk.panel.sections.message.text.text()


def tips(desk):
    """What the pictures are called."""
    cards = drawer(desk).cards
    return [cards.item(row).toolTip() for row in range(cards.count())]


def press(button):
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def outline(desk, index=HERE):
    """Outline the middle of a slice by hand, as a stroke of the brush does."""
    desk.go_to(index)
    region = np.zeros((96, 96), bool)
    region[40:56, 40:60] = True
    desk.panel.bench.stroke("axial", index, region)
    return region


def accept(desk, index):
    outline(desk, index)
    desk.key("A")
    desk.wait_idle()


def run(desk, scope="slice"):
    desk.panel.sections.get_mask.scopes[scope].click()
    desk.key("G")
    desk.wait_idle()


def number(desk, index):
    """The number of a slice as the panel counts."""
    return desk.panel.presenter.position(index) + 1


def test_the_drawer_opens_by_itself_the_first_time_only(asked, desk, phantom):
    drawers = desk.panel.sections.drawers
    desk.show(phantom[0])
    assert not drawer(desk).isVisible()
    desk.select_method("lookalike")
    assert drawer(desk).isVisible()
    drawers.open("")
    desk.select_method("threshold")
    desk.select_method("lookalike")
    assert not drawer(desk).isVisible()


def test_with_nothing_to_go_by_the_slice_to_begin_with_is_said_and_shown(learning, phantom):
    """By mean grey, which is how the method describes slices; the truth is the mean over the voxels."""
    desk = learning
    desk.wait(lambda: drawer(desk).about.text().startswith("Annotate this slice first: slice "))
    means = phantom[0].array.mean(axis=(1, 2))
    best = int(np.abs(means[:, None] - means[None]).sum(axis=1).argmin())
    assert drawer(desk).about.text().endswith(f" {number(desk, best)}")
    desk.go_to((best + 3) % 12)
    assert drawer(desk).go.isVisible()
    press(drawer(desk).go)
    assert desk.panel.canvas.place == ("axial", best)
    assert not drawer(desk).go.isVisible()


def test_asking_with_nothing_to_go_by_says_what_to_do(learning, asked):
    run(learning)
    assert said(learning) == "There is no example to go by; annotate a slice first."
    press(drawer(learning).add)
    assert (
        said(learning)
        == f"Nothing is outlined on this slice; outline '{UNTITLED}' first: point at it, or paint."
    )
    assert asked[0].examples == ()


def test_accepted_slices_teach_and_stay_the_same_objects_while_nothing_changes(learning, asked):
    desk = learning
    accept(desk, 5)
    accept(desk, 7)
    assert drawer(desk).about.text() == f"Examples: 2 of {UNTITLED}"
    name = desk.work.volume.name
    assert tips(desk) == [f"{name}, slice {number(desk, i)}" for i in (5, 7)]
    desk.go_to(HERE)
    run(desk)
    run(desk, "volume")
    first, second = asked
    assert first.prompts == () and first.slices == (HERE,) and len(second.slices) == 12
    (one,), (again,) = first.examples, second.examples
    assert one is again and one.volume is desk.work.volume
    assert one.mask.reviewed == {"axial": frozenset({5, 7})}
    np.testing.assert_array_equal(
        one.mask.on_slice(UNTITLED, "axial", 5), desk.work.mask.on_slice(UNTITLED, "axial", 5)
    )
    assert not one.mask.on_slice(UNTITLED, "axial", HERE).any()
    assert desk.work.pending[(UNTITLED, "axial", HERE)].method == "lookalike"
    desk.key("A")
    desk.wait_idle()
    run(desk)
    assert asked[2].examples[0].mask.reviewed == {"axial": frozenset({5, 6, 7})}
    assert one.mask.reviewed == {"axial": frozenset({5, 7})}, "what was asked before is not changed"


def test_an_undone_acceptance_teaches_no_longer(learning):
    accept(learning, 5)
    assert len(tips(learning)) == 1
    learning.key("Ctrl+Z")
    learning.wait_idle()
    assert tips(learning) == []


def test_accepted_slices_join_only_while_the_box_is_ticked(learning):
    desk = learning
    accept(desk, 5)
    drawer(desk).joins.click()
    accept(desk, 7)
    assert tips(desk) == []
    drawer(desk).joins.click()
    assert len(tips(desk)) == 2


def test_a_proposal_can_be_added_and_taken_away_again(learning, asked):
    desk = learning
    region = outline(desk)
    press(drawer(desk).add)
    assert len(tips(desk)) == 1
    outlined = desk.work.shown(UNTITLED, "axial", HERE).copy()
    np.testing.assert_array_equal(outlined, region)
    desk.panel.bench.stroke("axial", HERE, ~region)
    desk.go_to(3)
    run(desk)
    np.testing.assert_array_equal(asked[0].examples[0].mask.on_slice(UNTITLED, "axial", HERE), region)
    desk.panel.bench.change_structure(UNTITLED, desk.work.mask.structure(UNTITLED).__class__("liver"))
    assert drawer(desk).about.text() == "Examples: 1 of liver", "a new name is followed"
    assert not drawer(desk).remove.isEnabled()
    drawer(desk).cards.item(0).setSelected(True)
    press(drawer(desk).remove)
    assert tips(desk) == [] and desk.panel.lessons.examples.taught()() == ()


def test_one_accepted_slice_is_taken_away_by_key_and_all_by_clear(learning):
    desk = learning
    for index in (4, 5, 7):
        accept(desk, index)
    cards = drawer(desk).cards
    cards.item(1).setSelected(True)
    desk.key("Del", cards)
    assert tips(desk) == [f"{desk.work.volume.name}, slice {number(desk, i)}" for i in (4, 7)]
    press(drawer(desk).clear)
    assert tips(desk) == []
    accept(desk, 8)
    assert len(tips(desk)) == 1


def test_pictures_are_drawn_in_pauses(learning):
    desk = learning
    accept(desk, 5)
    cards = drawer(desk).cards

    def middle():
        """The colour of the picture where the outline's rim may be."""
        image = cards.item(0).icon().pixmap(144, 144).toImage()
        return {image.pixelColor(x, 72).name() for x in range(144)}

    desk.wait(lambda: len(middle()) > 3)
    assert "#e69f00" in middle(), "the structure's colour, which is the first of the table"


def folder_of(tmp_path: Path, names: bool) -> Path:
    for seed in range(2):
        volume, mask = slice_phantom(64, seed)
        labels = mask.flat()[0] if names else mask.of("lesion")[0]
        write_picture(tmp_path / "shown", f"us{seed}", volume.array[0], labels)
    if names:
        about = {"classes": {"1": "rim", "2": "lesion"}, "regions": {"gland": [1, 2], "lesion": [2]}}
        (tmp_path / "shown" / "dataset.json").write_text(json.dumps(about))
    return tmp_path / "shown"


@pytest.fixture
def picture(asked, desk):
    """A picture on screen and a method that goes by examples chosen."""
    desk.show(slice_phantom(64, 9)[0])
    desk.select_method("lookalike")
    desk.wait_idle()
    return desk


def test_a_folder_names_the_structures_and_its_pictures_teach(picture, asked, tmp_path, monkeypatch):
    desk = picture
    assert drawer(desk).about.text().startswith("Add annotated pictures first")
    folder = folder_of(tmp_path, names=True)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_words: str(folder))
    press(drawer(desk).folder)
    desk.wait_idle()
    assert desk.work.mask.names == ("gland", "lesion") and desk.work.current == "gland"
    assert drawer(desk).about.text() == "Examples: 2 of gland, 2 of lesion"
    assert tips(desk) == ["us0", "us1"] and said(desk) == "2 examples were added."
    run(desk)
    assert len(asked[0].examples) == 2 and asked[0].wanted == ("gland", "lesion")
    press(drawer(desk).folder)
    desk.wait_idle()
    assert said(desk) == "There was nothing new." and len(tips(desk)) == 2


def test_a_pair_of_files_teaches_what_has_no_name_yet(picture, asked, tmp_path, monkeypatch):
    desk = picture
    folder = folder_of(tmp_path, names=False)
    answers = iter([folder / "images" / "us0.png", folder / "masks" / "us0.png"])
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_words: (str(next(answers)), ""))
    press(drawer(desk).pair)
    desk.wait_idle()
    assert drawer(desk).about.text() == f"Examples: 1 of {UNTITLED}"
    run(desk)
    assert desk.work.voxels_of(UNTITLED) > 0 and len(asked) == 1


def test_bad_files_are_one_sentence_and_nothing_is_added(picture, tmp_path):
    desk = picture
    write_picture(tmp_path, "a", np.ones((40, 50)))
    drawer(desk).folder_requested.emit(tmp_path)
    desk.wait_idle()
    assert "'a.png' needs 'masks/a.png'" in said(desk) and tips(desk) == []
    drawer(desk).pair_requested.emit(tmp_path / "images" / "a.png", tmp_path / "nowhere.png")
    desk.wait_idle()
    assert "There is no file or folder" in said(desk)
    assert desk.panel.sections.get_mask.runs.run_button.isVisible(), "the progress bar has gone"


def test_reading_can_be_cancelled(picture, tmp_path):
    desk = picture
    folder = folder_of(tmp_path, names=True)
    drawer(desk).folder_requested.emit(folder)
    assert desk.panel.lessons.busy
    desk.key("R")
    desk.wait_idle()
    assert not desk.panel.lessons.busy and tips(desk) == []
    assert desk.work.mask.names == (UNTITLED,)


def test_examples_of_another_size_are_told(picture, tmp_path):
    desk = picture
    volume, mask = slice_phantom(48, 3)
    write_picture(tmp_path, "small", volume.array[0], mask.of("lesion")[0])
    drawer(desk).folder_requested.emit(tmp_path)
    desk.wait_idle()
    assert drawer(desk).note.text() == "The example has another picture size; it is scaled."
    assert drawer(desk).note.isVisible()


def test_what_was_learnt_of_one_case_serves_the_next(learning, asked):
    desk = learning
    accept(desk, 5)
    accept(desk, 7)
    drawing, own = desk.panel.lessons.drawing, desk.panel.lessons.examples.own
    desk.wait(lambda: all(drawing.get(own.key(place)) for place in own.places))
    before = desk.work.volume
    other, _ = ct_phantom((12, 96, 96), 3)
    for data, words in example_layers(other):
        desk.viewer.add_image(data, **words)
    desk.panel.opening.adopt(desk.viewer.layers[-1])
    desk.wait(lambda: desk.work.volume is other)
    desk.wait_idle()
    assert drawer(desk).about.text() == f"Examples: 2 of {UNTITLED}"
    assert tips(desk) == [f"{before.name}, slice {n}" for n in sorted((12 - 5, 12 - 7), reverse=True)]
    run(desk)
    shown = asked[0].examples
    assert [e.volume.geometry.shape for e in shown] == [(1, 96, 96)] * 2
    np.testing.assert_array_equal(shown[0].volume.array[0], before.array[5])
    assert all(e.volume is not before for e in shown), "the volume itself is not kept"
    assert drawer(desk).elsewhere.isVisible() and drawer(desk).elsewhere.text() == "Other cases (2)"
    press(drawer(desk).elsewhere)
    desk.wait_idle()
    assert said(desk) == "There was nothing new.", "they are the same two slices"
    press(drawer(desk).clear)
    press(drawer(desk).elsewhere)
    desk.wait_idle()
    assert said(desk) == "2 examples were added." and len(tips(desk)) == 2


def example_layers(volume):
    from napari_medseg.gui.layers import image_layers

    return image_layers(volume)


def test_only_some_slices_of_a_case_that_is_left_are_kept(learning, monkeypatch):
    monkeypatch.setattr(example_set, "_MOST_KEPT", 2)
    desk = learning
    for index in (3, 4, 5, 6):
        accept(desk, index)
    other, _ = ct_phantom((12, 96, 96), 3)
    for data, words in example_layers(other):
        desk.viewer.add_image(data, **words)
    desk.panel.opening.adopt(desk.viewer.layers[-1])
    desk.wait(lambda: desk.work.volume is other)
    desk.wait_idle()
    assert len(tips(desk)) == 2


def test_a_structure_accepted_later_does_not_call_earlier_slices_empty(learning, asked):
    desk = learning
    accept(desk, 5)
    desk.panel.bench.add_structure("second")
    accept(desk, 7)
    desk.go_to(HERE)
    run(desk)
    taught = {e.mask.names: e.mask.reviewed["axial"] for e in asked[0].examples}
    assert taught == {(UNTITLED,): frozenset({5}), ("second",): frozenset({7})}


def test_a_click_is_answered_by_the_method_that_takes_prompts(learning, asked):
    learning.click(AT)
    learning.wait_idle()
    assert asked == []
    assert learning.work.pending[(UNTITLED, "axial", HERE)].method == "threshold"
    assert learning.panel.sections.get_mask.name == "lookalike"


def test_careful_averages_several_readings(learning, asked):
    desk = learning
    assert drawer(desk).careful.isVisible() and not drawer(desk).careful.isChecked()
    drawer(desk).careful.click()
    assert desk.panel.enquiry.choice.settings["samples"] == 4
    accept(desk, 5)
    desk.go_to(HERE)
    run(desk)
    assert desk.work.pending[(UNTITLED, "axial", HERE)].settings == {"samples": 4}
    drawer(desk).careful.click()
    assert desk.panel.enquiry.choice.settings["samples"] == 1
    desk.select_method("threshold")
    assert not drawer(desk).careful.isVisible()


def test_the_panel_with_the_drawer_open_fits_its_column(learning):
    learning.panel.sections.message.say("A sentence. " * 12, alarm=True)
    assert drawer(learning).isVisible()
    assert learning.panel.sections.minimumSizeHint().height() <= 1000
