"""Following through slices: phantoms whose truth is known, outlined by stand-ins that see no image."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from napari_medseg.core.correction import fixed_by_person
from napari_medseg.core.geometry import Geometry, Plane, from_spacing
from napari_medseg.core.mask import Mask, Region
from napari_medseg.core.metrics import dice
from napari_medseg.core.phantoms import CT_TASK, ct_phantom
from napari_medseg.core.prompts import MaskPrompt, Point, Prompt, on_grid
from napari_medseg.core.request import Request
from napari_medseg.core.task import task_of
from napari_medseg.core.volume import Volume
from napari_medseg.methods._follow import Answer, Track, grey_change

Guess = Region | None
SHAPE = (12, 60, 60)


def tube(radius: Callable[[int], float], plane_axis: int = 0) -> Volume:
    """A bright tube that runs obliquely along an axis, its radius given for each slice; noise elsewhere."""
    rng = np.random.default_rng(0)
    array = rng.normal(0, 5, SHAPE)
    rows, columns = np.mgrid[:60, :60]
    for i in range(SHAPE[0]):
        array[i][(rows - 20 - i) ** 2 + (columns - 30) ** 2 < radius(i) ** 2] += 100
    array = np.moveaxis(array, 0, plane_axis)
    return Volume(array.astype(np.float32), Geometry(array.shape, from_spacing((1.0, 1.0, 1.0))))


class Reader:
    """Outlines what is bright on a slice, like a network that sees well; remembers what it was asked."""

    def __init__(
        self, volume: Volume, plane: Plane = "axial", quality: Callable[[int], float] | None = None
    ) -> None:
        self.volume, self.plane, self.quality = volume, plane, quality or (lambda index: 0.9)
        self.guesses: dict[int, Guess] = {}

    def __call__(self, index: int, prompts: tuple[Prompt, ...], guess: Guess) -> Answer:
        self.guesses[index] = guess
        region = self.volume.slice(self.plane, index) > 50
        return Answer(region.astype(np.float32), region, self.quality(index))


def click(index: int, plane: Plane = "axial", axis: int = 0) -> Point:
    return Point("thing", plane, on_grid(20 + index, 30, index, axis))


def request(volume: Volume, *prompts: Prompt, plane: Plane = "axial", **more: object) -> Request:
    slices = more.pop("slices", tuple(range(volume.n_slices(plane))))
    return Request(volume, plane, slices, task_of("t", ("thing",)), prompts, **more)  # type: ignore[arg-type]


def follow(asked: Request, outline: object, stop_below: float = 0.35) -> tuple[dict[int, Region], list[str]]:
    track = Track(asked, "thing", outline, stop_below)  # type: ignore[arg-type]
    steps = list(track.follow())
    assert len({index for index, _ in steps}) == len(steps)
    return {index: answer.region for index, answer in steps}, track.notes


def accepted(volume: Volume, slices: dict[int, Region]) -> dict[str, np.ndarray]:
    mask = Mask.empty(volume.geometry, task_of("t", ("thing",)).structures)
    for index, region in slices.items():
        mask = mask.put_slice("thing", "axial", index, region)
    return {"thing": fixed_by_person(mask.review("axial", list(slices)), "thing")}


@pytest.mark.parametrize(("plane", "axis"), [("axial", 0), ("coronal", 1), ("sagittal", 2)])
def test_a_moving_structure_is_followed_in_every_plane_until_it_ends(plane: Plane, axis: int) -> None:
    volume = tube(lambda i: 8.0 if 2 <= i <= 9 else 0.0, axis)
    found, notes = follow(request(volume, click(5, plane, axis), plane=plane), Reader(volume, plane))
    assert sorted(found) == list(range(2, 10))
    assert all(dice(region, volume.slice(plane, i) > 50) > 0.9 for i, region in found.items())
    assert notes == [f"thing: on {plane} slices 2 to 9; before that it ends, after that it ends."]


def test_a_structure_that_shrinks_ends_where_next_to_nothing_is_left() -> None:
    volume = tube(lambda i: max(0.0, 14 - 2.2 * abs(i - 5)) + 0.5)
    found, notes = follow(request(volume, click(5)), Reader(volume))
    assert sorted(found) == list(range(11))
    assert "before that the image ends, after that it ends" in notes[0]


def test_it_says_where_it_is_no_longer_clear() -> None:
    volume = tube(lambda i: 8.0)
    reader = Reader(volume, quality=lambda i: 0.9 if i < 8 else 0.2)
    found, notes = follow(request(volume, click(5), slices=tuple(range(3, 12))), reader)
    assert sorted(found) == [3, 4, 5, 6, 7]
    assert notes == [
        "thing: on axial slices 3 to 7; before that no more was asked for, after that it is no longer clear."
    ]


def test_it_does_not_jump_to_something_else() -> None:
    volume = tube(lambda i: 8.0)

    def outline(index: int, prompts: tuple[Prompt, ...], guess: Guess) -> Answer:
        answer = Reader(volume)(index, prompts, guess)
        return answer if index < 7 else replace(answer, region=np.roll(answer.region, 22, axis=0))

    found, notes = follow(request(volume, click(5)), outline)
    assert max(found) == 6
    assert notes[0].endswith("after that the outline jumps.")


def test_it_ends_where_the_grey_values_are_others() -> None:
    volume = tube(lambda i: 8.0 if i < 8 else 0.0)
    bright = volume.array[5] > 50

    def outline(index: int, prompts: tuple[Prompt, ...], guess: Guess) -> Answer:
        return Answer(bright.astype(np.float32), bright, 0.9)  # hallucinates what is there no longer

    found, notes = follow(request(volume, click(5)), outline)
    assert max(found) == 7
    assert notes[0].endswith("after that the grey values change.")


def test_equal_values_are_no_change_and_others_are() -> None:
    rng = np.random.default_rng(0)
    one, same, other = (np.sort(rng.normal(mean, 1, 40)) for mean in (0, 0, 5))
    assert grey_change(one, same) == 0
    assert grey_change(one, other) > 0.9
    assert grey_change(one[:2], other[:2]) == 0  # two values say nothing


def test_between_two_prompts_every_guess_knows_both() -> None:
    volume = tube(lambda i: 8.0)
    reader = Reader(volume)
    found, notes = follow(request(volume, click(2), click(9), slices=tuple(range(2, 10))), reader)
    assert sorted(found) == list(range(2, 10))
    for i in range(3, 9):
        guess = reader.guesses[i]
        assert guess is not None
        assert dice(guess, found[i]) > 0.9
    assert notes == [
        "thing: on axial slices 2 to 9; before that no more was asked for, after that no more was asked for."
    ]


def test_where_the_image_is_not_clear_between_two_prompts_the_shape_stands() -> None:
    volume = tube(lambda i: 8.0)
    reader = Reader(volume, quality=lambda i: 0.1 if i in (5, 6) else 0.9)
    found, notes = follow(request(volume, click(2), click(9)), reader)
    assert sorted(found) == list(range(12))
    assert dice(found[5], volume.array[5] > 50) > 0.9
    assert notes[0] == "thing: not clear on axial slices 5, 6; filled from those beside."


def test_accepted_slices_are_sources_and_are_not_asked_again() -> None:
    volume = tube(lambda i: 8.0)
    truth = volume.array > 50
    smaller = truth[7] & (np.arange(60) < 30)
    reader = Reader(volume)
    fixed = accepted(volume, {3: truth[3], 7: smaller})
    found, notes = follow(request(volume, fixed=fixed), reader)
    assert sorted(found) == list(range(12))
    assert 3 not in reader.guesses
    assert 7 not in reader.guesses
    np.testing.assert_array_equal(found[7], smaller)
    guess = reader.guesses[8]
    assert guess is not None
    assert dice(guess, smaller) > 0.9 > dice(guess, truth[8])
    assert len(notes) == 1


def test_it_ends_at_a_slice_accepted_without_it() -> None:
    volume = tube(lambda i: 8.0)
    nothing = np.zeros((60, 60), bool)
    found, notes = follow(request(volume, click(3), fixed=accepted(volume, {8: nothing})), Reader(volume))
    assert sorted(i for i, region in found.items() if region.any()) == list(range(8))
    assert notes == [
        "thing: on axial slices 0 to 7; before that the image ends, "
        "after that slice 8 is accepted without it."
    ]


def test_what_was_erased_and_painted_is_the_truth_for_the_next_slice() -> None:
    volume = tube(lambda i: 8.0)
    fixed = np.zeros(SHAPE, np.int8)
    fixed[6, :, :30] = -1
    fixed[6, 50:52, 50:52] = 1
    reader = Reader(volume)
    found, _ = follow(request(volume, click(5), fixed={"thing": fixed}), reader)
    expected = volume.array[6] > 50
    expected[:, :30] = False
    expected[50:52, 50:52] = True
    np.testing.assert_array_equal(found[6], expected)
    guess = reader.guesses[7]
    assert guess is not None
    assert dice(guess, expected) > 0.8 > dice(guess, volume.array[7] > 50)


def test_the_slice_beside_the_range_is_a_source() -> None:
    volume = tube(lambda i: 8.0)
    found, notes = follow(request(volume, click(3), slices=(4, 5, 6)), Reader(volume))
    assert sorted(found) == [4, 5, 6]
    assert notes == ["thing: on axial slices 4 to 6; after that no more was asked for."]


def test_earlier_results_are_followed_anew_but_a_guess_of_its_own_counts() -> None:
    volume = tube(lambda i: 8.0)
    old = np.zeros((60, 60), bool)
    old[:10, :10] = True
    before = Mask.empty(volume.geometry, task_of("t", ("thing",)).structures)
    for index in (6, 7):
        before = before.put_slice("thing", "axial", index, old)
    repeats = [MaskPrompt("thing", "axial", index, old) for index in (6, 7)]
    reader = Reader(volume)
    follow(request(volume, click(5), *repeats, previous=before), reader)
    guess = reader.guesses[6]
    assert guess is not None
    assert dice(guess, volume.array[5] > 50) > 0.9
    alone = Reader(volume)
    follow(request(volume, *repeats, previous=before), alone)
    assert alone.guesses[6] is alone.guesses[7] is None
    told = Reader(volume)
    follow(
        request(volume, click(5), MaskPrompt("thing", "axial", 7, volume.array[7] > 50), previous=before),
        told,
    )
    assert told.guesses[7] is None


def test_thick_slices_may_change_more() -> None:
    """Truth: what is seen on the next slice covers a sixth of what is guessed there."""
    region = np.zeros((60, 60), bool)
    region[10:30, 10:30] = True
    array = np.where(region, 100.0, 0.0)[None].repeat(3, axis=0).astype(np.float32)

    def outline(index: int, prompts: tuple[Prompt, ...], guess: Guess) -> Answer:
        seen = region if index == 0 else region & (np.arange(60)[:, None] < 12)
        return Answer(seen.astype(np.float32), seen, 0.9)

    for between, n_found in ((1.0, 1), (5.0, 2)):
        volume = Volume(array, Geometry(array.shape, from_spacing((between, 1.0, 1.0))))
        prompt = Point("thing", "axial", (0, 15, 15))
        found, _ = follow(request(volume, prompt, slices=(0, 1)), outline)
        assert len(found) == n_found


def test_an_organ_of_the_phantom_is_found_from_one_slice() -> None:
    volume, truth = ct_phantom()
    middle = int(truth.of("spleen").sum((1, 2)).argmax())

    def outline(index: int, prompts: tuple[Prompt, ...], guess: Guess) -> Answer:
        region = truth.on_slice("spleen", "axial", index)
        shown = region if region.any() else guess  # as a network that cannot say no
        assert shown is not None
        return Answer(shown.astype(np.float32), shown, 0.9)

    row, column = np.argwhere(truth.on_slice("spleen", "axial", middle)).mean(0)
    prompt = Point("spleen", "axial", (middle, round(row), round(column)))
    asked = Request(volume, "axial", tuple(range(24)), CT_TASK, (prompt,))
    track = Track(asked, "spleen", outline, 0.35)
    found = np.zeros(truth.geometry.shape, bool)
    for index, answer in track.follow():
        found[index] = answer.region
    assert dice(found, truth.of("spleen")) > 0.95
    assert "ends" in track.notes[0] or "grey values" in track.notes[0]
