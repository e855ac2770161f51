"""What is learnt from: slices of data sets and of accepted examples, on the network's canvas."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_medseg.core.model import Preparation
from napari_medseg.core.phantoms import ct_phantom
from napari_medseg.core.progress import finish
from napari_medseg.core.request import Example
from napari_medseg.core.task import task_of
from napari_medseg.learning.data import read_dataset
from napari_medseg.learning.labelled import labelled_dataset, labelled_example, may_show
from tests.phantom_sets import patients, write_phantoms

PREPARED = Preparation(long_side=64)


def test_pictures_of_one_split_with_their_regions(tmp_path: Path) -> None:
    data = write_phantoms(tmp_path / "glands", patients(3, "train") + patients(2, "test"), size=48)
    dataset = read_dataset(data)
    found = finish(labelled_dataset(dataset, "train", PREPARED))
    assert [one.group for one in found] == ["train 0", "train 1", "train 2"]
    one = found[0]
    assert one.canvas.shape == (64, 64, 3) and one.regions.shape == (2, 64, 64) and one.known.all()
    assert (one.regions[1] & ~one.regions[0]).mean() < 0.01  # the lesion lies in the gland
    truth = dataset.select("train")[0].mask().of("gland")
    assert one.regions[0].mean() == pytest.approx(truth.mean(), rel=0.1)


def test_of_a_volume_slices_with_and_without_the_structures(tmp_path: Path) -> None:
    data = write_phantoms(tmp_path / "cts", patients(1, "train"), dim=3)
    dataset = read_dataset(data)
    geometry = dataset.items[0].volume().geometry
    found = finish(labelled_dataset(dataset, "train", PREPARED))
    shown = [bool(one.regions.any()) for one in found]
    planes = {one.title.split()[-2] for one in found}
    assert planes == (
        {geometry.native_plane} if geometry.is_anisotropic else {"axial", "coronal", "sagittal"}
    )
    assert any(shown) and len(found) <= 15 * len(planes)


def test_an_example_teaches_by_its_reviewed_slices_and_what_its_mask_holds() -> None:
    volume, mask = ct_phantom((8, 40, 40))
    example = Example(volume, replace(mask, reviewed={"axial": frozenset({3, 4})}))
    names = (mask.names[0], "never looked for")
    found = labelled_example(example, names, "patient", PREPARED)
    assert len(found) == 2
    assert found[0].known.tolist() == [True, False] and not found[0].regions[1].any()
    assert found[0].regions[0].any() == mask.on_slice(names[0], "axial", 3).any()
    assert np.array_equal(found[0].size, found[1].size)


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ("abdomen", "abdomen / kidney", True),
        ("abdomen", "brain", False),
        ("heart", "thorax", True),
        ("retina / optic nerve head", "fetus head", False),
        ("cells / tissue (various)", "blood", True),
        ("", "brain", True),  # nobody knows
    ],
)
def test_which_pictures_may_show_the_structures_of_a_task(one: str, other: str, wanted: bool) -> None:
    first, second = task_of("a", ("x",), anatomy=one), task_of("b", ("y",), anatomy=other)
    assert may_show(first, second) is wanted and may_show(second, first) is wanted
