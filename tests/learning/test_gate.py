"""The gate leaves out slips and says why; what is merely rare or absent passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_medseg.core.phantoms import ct_phantom
from napari_medseg.learning.gate import sift
from napari_medseg.session.accepted import Accepted
from tests.taught import SIZE, TASK, picture


def accepted(seed: int, region=None, **words) -> Accepted:
    volume, mask = picture(seed)
    regions = {"disc": mask.of("disc") if region is None else region}
    one = Accepted(f"case-{seed}", f"p{seed}", "axial", 0, volume.geometry, volume, TASK.structures, regions)
    return replace(one, **words)


def whys(slices) -> list[str]:
    return [one.why for one in sift(slices).left_out]


def box(*rows_columns: int) -> np.ndarray:
    region = np.zeros((1, SIZE, SIZE), bool)
    top, bottom, left, right = rows_columns
    region[0, top:bottom, left:right] = True
    return region


GOOD = [accepted(seed) for seed in range(20)]


def test_good_ones_pass_and_so_does_an_empty_one() -> None:
    found = sift([*GOOD, accepted(50, np.zeros((1, SIZE, SIZE), bool))])
    assert len(found.kept) == 21 and found.left_out == ()


def test_tiny() -> None:
    (why,) = whys([accepted(0, box(3, 4, 3, 5)), accepted(1, box(20, 24, 20, 22))])
    assert why == "disc 0, axial slice 0: disc has 2 pixels only, which looks like a slip of the brush."


@pytest.mark.parametrize(
    "region, word",
    [
        (box(0, SIZE, 0, SIZE), "is far larger than"),
        (box(0, 6, 0, 6), "lies elsewhere or on other grey values than"),
        (box(20, 30, 43, 48), "lies elsewhere or on other grey values than"),
    ],
)
def test_unlike_all_others(region, word) -> None:
    found = sift([*GOOD, accepted(50, region)])
    assert [(one.case, one.structure) for one in found.left_out] == [("case-50", "disc")]
    assert f"disc {word} in all other accepted slices." in found.left_out[0].why
    assert len(found.kept) == 20


def test_darker_than_all_others() -> None:
    dark = accepted(50)
    values = np.where(dark.regions["disc"], 10, dark.image.array).astype(np.uint8)
    (why,) = whys([*GOOD, replace(dark, image=replace(dark.image, array=values))])
    assert "disc lies elsewhere or on other grey values than in all other" in why


def test_two_alike_stand_by_each_other_and_few_are_not_judged() -> None:
    assert whys([*GOOD, accepted(50, box(0, 10, 0, 10)), accepted(51, box(0, 10, 1, 11))]) == []
    assert whys([*GOOD[:7], accepted(50, box(0, SIZE, 0, SIZE))]) == []


def test_an_image_without_contrast_or_numbers() -> None:
    flat = replace(GOOD[0].image, array=np.full((1, SIZE, SIZE), 7, np.uint8))
    broken = replace(GOOD[1].image, array=np.full((1, SIZE, SIZE), np.nan, np.float32))
    said = whys([replace(GOOD[0], image=flat), replace(GOOD[1], image=broken), GOOD[2]])
    assert said == [
        "disc 0, axial slice 0: the image has no contrast.",
        "disc 1, axial slice 0: the image holds values that are no numbers.",
    ]


def test_off_the_grid() -> None:
    (why,) = whys([accepted(0, np.ones((1, SIZE, SIZE - 1), bool)), GOOD[1]])
    assert why == "disc 0, axial slice 0: the outline does not lie on the image's grid."


def test_another_reader() -> None:
    other = {"disc": box(0, 9, 0, 9)}
    (why,) = whys([replace(GOOD[0], others=other), replace(GOOD[1], others=dict(GOOD[1].regions))])
    assert why.startswith("disc 0, axial slice 0: disc is outlined otherwise by another reader; agree on it")


def test_the_same_picture_twice() -> None:
    copy = replace(GOOD[0], case="case-70")
    found = sift([*GOOD, copy])
    assert len(found.kept) == 20 and "the same image and outline are there already" in found.left_out[0].why
    found = sift([*GOOD, replace(copy, regions={"disc": box(0, 12, 0, 12)})])
    assert len(found.kept) == 19 and {one.case for one in found.left_out} == {"case-0", "case-70"}
    assert all("the same image was accepted with another outline" in one.why for one in found.left_out)


def stack(empty_at: int) -> list[Accepted]:
    """Slices 1 to 6 of a CT, the liver taken away on one of them; the spleen is there as it is."""
    volume, mask = ct_phantom((8, 32, 32))
    mask = mask.put_slice("liver", "axial", empty_at, np.zeros((32, 32), bool))
    geometry, found = volume.geometry, []
    for index in range(1, 7):
        where = geometry.one_slice("axial", index)
        part = geometry.crop((index, 0, 0), (index + 1, 32, 32))
        image = replace(volume, array=volume.array[where], geometry=part)
        both = tuple(one for one in mask.structures if one.name in ("liver", "spleen"))
        regions = {one.name: mask.of(one.name, where) for one in both}
        found.append(Accepted("case-1", "p", "axial", index, geometry, image, both, regions))
    return found


def test_an_empty_slice_within_an_organ_is_a_slip_and_one_at_its_end_is_an_answer() -> None:
    found = sift(stack(empty_at=4))
    assert [(one.index, one.structure) for one in found.left_out] == [(4, "liver")]
    assert found.left_out[0].why.endswith("liver is empty, but it is there on the slices before and after.")
    (kept,) = [one for one in found.kept if one.index == 4]
    assert set(kept.regions) == {"spleen"}  # the other structure still teaches
    assert whys(stack(empty_at=6)) == []
