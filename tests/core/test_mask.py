"""Outlined structures; truth is a dictionary of boolean arrays that nothing is shared between."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medseg.core.errors import GeometryError, TaskError
from napari_medseg.core.geometry import PLANES, Geometry, Plane, from_spacing, slab
from napari_medseg.core.mask import EVERYWHERE, Mask, Provenance, Where
from napari_medseg.core.structure import Structure, colour_of

SHAPE = (3, 4, 5)
GRID = Geometry(SHAPE, from_spacing((2.0, 1.0, 0.5)))
NAMES = ("liver", "tumour", "spleen")


def blank(*names: str, grid: Geometry = GRID) -> Mask:
    return Mask.empty(grid, [Structure(name, colour_of(i)) for i, name in enumerate(names)])


def some(seed: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < 0.4


def check(mask: Mask, truth: dict[str, np.ndarray]) -> None:
    assert set(mask.names) == set(truth)
    for name, region in truth.items():
        np.testing.assert_array_equal(mask.of(name), region, err_msg=name)


@st.composite
def parts(draw: st.DrawFn) -> Where:
    """Draw a part of the grid; it may be empty, one slice, or everything."""
    ends = [sorted(draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in SHAPE]
    z, y, x = (slice(*pair) if draw(st.booleans()) else slice(None) for pair in ends)
    return z, y, x


SEEDS = st.integers(0, 10_000)
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(NAMES), parts(), SEEDS),
        st.tuples(st.just("slice"), st.sampled_from(NAMES), st.sampled_from(PLANES), SEEDS),
        st.tuples(st.just("remove"), st.sampled_from(NAMES), st.none(), SEEDS),
        st.tuples(st.just("paste"), st.sampled_from(NAMES), st.integers(0, 2), SEEDS),
        st.tuples(st.just("rename"), st.sampled_from(NAMES), st.none(), SEEDS),
    ),
    max_size=14,
)


def act(mask: Mask, truth: dict[str, np.ndarray], kind: str, name: str, where: object, seed: int) -> Mask:
    """Do one thing to a mask and to the dictionary."""
    if name not in truth:
        truth[name] = np.zeros(SHAPE, bool)
        mask = mask.add(Structure(name))
    if kind == "put":
        region = some(seed, truth[name][where].shape)
        truth[name][where] = region
        return mask.put(name, region, where)
    if kind == "slice":
        index = seed % GRID.n_slices(where)
        here = [slice(None)] * 3
        here[PLANES.index(where)] = index
        region = some(seed, truth[name][tuple(here)].shape)
        truth[name][tuple(here)] = region
        return mask.put_slice(name, where, index, region)
    if kind == "remove":
        del truth[name]
        return mask.remove(name)
    if kind == "rename":
        if "renamed" in truth:
            return mask
        truth["renamed"] = truth.pop(name)
        return mask.update(name, Structure("renamed"))
    part = blank(name, "pasted", grid=GRID.crop((where, 0, 1), (3, 2, 5)))
    part = part.put(name, some(seed, part.geometry.shape)).put("pasted", some(seed + 1, part.geometry.shape))
    truth.setdefault("pasted", np.zeros(SHAPE, bool))
    for each in part.names:
        truth[each][where:3, 0:2, 1:5] = part.of(each)
    return mask.paste(part, (where, 0, 1))


@given(ACTS)
def test_whatever_is_done_to_a_structure_no_other_one_changes(acts: list[tuple]) -> None:
    mask, truth = blank(*NAMES), {name: np.zeros(SHAPE, bool) for name in NAMES}
    for step in acts:
        mask = act(mask, truth, *step)
        check(mask, truth)


@given(ACTS, ACTS)
def test_a_copy_stays_as_it_was(before: list[tuple], after: list[tuple]) -> None:
    mask, truth = blank(*NAMES), {name: np.zeros(SHAPE, bool) for name in NAMES}
    for step in before:
        mask = act(mask, truth, *step)
    kept, kept_truth = mask.copy(), {name: region.copy() for name, region in truth.items()}
    for step in after:
        mask = act(mask, truth, *step)
    check(kept, kept_truth)


def test_structures_share_a_label_array_until_they_overlap() -> None:
    mask = blank("liver", "spleen")
    left, right = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    left[:, :, :2], right[:, :, 3:] = True, True
    mask = mask.put("liver", left).put("spleen", right)
    assert len(mask.arrays) == 1
    mask = mask.put("spleen", left)
    assert len(mask.arrays) == 2
    check(mask, {"liver": left, "spleen": left})


def test_more_structures_than_a_label_array_has_values() -> None:
    mask = blank(*(f"cell {n}" for n in range(300)))
    assert len(mask.arrays) == 2
    region = np.zeros(SHAPE, bool)
    region[1, 2, 3] = True
    mask = mask.put("cell 0", region).put("cell 299", region)
    assert mask.of("cell 299").sum() == mask.of("cell 0").sum() == 1
    assert not mask.of("cell 44").any()


def test_names_are_unique_and_not_empty() -> None:
    mask = blank("liver", "spleen")
    with pytest.raises(TaskError, match="called 'liver' already"):
        mask.add(Structure("liver"))
    with pytest.raises(TaskError, match="called 'liver' already"):
        mask.update("spleen", Structure("liver"))
    with pytest.raises(TaskError, match="no structure 'heart'; it has: liver, spleen"):
        mask.update("heart", Structure("heart"))
    with pytest.raises(TaskError, match="needs a name"):
        mask.update("spleen", replace(mask.structure("spleen"), name=" "))
    for ask in (mask.of, mask.remove, mask.ml, mask.structure):
        with pytest.raises(TaskError, match="no structure 'heart'"):
            ask("heart")
    with pytest.raises(TaskError, match="it has: none"):
        Mask(GRID).of("heart")


def test_a_new_name_keeps_voxels_place_history_and_order() -> None:
    mask = blank(*NAMES).put("tumour", some(1)).record(Provenance("tumour", "axial", 0, "by hand"))
    renamed = mask.update("tumour", Structure("lesion", (1, 2, 3), locked=True))
    assert renamed.names == ("liver", "lesion", "spleen")
    np.testing.assert_array_equal(renamed.of("lesion"), some(1))
    assert renamed.structure("lesion").locked and renamed.structure("lesion").colour == (1, 2, 3)
    assert [p.structure for p in renamed.provenance] == ["lesion"]


def test_a_removed_structure_takes_its_history_and_the_looks_it_alone_got() -> None:
    mask = blank("liver", "tumour").review("axial", (0, 1, 2)).review("sagittal", (3,))
    mask = mask.record(
        Provenance("tumour", "axial", 0, "by hand"),
        Provenance("tumour", "axial", 1, "sam"),
        Provenance("liver", "axial", 1, "sam"),
        Provenance("tumour", "axial", None, "file"),
    )
    removed = mask.remove("tumour")
    assert [p.structure for p in removed.provenance] == ["liver"]
    # Slice 0 was looked at for the tumour alone; slice 1 for the liver too; nobody says for whom slice 2 was.
    assert removed.reviewed == {"axial": {1, 2}, "sagittal": {3}}
    again = removed.add(Structure("tumour"))
    assert not again.of("tumour").any() and not [p for p in again.provenance if p.structure == "tumour"]
    assert mask.reviewed["axial"] == {0, 1, 2}


def test_regions_of_another_shape_are_refused_and_change_nothing() -> None:
    mask = blank("liver").put("liver", some(2))
    for region, where in (
        (some(0, (3, 4, 4)), EVERYWHERE),
        (some(0), slab(0, 0, 1)),
        (some(0), slab(0, 2, 5)),
    ):
        with pytest.raises(GeometryError, match="does not fit"):
            mask.put("liver", region, where)
    with pytest.raises(GeometryError, match="does not fit"):
        mask.put_slice("liver", "axial", 0, some(0, (5, 4)))
    check(mask, {"liver": some(2)})


def test_numbers_in_place_of_booleans_are_read_as_booleans() -> None:
    # A mask of 0 and 1 as uint8 would otherwise be taken for indices.
    mask = blank("liver").put("liver", some(3).astype(np.uint8))
    check(mask, {"liver": some(3)})


@pytest.mark.parametrize("plane", PLANES)
def test_slices_outside_are_refused(plane: Plane) -> None:
    mask = blank("liver")
    n = SHAPE[PLANES.index(plane)]
    shape = tuple(size for axis, size in enumerate(SHAPE) if axis != PLANES.index(plane))
    for index in (-1, n):
        with pytest.raises(GeometryError, match=f"no {plane} slice {index}"):
            mask.on_slice("liver", plane, index)
        with pytest.raises(GeometryError, match=f"no {plane} slice {index}"):
            mask.put_slice("liver", plane, index, np.ones(shape, bool))
        with pytest.raises(GeometryError, match=f"no {plane} slice {index}"):
            mask.review(plane, (0, index))


@pytest.mark.parametrize("plane", PLANES)
def test_slices_are_numpys(plane: Plane) -> None:
    mask = blank("liver").put("liver", some(4))
    axis = PLANES.index(plane)
    for index in range(SHAPE[axis]):
        np.testing.assert_array_equal(
            mask.on_slice("liver", plane, index), np.take(some(4), index, axis=axis)
        )


def test_pictures_have_masks_too() -> None:
    picture = Geometry.of_pixels((1, 1, 6))
    mask = blank("cell", grid=picture).put_slice("cell", "axial", 0, np.ones((1, 6), bool))
    assert mask.on_slice("cell", "axial", 0).shape == (1, 6)
    assert mask.on_slice("cell", "sagittal", 3).shape == (1, 1)


def test_reviewed_slices_come_and_go() -> None:
    mask = blank("liver").review("axial", iter((0, np.int64(2)))).review("coronal", (1,))
    assert mask.reviewed == {"axial": {0, 2}, "coronal": {1}}
    assert all(type(index) is int for index in mask.reviewed["axial"])  # for JSON
    assert mask.review("axial", (0, 1), reviewed=False).reviewed["axial"] == {2}


def test_history_is_appended() -> None:
    first, second = (Provenance("liver", "axial", i, "sam", settings={"cut": 0.5}) for i in range(2))
    assert blank("liver").record(first).record(second).provenance == (first, second)


def test_millilitres_worked_by_hand() -> None:
    region = np.zeros(SHAPE, bool)
    region[0, :2, :3] = True
    assert blank("liver").put("liver", region).ml("liver") == pytest.approx(6 * (2.0 * 1.0 * 0.5) / 1000)


@given(SEEDS, st.permutations(NAMES))
def test_on_a_flat_map_the_later_one_wins(seed: int, order: list[str]) -> None:
    mask, truth = blank(*NAMES), np.zeros(SHAPE, np.uint16)
    for i, name in enumerate(NAMES):
        mask = mask.put(name, some(seed + i))
    for value, name in enumerate(order, start=1):
        truth[mask.of(name)] = value
    np.testing.assert_array_equal(mask.flat(order), truth)
    assert mask.flat().dtype == np.uint16
    np.testing.assert_array_equal(mask.flat(["spleen"]), mask.of("spleen"))
    with pytest.raises(TaskError, match="no structure 'heart'"):
        mask.flat(["heart"])


KINDS = (np.uint8, np.uint16, np.int16, np.int32, np.int64, np.float32)


@given(SEEDS, st.sampled_from(KINDS), st.integers(1, 300))
def test_flat_maps_come_back(seed: int, kind: type, n: int) -> None:
    n = min(n, np.iinfo(np.uint8).max) if kind is np.uint8 else n
    labels = np.random.default_rng(seed).integers(0, n + 1, SHAPE).astype(kind)
    mask = Mask.from_labels(labels, GRID, {value: f"class {value}" for value in range(n + 1)})
    assert mask.names == tuple(f"class {value}" for value in range(1, n + 1))  # 0 is background
    np.testing.assert_array_equal(mask.flat(), labels)


def test_class_numbers_far_apart_keep_their_voxels() -> None:
    labels = np.zeros(SHAPE, np.int64)
    labels[0, 0, 0], labels[1, 1, 1], labels[2, 2, 2] = 7, 10**9, -4
    mask = Mask.from_labels(labels, GRID)
    assert mask.names == ("label 7", "label 1000000000")  # below 0 is background
    np.testing.assert_array_equal(mask.of("label 1000000000"), labels == 10**9)
    assert np.count_nonzero(mask.flat()) == 2


def test_classes_without_a_name_are_called_by_number_and_not_lost() -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[0, 0, :3] = (1, 2, 4)
    mask = Mask.from_labels(labels, GRID, {2: "liver", 9: "not there"})
    assert mask.names == ("label 1", "liver", "label 4", "not there")
    np.testing.assert_array_equal(mask.of("liver"), labels == 2)
    assert not mask.of("not there").any()


def test_label_maps_that_are_none_are_refused() -> None:
    with pytest.raises(GeometryError, match="does not lie on the image's grid"):
        Mask.from_labels(np.zeros((3, 4, 4), np.uint8), GRID)
    with pytest.raises(TaskError, match="not whole numbers"):
        Mask.from_labels(np.full(SHAPE, 0.5), GRID)
    with pytest.raises(TaskError, match="not whole numbers"):
        Mask.from_labels(np.full(SHAPE, np.nan), GRID)
    with pytest.raises(TaskError, match="called 'a' already"):
        Mask.from_labels(np.zeros(SHAPE, np.uint8), GRID, {1: "a", 2: "a"})
    assert Mask.from_labels(np.zeros(SHAPE, np.uint8), GRID).structures == ()


@pytest.mark.parametrize("start", [(0, 0, 1), (-1, 0, 0), (1, 0, 0)])
def test_pasting_beyond_the_image_is_refused(start: tuple[int, int, int]) -> None:
    with pytest.raises(GeometryError, match="beyond the image"):
        blank("liver").paste(blank("liver"), start)


def test_pasting_swapped_structures_needs_no_new_label_array() -> None:
    one, other = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    one[:, :, :2], other[:, :, 3:] = True, True
    mask = blank("liver", "spleen").put("liver", one).put("spleen", other)
    mask = mask.paste(blank("liver", "spleen").put("liver", other).put("spleen", one))
    assert len(mask.arrays) == 1
    check(mask, {"liver": other, "spleen": one})


@pytest.mark.parametrize(
    "damage",
    [
        {"arrays": ()},
        {"arrays": (np.zeros((3, 4, 4), np.uint8),)},
        {"arrays": (np.zeros(SHAPE, np.uint16),)},
        {"places": {}},
        {"places": {"liver": (0, 1), "heart": (0, 2)}},
        {"places": {"liver": (0, 1), "spleen": (0, 1)}},
        {"places": {"liver": (0, 1), "spleen": (0, 0)}},
        {"places": {"liver": (0, 1), "spleen": (1, 1)}},
    ],
)
def test_a_damaged_mask_is_refused(damage: dict) -> None:
    with pytest.raises((GeometryError, TaskError), match="mask is damaged"):
        replace(blank("liver", "spleen"), **damage)


def test_a_stroke_on_a_large_volume_costs_a_slice() -> None:
    """Below 5 ms on an idle machine; here in processor time and with room for a busy one."""
    import time

    mask = blank("liver", "spleen", grid=Geometry((400, 512, 512), np.eye(4)[:, [2, 1, 0, 3]]))
    for plane, shape in zip(PLANES, ((512, 512), (400, 512), (400, 512)), strict=True):
        region = np.zeros(shape, bool)
        region[100:300, 50:200] = True
        mask.put_slice("liver", plane, 255, region)
        started = time.process_time()
        for index in range(256, 266):
            assert mask.put_slice("liver", plane, index, region) is mask
        assert (time.process_time() - started) / 10 < 0.02
