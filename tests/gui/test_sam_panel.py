"""The panel with the real promptable method and a model too small to be good.

Weights are random, so nothing here looks at how well an outline fits: what is asserted is what the network
is told, what the panel makes of its answer, and that nothing is lost when an answer does not come.
"""

from dataclasses import dataclass, field, replace
from threading import Event

import numpy as np
import pytest

from napari_medseg import workflow
from napari_medseg.core.prompts import Box, MaskPrompt, Point
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.structure import UNTITLED
from napari_medseg.gui.keys import KEYS
from napari_medseg.networks.sam import CompactSam
from tests.models import tiny_sam

HERE = 6
SPOT = (UNTITLED, "axial", HERE)
AT = (HERE, 48, 48)
SCALE = 64 / 96  # canvas pixels of the model in a pixel of the phantom


@dataclass
class Heard:
    """What the method was asked and what the network was told; a run can be held at a step."""

    requests: list[Request] = field(default_factory=list)
    points: list[np.ndarray] = field(default_factory=list)  # (N, 2) of (x, y) on the canvas
    labels: list[list[int]] = field(default_factory=list)
    maps: list[np.ndarray] = field(default_factory=list)
    partials: list[Segmentation] = field(default_factory=list)
    hold_at: int = 0  # the step a run is held at, 0 for none
    held: Event = field(default_factory=Event)
    go_on: Event = field(default_factory=Event)
    error: Exception | None = None  # raised once in place of an answer


@pytest.fixture
def heard(monkeypatch):
    """Ears between panel, method and network; all of them stay the real ones."""
    heard, segment, decode = Heard(), workflow.segment, CompactSam.decode

    def listening(method, request):
        heard.requests.append(request)
        job, n = segment(method, request), 0
        while True:
            try:
                step = next(job)
            except StopIteration as stop:
                return stop.value
            n += 1
            if step.partial is not None:
                heard.partials.append(step.partial)
            yield step
            if n == heard.hold_at:
                heard.held.set()
                assert heard.go_on.wait(100)
            if heard.error is not None:
                error, heard.error = heard.error, None
                raise error

    def telling(network, encoded, prompts):
        heard.points.append(prompts.points[0].numpy())
        heard.labels.append(prompts.labels[0].tolist())
        heard.maps.append(prompts.maps[0].numpy())
        return decode(network, encoded, prompts)

    monkeypatch.setattr(workflow, "segment", listening)
    monkeypatch.setattr(CompactSam, "decode", telling)
    yield heard
    heard.go_on.set()


@pytest.fixture
def tiny(own_models):
    """The small model where the user's own ones lie."""
    return tiny_sam(own_models)


@pytest.fixture
def sam(tiny, heard, desk, phantom):
    """A desk with the phantom's middle slice on screen and the small model chosen."""
    desk.show(phantom[0])
    desk.select_method("sam")
    menu = desk.panel.sections.get_mask.model
    desk.wait(lambda: menu.findData(tiny.name) >= 0)
    menu.setCurrentIndex(menu.findData(tiny.name))
    desk.go_to(HERE)
    desk.wait_idle()
    assert desk.panel.enquiry.choice.method == "sam" and desk.panel.enquiry.choice.model == tiny.name
    return desk


def click(desk, at=AT):
    """Click and wait for the answer."""
    desk.click(at)
    desk.wait_idle()


def said(desk):
    """The sentence in the panel."""
    return desk.panel.sections.message.text.text()


def choose_scope(desk, name):
    """Ask for a slice, a range or the volume."""
    desk.panel.sections.get_mask.scopes[name].click()


def follow_always(desk):
    """Let the method go on however unsure it is, as a person would in the drawer of settings."""
    section = desk.panel.sections.get_mask
    section.set_settings({**section.choice.settings, "stop_below": 0.0})


def hold_a_run(desk, heard, step):
    """Click, ask for the volume and hold the run at a step; what was proposed before it."""
    follow_always(desk)
    click(desk)
    before = set(desk.work.pending)
    choose_scope(desk, "volume")
    heard.hold_at = step
    desk.key(KEYS["run"])
    desk.wait(heard.held.is_set)
    return before


