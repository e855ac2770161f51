"""What may be asked and what comes back; truth is worked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from napari_medseg.core.errors import GeometryError, MedsegError, TaskError
from napari_medseg.core.geometry import PLANES, Geometry, Plane, from_spacing
from napari_medseg.core.mask import Mask
from napari_medseg.core.prompts import Box, MaskPrompt, Point, Prompt, Scribble
from napari_medseg.core.request import Example, Request, Segmentation
from napari_medseg.core.structure import Structure, colour_of
from napari_medseg.core.task import Task, task_of
from napari_medseg.core.volume import Volume

SHAPE = (4, 6, 8)
GRID = Geometry(SHAPE, from_spacing((3.0, 1.0, 2.0), (5.0, 6.0, 7.0)))
VOLUME = Volume(np.zeros(SHAPE), GRID)
TASK = task_of("abdomen", ("liver", "spleen"))


def ask(slices: tuple[int, ...] = (1, 2), plane: Plane = "axial", **more: object) -> Request:
    return Request(VOLUME, plane, slices, TASK, **more)


@pytest.mark.parametrize("plane", PLANES)
def test_what_was_asked_for_is_a_part_of_the_grid(plane: Plane) -> None:
    request = ask((1, 2), plane)
    axis = PLANES.index(plane)
    assert request.axis == axis
    assert request.start == tuple(1 if a == axis else 0 for a in range(3))
    assert request.part.shape == tuple(2 if a == axis else n for a, n in enumerate(SHAPE))
    whole = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    np.testing.assert_array_equal(whole[request.where], np.take(whole, (1, 2), axis=axis))
    assert request.region().shape == request.part.shape and request.region().dtype == bool
    np.testing.assert_allclose(request.part.index_to_world((0, 0, 0)), GRID.index_to_world(request.start))


@pytest.mark.parametrize(
    ("slices", "kind", "sentence"),
    [
        ((), TaskError, "No slice was asked for"),
        ((0, 2), TaskError, "without a gap"),
        ((2, 1), TaskError, "without a gap"),
        ((1, 1), TaskError, "without a gap"),
        ((-1, 0), GeometryError, "axial slices of this image are 0 to 3"),
        ((3, 4), GeometryError, "Slices 3 to 4 were asked for"),
    ],
)
def test_slices_that_are_not_there_are_refused(
    slices: tuple[int, ...], kind: type[MedsegError], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        ask(slices)


@pytest.mark.parametrize(
    "prompt",
    [
        Point("liver", "axial", (1.0, 6.0, 0.0)),
        Point("liver", "axial", (4.0, 0.0, 0.0)),
        Point("liver", "axial", (1.0, float("nan"), 0.0)),
        Point("liver", "coronal", (1.0, 6.0, 0.0)),
        Box("liver", "sagittal", 8, (0, 0), (2, 2)),
        Box("liver", "axial", 1, (6, 0), (9, 2)),
        Box("liver", "axial", 1, (2, 2), (2, 5)),
        Scribble("liver", "axial", 1, np.array([(-4.0, -4.0)])),
        MaskPrompt("liver", "axial", 1, np.ones((8, 6), bool)),
    ],
)
def test_prompts_outside_the_image_are_refused_on_every_plane(prompt: Prompt) -> None:
    with pytest.raises(GeometryError) as caught:
        ask(prompts=(prompt,))
    assert str(caught.value).endswith((".", "pixels.", "again."))


def test_prompts_on_other_slices_and_planes_are_taken() -> None:
    prompts = (
        Point("liver", "axial", (3.0, 0.0, 0.0)),
        Point("liver", "axial", (1.4, 0.0, 0.0)),
        Point("spleen", "axial", (1.0, 0.0, 0.0), positive=False),
        Box("liver", "coronal", 5, (0, 0), (2, 2)),
    )
    request = ask(prompts=prompts)
    assert request.prompts_on("liver", 1) == (prompts[1],)
    assert request.prompts_on("liver", 3) == (prompts[0],)
    assert request.prompts_on("liver", 0) == ()
    assert request.wanted == ("liver", "spleen")


def test_prompts_name_the_structures_wanted_else_the_task_does() -> None:
    assert ask().wanted == ("liver", "spleen")
    points = tuple(Point(name, "axial", (1.0, 1.0, 1.0)) for name in ("spleen", "cyst", "spleen"))
    assert ask(prompts=points).wanted == ("spleen", "cyst")
    assert Request(VOLUME, "axial", (0,), Task("untitled")).wanted == ()


def test_an_answer_is_made_of_regions_with_the_tasks_colours() -> None:
    request = ask()
    one, other = request.region(), request.region()
    one[0, 0], other[0, 0, :3] = True, True
    mask = request.mask_of({"spleen": one, "cyst": other})
    assert mask.geometry.same_grid(request.part)
    np.testing.assert_array_equal(mask.of("spleen"), one)
    np.testing.assert_array_equal(mask.of("cyst"), other)
    assert mask.structure("spleen") == TASK.structure("spleen")
    assert mask.structure("cyst") == Structure("cyst", colour_of(1))
    whole = Mask.empty(GRID).paste(mask, request.start)
    np.testing.assert_array_equal(whole.of("cyst")[1:3], other)
    assert not whole.of("cyst")[3].any()


def test_what_is_known_so_far_lies_on_the_images_grid() -> None:
    other = Geometry(SHAPE, from_spacing((3.0, 1.0, 2.1)))
    assert ask(previous=Mask(GRID), fixed={"liver": np.zeros(SHAPE, np.int8)}).previous is not None
    with pytest.raises(GeometryError, match="mask so far"):
        ask(previous=Mask(other))
    with pytest.raises(GeometryError, match="person decided"):
        ask(fixed={"liver": np.zeros((1, 6, 8), np.int8)})
    with pytest.raises(GeometryError, match="example"):
        Example(VOLUME, Mask(other))
    assert Example(VOLUME, Mask(GRID)).mask.names == ()


def test_a_picture_has_slices_too() -> None:
    picture = Volume(np.zeros((1, 6, 8, 3)), Geometry.of_pixels((1, 6, 8)))
    request = Request(picture, "axial", (0,), TASK, (Point("liver", "axial", (0.0, 5.0, 7.0)),))
    assert request.part.shape == (1, 6, 8) and not request.part.oriented


def test_a_request_can_be_asked_again_elsewhere() -> None:
    with pytest.raises(GeometryError, match="axial slices"):
        replace(ask(), slices=(4,))


def test_an_answer_starts_at_the_first_voxel_unless_it_says_so() -> None:
    answer = Segmentation(Mask(GRID))
    assert (answer.start, answer.uncertainty, dict(answer.quality)) == ((0, 0, 0), None, {})
