"""Slices at one place go to stacks. Truth: the phantoms say which slice belongs where by its values."""

import numpy as np
import pytest

from napari_medseg.imaging.dicom import list_series, read_series
from tests.dicom_phantoms import AXIAL, CORONAL, SAGITTAL, along, plane, write, write_series

DISTANCES = [0, 3, 6, 9]


def stacks(folder):
    return {series.stack: series for series in list_series(folder)}


def values_of(series):
    """The phantom's slice numbers, read from the values."""
    return [int(one[0, 0]) // 100 for one in read_series(series).array]


def write_stack(folder, value, **tags):
    write_series(folder, along(AXIAL, DISTANCES), seed=value, value=value, **tags)


@pytest.mark.parametrize(
    ("keyword", "values", "labels"),
    [
        ("DiffusionBValue", (0.0, 1000.0), ["b=0", "b=1000"]),
        ("EchoTime", (20.0, 80.0), ["TE 20 ms", "TE 80 ms"]),
        ("EchoNumbers", (1, 2), ["echo 1", "echo 2"]),
        ("TemporalPositionIdentifier", (1, 2), ["phase 1 of 2", "phase 2 of 2"]),
        ("TriggerTime", (0.0, 400.0), ["phase 1 of 2", "phase 2 of 2"]),
        ("AcquisitionTime", ("101500", "101600"), ["time 1 of 2", "time 2 of 2"]),
        ("ContentTime", ("101500", "101600"), ["time 1 of 2", "time 2 of 2"]),
        ("ImageType", (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]), ["M", "P"]),
        ("AcquisitionNumber", (1, 2), ["acquisition 1", "acquisition 2"]),
        ("FlipAngle", (5.0, 15.0), ["flip angle 5", "flip angle 15"]),
    ],
)
def test_one_tag_tells_two_stacks_apart(tmp_path, keyword, values, labels):
    for first, value in zip((0, 10), values, strict=True):
        own = [value] * len(DISTANCES) if isinstance(value, list) else value
        write_stack(tmp_path, first, **{keyword: own})
    found = stacks(tmp_path)
    assert list(found) == labels
    assert [values_of(series) for series in found.values()] == [[0, 1, 2, 3], [10, 11, 12, 13]]
    assert all(read_series(series).geometry.regular for series in found.values())
    assert len({series.uid for series in found.values()}) == 1


def test_slices_taken_one_after_another_in_two_phases(tmp_path):
    write_stack(tmp_path, 0, TriggerTime=[10.0, 12.0, 11.0, 10.5])
    write_stack(tmp_path, 10, TriggerTime=[50.0, 53.0, 51.0, 52.0])
    write_stack(tmp_path, 20, TriggerTime=[90.0, 91.0, 93.0, 92.0])
    found = stacks(tmp_path)
    assert list(found) == ["phase 1 of 3", "phase 2 of 3", "phase 3 of 3"]
    assert values_of(found["phase 2 of 3"]) == [10, 11, 12, 13]


def test_b_values_and_directions_are_split_twice(tmp_path):
    write_stack(tmp_path, 0, DiffusionBValue=0.0)
    write_stack(tmp_path, 10, DiffusionBValue=800.0, DiffusionGradientOrientation=[[1.0, 0.0, 0.0]] * 4)
    write_stack(tmp_path, 20, DiffusionBValue=800.0, DiffusionGradientOrientation=[[0.0, 1.0, 0.0]] * 4)
    found = stacks(tmp_path)
    assert list(found) == ["b=0", "b=800, direction 1 of 2", "b=800, direction 2 of 2"]
    assert values_of(found["b=800, direction 2 of 2"]) == [10, 11, 12, 13]


def test_a_vendors_own_b_value_is_used(tmp_path):
    from tests.dicom_phantoms import dataset

    for value, b_value in ((0, 50), (10, 800)):
        for k, position in enumerate(along(AXIAL, DISTANCES)):
            slice_ = dataset(
                plane(value + k), Modality="MR", ImagePositionPatient=[float(x) for x in position]
            )
            slice_.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", b_value)
            slice_.save_as(tmp_path / f"{value + k}.dcm")
    assert list(stacks(tmp_path)) == ["b=50", "b=800"]