def test_a_click_brings_three_readings_and_a_key_the_next(sam, heard):
    click(sam)
    work, enquiry, bar = sam.work, sam.panel.enquiry, sam.panel.sections.proposal
    assert [p.structure for p in work.prompts] == [UNTITLED]
    facts = work.pending[SPOT]
    name, sha = facts.model.split()
    assert (facts.method, name, len(sha)) == ("sam", "tiny-sam", 12)
    assert facts.settings["zoom"] is True and "memory" in facts.settings
    assert heard.labels[-1] == [1]
    np.testing.assert_allclose(heard.points[-1], [[48.5 * SCALE, 48.5 * SCALE]], atol=1.0)
    readings = enquiry.answer.result.alternatives
    assert len(readings) == 3
    assert [r.quality for r in readings] == sorted((r.quality for r in readings), reverse=True)
    assert [b.text() for b in bar.others if b.isVisible()] == [f"{r.quality:.2f}" for r in readings]
    first = work.shown(*SPOT).copy()
    for number in (1, 2, 0):
        sam.key(KEYS["alternative"])
        sam.wait_idle()
        region = readings[number].mask.of(UNTITLED)[0]
        np.testing.assert_array_equal(sam.work.shown(*SPOT), region)
        assert sam.work.pending[SPOT].quality == pytest.approx(readings[number].quality)
        assert [b.isChecked() for b in bar.others[:3]] == [n == number for n in range(3)]
    bar.others[2].click()
    sam.wait_idle()
    np.testing.assert_array_equal(sam.work.shown(*SPOT), readings[2].mask.of(UNTITLED)[0])
    sam.key(KEYS["undo"])
    assert [b.isChecked() for b in bar.others[:3]] == [True, False, False], "readings outlive an undo"
    assert [b.isVisible() for b in bar.others[:3]] == [True] * 3
    for _ in range(3):
        sam.key(KEYS["undo"])
    np.testing.assert_array_equal(sam.work.shown(*SPOT), first)
    sam.key(KEYS["undo"])
    assert not sam.work.prompts and not sam.work.pending
    assert not any(b.isVisible() for b in bar.others)
    assert len(heard.requests) == 1, "other readings and undo ask nobody"


def test_no_other_reading_is_said_in_a_sentence(sam):
    sam.key(KEYS["alternative"])
    assert said(sam) == "There is no other reading here; a single point often gives several."


def test_a_box_reaches_the_network_as_its_corners(sam, heard):
    sam.key(KEYS["box"])
    sam.drag((HERE, 30, 20), (HERE, 60, 70))
    sam.wait_idle()
    (box,) = sam.work.prompts
    assert isinstance(box, Box) and (box.structure, box.index) == (UNTITLED, HERE)
    np.testing.assert_allclose([box.start, box.stop], [(30, 20), (61, 71)], atol=1.0)
    assert heard.labels[-1] == [2, 3]
    corners = np.array([box.start[::-1], box.stop[::-1]])
    first = next(n for n, labels in enumerate(heard.labels) if labels == [2, 3])
    low, high = heard.points[first]
    assert (low < high).all() and (high - low)[0] / (high - low)[1] == pytest.approx(
        np.divide(*(corners[1] - corners[0])), rel=0.05
    )
    assert set(sam.work.pending) == {SPOT}
    assert not any(b.isVisible() for b in sam.panel.sections.proposal.others)


def test_a_click_outside_goes_to_the_network_with_all_that_was_said_before(sam, heard):
    click(sam)
    before = sam.work.shown(*SPOT).copy()
    sam.key(KEYS["sign"])
    assert sam.panel.sections.tools.sign.text().startswith("Outside")
    click(sam, (HERE, 30, 60))
    prompts = sam.work.prompts
    assert [p.positive for p in prompts] == [True, False]
    assert heard.requests[-1].prompts == prompts
    assert heard.labels[-1] == [1, 0]
    inside, outside = heard.points[-1]
    assert outside[0] > inside[0] and outside[1] < inside[1]  # (x, y): to the right and above
    asked = heard.requests[-1].previous.on_slice(*SPOT)
    np.testing.assert_array_equal(asked, before)
    assert heard.maps[-1][0].max() > 0, "the outline so far is told as well"
    assert sam.panel.enquiry.answer.result.alternatives == ()
    sam.key(KEYS["undo"])
    assert sam.work.prompts == prompts[:1]
    np.testing.assert_array_equal(sam.work.shown(*SPOT), before)


