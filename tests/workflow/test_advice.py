"""Which slice to annotate first, and what is said of examples unlike the image; truth made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_medseg.core.geometry import Geometry, from_spacing
from napari_medseg.core.mask import Mask
from napari_medseg.core.phantoms import slice_phantom
from napari_medseg.core.progress import Job, Progress, finish
from napari_medseg.core.request import Example
from napari_medseg.core.volume import Volume
from napari_medseg.workflow import suggest_slice, unlike
from napari_medseg.workflow.advice import MOST_LOOKED_AT, medoid


class Describing:
    """Describes slice n by the n-th of some numbers and remembers what it was asked for."""

    def __init__(self, numbers: list[float]) -> None:
        self.numbers, self.asked = numbers, ()

    def describe(self, volume: Volume, plane: str, slices: tuple[int, ...]) -> Job[np.ndarray]:
        self.asked = slices
        yield Progress(0.5)
        return np.array([[self.numbers[index], 0.0] for index in slices])


def volume_of(n: int, spacing: float = 1.0, shape: tuple[int, int] = (4, 4), modality: str = "") -> Volume:
    geometry = Geometry((n, *shape), from_spacing((1.0, spacing, spacing)))
    return Volume(np.zeros(geometry.shape, np.uint8), geometry, modality=modality)


def test_the_slice_most_like_all_others_is_suggested() -> None:
    method = Describing([0.0, 9.0, 10.0, 11.0, 30.0])
    assert finish(suggest_slice(method, volume_of(5), "axial")) == 2
    assert method.asked == (0, 1, 2, 3, 4)


def test_only_some_slices_of_a_large_volume_are_looked_at() -> None:
    method = Describing(list(map(float, range(200))))
    assert 90 <= finish(suggest_slice(method, volume_of(200), "axial")) <= 110
    assert len(method.asked) == MOST_LOOKED_AT
    assert method.asked[0] == 0 and method.asked[-1] == 199


def test_a_single_slice_is_its_own_middle() -> None:
    assert finish(suggest_slice(Describing([3.0]), volume_of(1), "axial")) == 0
    assert medoid(np.zeros((3, 7))) == 0


def example(volume: Volume) -> Example:
    return Example(volume, Mask.empty(volume.geometry))


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([volume_of(3)], ()),
        ([volume_of(1, spacing=1.05, shape=(9, 9))], ()),
        ([volume_of(1, spacing=2.0)], ("The example has another pixel size; it is scaled.",)),
        (
            [volume_of(1, spacing=2.0), volume_of(1), volume_of(1, spacing=0.5)],
            ("2 of 3 examples have another pixel size; they are scaled.",),
        ),
        (
            [volume_of(1, spacing=2.0), volume_of(1, spacing=3.0)],
            ("All 2 examples have another pixel size; they are scaled.",),
        ),
        (
            [volume_of(1, modality="CT"), volume_of(1, modality="T1-weighted MR (cropped)"), volume_of(1)],
            ("1 of 3 examples is of another modality (CT, not MR); look closely.",),
        ),
    ],
)
def test_examples_unlike_the_image_are_told(others: list[Volume], said: tuple[str, ...]) -> None:
    assert unlike([example(volume) for volume in others], volume_of(5, modality="MR")) == said


def test_pictures_of_unknown_pixel_size_differ_by_their_size() -> None:
    large, small = slice_phantom(64)[0], slice_phantom(32)[0]
    assert unlike([example(large)], large) == ()
    assert unlike([example(small)], large) == ("The example has another picture size; it is scaled.",)


def test_an_ultrasound_is_one_by_any_name() -> None:
    one = replace(slice_phantom(32)[0], modality="B-mode ultrasound")
    assert unlike([example(one)], replace(one, modality="US")) == ()
