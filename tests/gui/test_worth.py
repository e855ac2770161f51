"""Which slice is most worth correcting; the truth is worked out by hand."""

from dataclasses import replace

from napari_medseg.core.phantoms import ct_phantom
from napari_medseg.gui.work import Pending, start
from napari_medseg.gui.worth import weakest


def ranked(**pending):
    """The order of some slices of the axial plane, named s0, s1, ..."""
    volume, mask = ct_phantom((6, 16, 16))
    work = start(volume, mask, ct_task())
    spots = {("liver", "axial", int(key[1:])): value for key, value in pending.items()}
    return weakest(replace(work, pending=spots), "axial")


def ct_task():
    from napari_medseg.core.task import task_of

    return task_of("ct", ("liver",))


def test_the_lowest_expected_dice_comes_first_and_doubt_decides_between_equals():
    found = ranked(
        s0=Pending(quality=0.90, voxels=100),
        s1=Pending(quality=0.61, voxels=100, n_wrong=5.0),
        s2=Pending(quality=0.61, voxels=100, n_wrong=20.0),
        s3=Pending(quality=0.40, voxels=100, edited=True),
        s4=Pending(voxels=100),
    )
    assert [weak.index for weak in found] == [2, 1, 0]
    assert found[0].reason == "the expected Dice of liver is 0.61"


def test_without_an_expected_dice_the_doubt_counts_as_a_part_of_the_outline():
    found = ranked(s1=Pending(voxels=200, n_wrong=50.0), s2=Pending(quality=0.80, voxels=200))
    assert [(weak.index, round(weak.loss, 2)) for weak in found] == [(1, 0.25), (2, 0.2)]
    assert found[0].reason == "about 25% of its outline may be wrong"


def test_other_planes_are_left_alone():
    volume, mask = ct_phantom((6, 16, 16))
    work = replace(start(volume, mask, ct_task()), pending={("liver", "coronal", 3): Pending(quality=0.2)})
    assert weakest(work, "axial") == [] and [w.index for w in weakest(work, "coronal")] == [3]