def test_what_was_painted_and_erased_outlives_every_further_answer(sam, heard):
    click(sam)
    proposed = sam.work.shown(*SPOT).copy()
    rows, columns = np.nonzero(proposed[20:76, 20:76])
    y, x = 20 + int(rows[len(rows) // 2]), 20 + int(columns[len(rows) // 2])
    n_asked = len(heard.requests)
    sam.key(KEYS["eraser"])
    sam.drag((HERE, y, x - 6), (HERE, y, x + 6))
    sam.key(KEYS["brush"])
    sam.drag((HERE, 90, 10), (HERE, 90, 30))
    sam.wait_idle()
    correction = sam.work.corrections[SPOT]
    assert correction.erased.any() and len(heard.requests) == n_asked, "strokes ask nobody"
    inside = sam.work.shown(*SPOT) & (correction.painted | ~proposed)
    sam.key(KEYS["run"])
    sam.wait_idle()
    sam.key(KEYS["point"])
    click(sam, (HERE, 40, 40))
    assert len(heard.requests) == n_asked + 2
    for request in heard.requests[-2:]:
        fixed = request.fixed[UNTITLED][HERE]
        np.testing.assert_array_equal(fixed < 0, correction.erased)
        np.testing.assert_array_equal(fixed > 0, correction.painted)
    shown = sam.work.shown(*SPOT)
    assert not shown[correction.erased].any()
    assert shown[correction.painted].all() and not (inside & ~shown)[correction.painted].any()
    assert sam.work.state("axial", HERE) == "edited"


def test_a_volume_run_follows_the_structure_to_every_slice(sam, heard):
    follow_always(sam)
    click(sam)
    choose_scope(sam, "volume")
    sam.key(KEYS["run"])
    sam.wait_idle()
    request = heard.requests[-1]
    assert request.slices == tuple(range(12))
    assert {type(p) for p in request.prompts} == {Point, MaskPrompt}
    assert heard.partials and all(p.mask.geometry.shape == (12, 96, 96) for p in heard.partials)
    assert set(sam.work.pending) == {(UNTITLED, "axial", n) for n in range(12)}
    assert all(p.quality is not None and p.settings["stop_below"] == 0.0 for p in sam.work.pending.values())
    assert "none" not in sam.panel.presenter.states()
    sam.key(KEYS["undo"])
    assert set(sam.work.pending) == {SPOT}, "one undo takes a run back"


def test_a_range_run_asks_for_its_slices_only(sam, heard):
    follow_always(sam)
    click(sam)
    section, position = sam.panel.sections.get_mask, sam.panel.presenter.position
    choose_scope(sam, "range")
    here = position(HERE)
    section.first.setValue(here + 1 - 1)  # people count from 1
    section.last.setValue(here + 1 + 2)
    section.runs.run_button.click()
    sam.wait_idle()
    wanted = sorted(position(p) for p in range(here - 1, here + 3))
    assert heard.requests[-1].slices == tuple(wanted)
    assert {spot[2] for spot in sam.work.pending} == set(wanted)


def test_a_cancelled_run_keeps_what_it_found_as_one_act(sam, heard):
    section = sam.panel.sections.get_mask.runs
    before = hold_a_run(sam, heard, 9)  # after the first result in part
    sam.wait(section.cancel_button.isVisible)
    sam.wait(lambda: len(sam.work.pending) == 8)
    assert sam.panel.enquiry.busy, "what is found is drawn while the run goes on"
    shown = {spot: sam.work.shown(*spot).copy() for spot in sam.work.pending}
    section.cancel_button.click()
    assert not sam.panel.enquiry.busy and section.run_button.isVisible()
    assert said(sam) == "Stopped after slice 8 of 12; what was found is kept as a proposal."
    heard.hold_at = 0
    heard.go_on.set()
    sam.wait_idle()
    assert set(sam.work.pending) == set(shown)
    assert all((sam.work.shown(*spot) == region).all() for spot, region in shown.items())
    assert all(p.model.startswith("tiny-sam") for p in sam.work.pending.values())
    sam.key(KEYS["undo"])
    assert set(sam.work.pending) == before, "one undo takes it all back"
    sam.key(KEYS["run"])
    sam.wait_idle()
    assert len(sam.work.pending) == 12
    sam.key(KEYS["undo"])
    assert set(sam.work.pending) == before, "parts and the rest are one act"


def test_a_click_during_a_run_takes_its_place(sam, heard):
    hold_a_run(sam, heard, 4)
    heard.hold_at = 0
    sam.click((HERE, 40, 40))
    heard.go_on.set()
    sam.wait_idle()
    assert [r.slices for r in heard.requests][-2:] == [tuple(range(12)), (HERE,)]
    assert set(sam.work.pending) == {SPOT} and len(sam.work.prompts) == 2
    assert sam.work.pending[SPOT].n_prompts == 2


def test_a_run_goes_on_while_a_person_accepts(sam, heard):
    hold_a_run(sam, heard, 9)
    sam.wait(lambda: len(sam.work.pending) == 8)
    shown = sam.work.shown(*SPOT).copy()
    sam.key(KEYS["accept"])
    assert sam.work.state("axial", HERE) == "accepted"
    heard.go_on.set()
    sam.wait_idle()
    np.testing.assert_array_equal(sam.work.mask.on_slice(*SPOT), shown)
    assert SPOT not in sam.work.pending, "an accepted slice is not proposed anew by an older question"
    assert {index for _, _, index in sam.work.pending} == set(range(12)) - {HERE}


def test_damaged_weights_are_said_and_the_prompt_is_kept(sam, tiny):
    weights = tiny.folder / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-8] + b"\xff" * 8)
    section = sam.panel.sections.get_mask
    section.set_settings({"cut": 0.4})  # another choice, so that the model is loaded once more
    sam.wait_idle()
    click(sam)
    assert said(sam) == (
        "The weights of the model 'tiny-sam' are not those it was released with; install it again."
    )
    assert sam.panel.sections.message.text.property("alarm") == "true"
    assert len(sam.work.prompts) == 1 and not sam.work.pending and section.runs.run_button.isVisible()
    weights.write_bytes(whole)
    sam.key(KEYS["run"])
    sam.wait_idle()
    assert set(sam.work.pending) == {SPOT}


