"""From a slice to a network's input and back; truth is an ellipse, numpy, or worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medseg.core.errors import GeometryError
from napari_medseg.core.geometry import Geometry
from napari_medseg.core.model import Preparation
from napari_medseg.core.volume import Volume
from napari_medseg.imaging.prepare import Frame, Span, frame_of, grey_limits, normalise, picture

P256 = Preparation()


def ellipse(shape: tuple[int, int], centre: tuple[float, float], radii: tuple[float, float]) -> np.ndarray:
    """Pixels whose middle lies in an ellipse given in pixel edges."""
    rows, columns = np.indices(shape) + 0.5
    return ((rows - centre[0]) / radii[0]) ** 2 + ((columns - centre[1]) / radii[1]) ** 2 <= 1


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def volume_of(array: np.ndarray, modality: str = "") -> Volume:
    return Volume(array, Geometry.of_pixels(array.shape[:3]), modality=modality)


WHOLE_AND_ZOOMED = [
    # shape, pixel (mm), span, centre, radii of the ellipse
    ((512, 512), (1.0, 1.0), None, (250.0, 260.0), (90.0, 140.0)),
    ((301, 487), (1.0, 1.0), None, (150.2, 230.7), (77.0, 131.0)),
    ((97, 61), (0.7, 2.1), None, (40.0, 30.0), (30.0, 20.0)),
    ((61, 97), (5.0, 0.5), None, (31.0, 50.0), (22.0, 40.0)),
    ((1023, 767), (1.0, 1.0), None, (500.0, 400.0), (300.0, 200.0)),
    ((512, 512), (1.0, 1.0), (96.0, 80.0, 224.0, 208.0), (160.0, 140.0), (40.0, 50.0)),
    ((512, 512), (0.5, 1.5), (0.0, 0.0, 130.0, 77.0), (60.0, 35.0), (41.0, 30.0)),
    ((511, 333), (1.0, 1.0), (401.0, 250.0, 511.0, 333.0), (450.0, 290.0), (44.0, 31.0)),
    ((40, 40), (1.0, 1.0), (3.0, 5.0, 37.0, 32.0), (20.0, 19.0), (12.0, 11.0)),
]


@pytest.mark.parametrize(("shape", "pixel", "span", "centre", "radii"), WHOLE_AND_ZOOMED)
@pytest.mark.parametrize("square", [True, False])
@pytest.mark.parametrize("reduced", [1, 4])
def test_what_is_placed_comes_back(
    shape: tuple[int, int],
    pixel: tuple[float, float],
    span: Span | None,
    centre: tuple[float, float],
    radii: tuple[float, float],
    square: bool,
    reduced: int,
) -> None:
    frame = frame_of(shape, Preparation(square_pixels=square), pixel, span)
    truth = ellipse(shape, centre, radii)
    canvas = frame.place(truth.astype(np.uint8) * 255).astype(np.float32) / 255
    s = frame.long_side // reduced
    small = canvas.reshape(s, reduced, s, reduced).mean((1, 3))  # a network answers on a coarser grid
    back = frame.take_back(small, shape, 0.0)
    assert back.shape == shape and back.dtype == np.float32
    assert dice(back >= 0.5, truth) > (0.98 if reduced == 1 else 0.95)


@pytest.mark.parametrize(("shape", "pixel", "span", "centre", "radii"), WHOLE_AND_ZOOMED)
def test_points_land_where_the_picture_does(
    shape: tuple[int, int],
    pixel: tuple[float, float],
    span: Span | None,
    centre: tuple[float, float],
    radii: tuple[float, float],
) -> None:
    frame = frame_of(shape, P256, pixel, span)
    canvas = frame.place(ellipse(shape, centre, radii).astype(np.float32))
    rows, columns = np.indices(canvas.shape) + 0.5
    seen = np.array([(canvas * rows).sum(), (canvas * columns).sum()]) / canvas.sum()
    expected = frame.to_canvas(np.array([centre]))[0]
    np.testing.assert_allclose(
        seen, expected, atol=0.5
    )  # canvas pixels; the ellipse itself is in whole pixels
    top, left, bottom, right = frame.span
    edges = frame.to_canvas(np.array([(top, left), (bottom, right)]))
    np.testing.assert_allclose(edges, [(0, 0), frame.size])


@given(
    st.tuples(st.integers(1, 700), st.integers(1, 700)),
    st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)),
    st.booleans(),
)
def test_the_long_side_fills_the_canvas(
    shape: tuple[int, int], pixel: tuple[float, float], square: bool
) -> None:
    frame = frame_of(shape, Preparation(square_pixels=square), pixel)
    assert max(frame.size) == 256 and min(frame.size) >= 1
    height, width = np.array(shape) * (pixel if square else (1.0, 1.0))
    assert frame.size[0] == pytest.approx(256 * height / max(height, width), abs=1)
    assert frame.size[1] == pytest.approx(256 * width / max(height, width), abs=1)


def test_a_gradient_keeps_its_place() -> None:
    # A ramp is reproduced by bilinear scaling, but for the border: its value at a pixel is its position.
    ramp = np.repeat((np.arange(64, dtype=np.float32) + 0.5)[:, None], 48, axis=1)
    frame = frame_of((64, 48), P256)
    canvas = frame.place(ramp)
    np.testing.assert_allclose(canvas[4:-4, 10], (np.arange(256) + 0.5)[4:-4] / 4, atol=1e-4)
    assert not canvas[:, frame.size[1] :].any()  # the rest of the canvas is 0
    np.testing.assert_allclose(
        frame.take_back(canvas, (64, 48), 0.0)[2:-2, 2:-2], ramp[2:-2, 2:-2], atol=1e-3
    )


@pytest.mark.parametrize("reduced", [1, 4])
@pytest.mark.parametrize("shape", [(200, 131), (131, 200)])
def test_the_empty_part_of_the_canvas_does_not_bleed_into_the_slice(
    shape: tuple[int, int], reduced: int
) -> None:
    frame = frame_of(shape, P256)
    canvas = np.full((256 // reduced, 256 // reduced), -20.0, np.float32)
    rows, columns = (-(-n // reduced) for n in frame.size)
    canvas[:rows, :columns] = 3.0
    np.testing.assert_allclose(frame.take_back(canvas, shape, -20.0), 3.0, atol=1e-5)


def test_outside_the_part_looked_at_nothing_is_said() -> None:
    frame = frame_of((100, 100), P256, span=(20.0, 30.0, 60.0, 80.0))
    back = frame.take_back(np.ones((256, 256), np.float32), (100, 100), -20.0)
    assert (back[20:60, 30:80] == 1).all()
    back[20:60, 30:80] = -20
    assert (back == -20).all()


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ((10.4, 5.0, 20.0, 29.6), (10.0, 5.0, 20.0, 30.0)),
        ((-7.0, -0.5, 200.0, 12.5), (0.0, 0.0, 40.0, 13.0)),
        ((39.2, 49.9, np.inf, np.inf), (39.0, 49.0, 40.0, 50.0)),
    ],
)
def test_parts_are_widened_to_whole_pixels_and_cut_to_the_slice(span: Span, expected: Span) -> None:
    frame = frame_of((40, 50), P256, span=span)
    assert frame.span == expected
    assert frame.place(np.zeros((40, 50), np.uint8)).shape == (256, 256)
    assert frame.take_back(np.ones((64, 64), np.float32), (40, 50), 0.0).shape == (40, 50)


@pytest.mark.parametrize(
    "span", [(0, 0, 0, 9), (9, 9, 3, 12), (40, 0, 50, 9), (0, -9, 9, 0), (0, 0, np.nan, 9), (np.nan, 0, 9, 9)]
)
def test_parts_that_hold_no_pixel_are_refused(span: Span) -> None:
    with pytest.raises(GeometryError, match="does not lie on a slice"):
        frame_of((40, 50), P256, span=span)


def test_frames_are_keys() -> None:
    assert frame_of((40, 50), P256) == Frame((0.0, 0.0, 40.0, 50.0), (205, 256), 256)
    assert len({frame_of((40, 50), P256), frame_of((40, 50), P256)}) == 1


def test_ct_has_the_models_window() -> None:
    hounsfield = volume_of(np.linspace(-1000, 3000, 480).reshape(2, 12, 20).astype(np.int16), "CT")
    assert grey_limits(hounsfield, P256) == (-160.0, 240.0)
    eight_bit = volume_of((hounsfield.array // 16).astype(np.uint8), "CT")  # Hounsfield units are gone
    assert grey_limits(eight_bit, P256) != (-160.0, 240.0)
    assert grey_limits(volume_of(hounsfield.array, "MR"), P256) != (-160.0, 240.0)


@given(st.integers(0, 1000), st.sampled_from([np.uint8, np.int16, np.uint16, np.float32, np.float64]))
def test_other_images_have_percentiles(seed: int, kind: type) -> None:
    array = (np.random.default_rng(seed).random((3, 20, 20)) * 250).astype(kind)
    low, high = grey_limits(volume_of(array, "MR"), P256)
    assert (low, high) == pytest.approx(np.percentile(array, (0.5, 99.5)), rel=1e-5)


@pytest.mark.parametrize("value", [0.0, 5.0, -3000.0, 1e20])
def test_an_image_of_one_value_is_black_and_divides_by_nothing(value: float) -> None:
    volume = volume_of(np.full((1, 4, 4), value, np.float32))
    low, high = grey_limits(volume, P256)
    assert low < high and np.float32(low) < np.float32(high)
    assert not picture(volume, "axial", 0, (low, high)).any()


def test_values_that_are_not_numbers_are_black_and_do_not_count() -> None:
    array = np.linspace(100, 200, 64, dtype=np.float32).reshape(1, 8, 8)
    array[0, 0, :3] = np.nan, -np.inf, np.inf
    limits = grey_limits(volume_of(array), P256)
    assert 100 < limits[0] < limits[1] <= 200
    shown = picture(volume_of(array), "axial", 0, limits)
    assert shown[0, :3, 0].tolist() == [0, 0, 255]
    nothing = volume_of(np.full((1, 4, 4), np.nan, np.float32))
    assert grey_limits(nothing, P256) == (0.0, 1.0)
    assert not picture(nothing, "axial", 0, (0.0, 1.0)).any()


def test_large_images_are_sampled_all_over() -> None:
    # 2048 columns, so that a step of 2 or 4 would see the same columns in each row.
    columns = np.tile(np.arange(2048, dtype=np.int16) % 2 * 1000, (1, 4100, 1))
    assert grey_limits(volume_of(columns, "MR"), P256) == (0.0, 1000.0)


def test_grey_becomes_three_channels_stretched_between_the_limits() -> None:
    array = np.array([[[-50.0, 0.0, 25.0, 100.0, 999.0]]])
    shown = picture(volume_of(array), "axial", 0, (0.0, 100.0))
    assert shown.dtype == np.uint8 and shown.shape == (1, 5, 3)
    assert shown[0].tolist() == [[v] * 3 for v in (0, 0, 64, 255, 255)]


@pytest.mark.parametrize("n_channels", [3, 4])
def test_colours_stay_and_transparency_goes(n_channels: int) -> None:
    array = np.random.default_rng(0).integers(0, 256, (2, 5, 7, n_channels)).astype(np.uint8)
    volume = volume_of(array)
    np.testing.assert_array_equal(picture(volume, "axial", 1, (0.0, 255.0)), array[1, ..., :3])
    np.testing.assert_array_equal(picture(volume, "coronal", 4, (0.0, 255.0)), array[:, 4, :, :3])
    opaque = array.copy()
    opaque[..., 3:] = 255
    assert grey_limits(volume_of(opaque), P256) == pytest.approx(np.percentile(array[..., :3], (0.5, 99.5)))


def test_of_two_channels_the_first_is_shown_and_counts() -> None:
    array = np.stack([np.arange(35).reshape(1, 5, 7), np.full((1, 5, 7), 9000)], axis=-1).astype(np.int16)
    volume = volume_of(array)
    low, high = grey_limits(volume, P256)
    assert high < 35
    shown = picture(volume, "axial", 0, (0.0, 255.0))
    np.testing.assert_array_equal(shown, np.repeat(array[0, ..., :1], 3, axis=2))


def test_normalised_worked_by_hand() -> None:
    canvas = np.zeros((4, 4, 3), np.uint8)
    canvas[1, 2] = (255, 51, 0)
    result = normalise(canvas, Preparation(mean=(0.5, 0.1, 0.0), std=(0.5, 0.2, 1.0)))
    assert result.shape == (3, 4, 4) and result.dtype == np.float32 and result.flags.c_contiguous
    np.testing.assert_allclose(result[:, 1, 2], [1.0, 0.5, 0.0], atol=1e-6)
    np.testing.assert_allclose(result[:, 0, 0], [-1.0, -0.5, 0.0], atol=1e-6)