def test_one_time_for_each_slice_is_no_reason_to_split(tmp_path):
    write_series(tmp_path, along(AXIAL, DISTANCES), AcquisitionTime=["101500", "101501", "101502", "101503"])
    assert list(stacks(tmp_path)) == [""]


def test_what_no_tag_tells_apart_stays_together_and_is_said(tmp_path):
    write_stack(tmp_path, 0)
    write_stack(tmp_path, 10)
    found = stacks(tmp_path)
    assert list(found) == [""]
    assert found[""].n_slices == 8
    volume = read_series(found[""])
    assert not volume.geometry.regular
    assert volume.geometry.spacing[0] == pytest.approx(3.0)
    assert (
        "Slices 0 and 1 (and perhaps others) lie at one place and no tag tells them apart" in volume.notes[0]
    )
    assert volume.notes[0] == found[""].note


def test_a_film_at_one_place_is_one_stack_in_time(tmp_path):
    write_series(tmp_path, [(0, 0, 5)] * 6, TriggerTime=[50.0, 10.0, 30.0, 20.0, 40.0, 60.0])
    (series,) = list_series(tmp_path)
    assert values_of(series) == [1, 3, 2, 4, 0, 5]
    volume = read_series(series)
    assert not volume.geometry.supports_3d
    assert "one place" in volume.notes[0]


def test_localisers_are_split_by_orientation(tmp_path):
    for value, orientation in ((0, AXIAL), (10, CORONAL), (20, SAGITTAL)):
        write_series(tmp_path, along(orientation, [0, 10, 20]), orientation, value=value, SliceThickness=10.0)
    found = stacks(tmp_path)
    assert sorted(found) == ["axial", "coronal", "sagittal"]
    for label, first in (("axial", 0), ("coronal", 10), ("sagittal", 20)):
        volume = read_series(found[label])
        assert volume.geometry.native_plane == label
        assert values_of(found[label]) == [first, first + 1, first + 2]


def test_different_sizes_and_pixel_sizes_are_split(tmp_path):
    write_stack(tmp_path, 0)
    write(tmp_path, "scout.dcm", plane(50, (4, 4)), ImagePositionPatient=[0.0, 0.0, 90.0])
    assert sorted(stacks(tmp_path)) == ["4 x 4", "8 x 6"]
    write(tmp_path, "zoom.dcm", plane(60), ImagePositionPatient=[0.0, 0.0, 90.0], PixelSpacing=[0.1, 0.1])
    assert sorted(stacks(tmp_path)) == [
        "4 x 4, 0.7 mm pixels",
        "8 x 6, 0.1 mm pixels",
        "8 x 6, 0.7 mm pixels",
    ]


def test_two_blocks_side_by_side_are_split(tmp_path):
    for value, x in ((0, -80.0), (10, 80.0)):
        write_series(tmp_path, along(AXIAL, DISTANCES, (x, 0, 0)), value=value, seed=value)
    found = stacks(tmp_path)
    assert list(found) == ["part 1 of 2", "part 2 of 2"]
    assert values_of(found["part 2 of 2"]) == [10, 11, 12, 13]


def test_copies_of_a_file_are_left_out(tmp_path):
    paths = write_series(tmp_path / "a", along(AXIAL, DISTANCES))
    (tmp_path / "b").mkdir()
    for path in paths:
        (tmp_path / "b" / path.name).write_bytes(path.read_bytes())
    (series,) = list_series(tmp_path)
    assert series.n_slices == 4
    assert read_series(series).geometry.regular


def test_two_patients_are_never_mixed(tmp_path):
    write_series(tmp_path, along(AXIAL, [0, 3]), value=0, PatientID="one")
    write_series(tmp_path, along(AXIAL, [6, 9]), value=10, PatientID="two")
    found = list_series(tmp_path)
    assert [series.n_slices for series in found] == [2, 2]
    assert len({series.uid for series in found}) == 2
    np.testing.assert_array_equal(sorted(values_of(found[0]) + values_of(found[1])), [0, 1, 10, 11])