def test_an_error_in_the_middle_of_a_run_loses_nothing(sam, heard):
    follow_always(sam)
    click(sam)
    sam.key(KEYS["accept"])
    sam.go_to(HERE + 1)
    click(sam, (HERE + 1, 48, 48))
    before = sam.work
    choose_scope(sam, "volume")
    heard.error = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    sam.key(KEYS["run"])
    sam.wait_idle()
    assert said(sam) == (
        "This did not work (RuntimeError); nothing you did is lost. Try again, or choose another method."
    )
    assert sam.work is before and sam.panel.sections.get_mask.runs.run_button.isVisible()
    sam.key(KEYS["run"])
    sam.wait_idle()
    assert len(sam.work.pending) == 11 and sam.work.state("axial", HERE) == "accepted"


def test_no_memory_left_is_said_with_a_way_out(sam, heard):
    heard.error = MemoryError()
    click(sam)
    assert said(sam).startswith("There is not enough memory for this; ask for fewer slices")
    click(sam)
    assert set(sam.work.pending) == {SPOT}


def test_a_run_without_a_prompt_says_what_to_do(sam):
    sam.key(KEYS["run"])
    sam.wait_idle()
    assert "Nothing is pointed at on these slices" in said(sam)
    assert not sam.work.pending and not sam.work.prompts


def test_neighbours_are_prepared_while_a_person_looks_and_a_click_goes_first(sam, heard, monkeypatch):
    from napari_medseg.methods.sam import Sam

    click(sam)
    sam.panel.deeds.methods.ahead.stop()
    sam.wait_idle()
    asked: list[tuple[int, ...]] = []
    real = Sam.prepare
    held, go_on = Event(), Event()

    def prepare(method, volume, plane, slices):
        asked.append(slices)
        if len(asked) == 2:
            held.set()
            assert go_on.wait(100)
        return (yield from real(method, volume, plane, slices))

    monkeypatch.setattr(Sam, "prepare", prepare)
    sam.go_to(HERE - 2)
    sam.wait(held.is_set)
    assert asked == [(HERE - 2,), (HERE - 3,)], "the slice on screen, then the next on the way"
    n = len(heard.requests)
    sam.click((HERE - 2, 48, 48))
    go_on.set()
    sam.wait(lambda: len(heard.requests) == n + 1)
    assert len(asked) == 2, "a question goes before all that is not begun"
    assert not sam.panel.sections.get_mask.runs.bar.text().startswith("Looking at slice")
    sam.wait(lambda: len(asked) == 2 + 12)  # nothing was asked for outside the image
    sam.wait_idle()
    assert [i for (i,) in asked[2:6]] == [HERE - 2, HERE - 3, HERE - 1, HERE - 4]
    sam.panel.deeds.methods.ahead.set_enabled(False)
    asked.clear()
    sam.go_to(HERE)
    sam.qtbot.wait(400)
    assert not asked


def test_neighbours_of_a_slice_that_took_long_are_left_alone(sam, monkeypatch):
    from napari_medseg.gui import asker
    from napari_medseg.methods.sam import Sam

    asked: list[int] = []
    real = Sam.prepare

    def prepare(method, volume, plane, slices):
        asked.extend(slices)
        return (yield from real(method, volume, plane, slices))

    monkeypatch.setattr(Sam, "prepare", prepare)
    monkeypatch.setattr(asker, "_LONG", 0.0)
    click(sam)
    sam.qtbot.wait(400)
    sam.wait_idle()
    sam.go_to(HERE - 2)
    sam.wait(lambda: HERE - 2 in asked)
    sam.qtbot.wait(400)
    sam.wait_idle()
    assert set(asked) == {HERE, HERE - 2}, "only what is on screen"
    sam.panel.sections.get_mask.set_settings({"cut": 0.4})  # another choice was not slow yet
    monkeypatch.setattr(asker, "_LONG", 100.0)
    click(sam, (HERE - 2, 48, 48))
    sam.wait(lambda: HERE - 3 in asked)


def test_doubt_is_shown_as_an_interval_and_marked_in_the_strip(sam, heard, monkeypatch):
    from napari_medseg.core.likeness import FOREIGN

    listening = workflow.segment

    def calibrated(method, request):
        answer = yield from listening(method, request)
        low = 0.84 if request.slices[0] == HERE else 0.42
        said = {UNTITLED: ((low, 0.95),) * len(request.slices)}
        quality = {UNTITLED: (0.91,) * len(request.slices)}
        return replace(answer, quality=quality, interval=said, notes=(FOREIGN,))

    monkeypatch.setattr(workflow, "segment", calibrated)
    click(sam)
    sections = sam.panel.sections
    assert sections.proposal.sure.text() == "Expected Dice 0.91 (0.84 to 0.95)"
    assert sam.work.state("axial", HERE) == "proposed"
    assert sections.caution.isVisible() and sections.caution.text() == FOREIGN
    sam.go_to(HERE + 2)
    assert sections.proposal.sure.text() == "" and sections.caution.isVisible()
    click(sam, (HERE + 2, 48, 48))
    assert sam.work.state("axial", HERE + 2) == "doubtful", "what it may be at worst counts"
    sam.go_to(HERE)
    sam.key(KEYS["next"])
    assert sam.panel.bench.index == HERE + 2
    assert sections.caution.isVisible(), "it holds for the case, not for one answer"


def test_slices_between_outlined_ones_are_filled_by_one_key(sam):
    runs = sam.panel.sections.get_mask.runs
    assert not runs.fill_button.isEnabled()
    sam.key(KEYS["fill"])
    assert said(sam) == f"Outline '{UNTITLED}' on two slices first; those between are then filled."
    sam.key(KEYS["brush"])
    for z in (HERE - 2, HERE + 1):
        sam.go_to(z)
        sam.drag((z, 40, 30), (z, 40, 60), (z, 50, 60), (z, 50, 30))
        sam.wait_idle()
    assert runs.fill_button.isEnabled()
    given = {spot: sam.work.shown(*spot).copy() for spot in sam.work.pending}
    sam.key(KEYS["fill"])
    sam.wait_idle()
    pending = sam.work.pending
    assert {index for _, _, index in pending} == set(range(HERE - 2, HERE + 2))
    assert sam.work.shown(UNTITLED, "axial", HERE).any()
    assert pending[(UNTITLED, "axial", HERE)].method == "between"
    assert all(pending[spot].edited and (sam.work.shown(*spot) == given[spot]).all() for spot in given)
    assert sam.panel.enquiry.choice.method == "sam"
    sam.key(KEYS["undo"])
    assert set(sam.work.pending) == set(given)


def test_the_model_chosen_for_a_method_is_chosen_again(sam, tiny):
    menu = sam.panel.sections.get_mask.model
    sam.select_method("threshold")
    assert sam.panel.enquiry.choice.model == ""
    sam.select_method("sam")
    sam.wait(lambda: menu.findData(tiny.name) >= 0)
    assert menu.currentData() == tiny.name and sam.panel.enquiry.choice.model == tiny.name
