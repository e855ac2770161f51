"""Tables of an arm's word about itself, on rows whose truth is known."""

import numpy as np
import pytest

from napari_medseg.benchmarks.doubt import area_under_curve, lines_of_doubt, reliability
from napari_medseg.benchmarks.harness import Row, SetInfo
from napari_medseg.benchmarks.plot import plot

SETS = (SetInfo("home", "seen", 9, 100, "px"), SetInfo("away", "unseen", 9, 100, "px"))


def rows_of(n: int, expected: float, dice: float, name: str = "home", strange: float = 0.5) -> list[Row]:
    """Answers that all expect the same; every fifth lies below the interval of 0.1 either way."""
    return [
        Row(
            name, f"{i}.png", f"g{i}", "s", f"t{i}", "box", "sam",
            dice=dice - 0.2 * (i % 5 == 0), surface_dice=0, hd95=0, seconds=1,
            expected=expected, low=expected - 0.1, high=expected + 0.1, strange=strange,
        )
        for i in range(n)
    ]  # fmt: skip


def test_error_and_coverage_are_what_the_rows_say() -> None:
    """Truth: by hand. Expected 0.8, real 0.84 - 0.04 = 0.8 on the mean; one in five outside."""
    line = next(line for line in lines_of_doubt(rows_of(100, 0.8, 0.84), SETS) if "| sam" in line)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:6] == ["sam", "box", "seen", "100", "0.800", "0.800"]
    assert cells[7:] == ["80 %", "0.20", ""]
    assert float(cells[6]) == pytest.approx(0.0, abs=0.05)


def test_a_boastful_arm_shows() -> None:
    curve = reliability([*rows_of(50, 0.9, 0.54), *rows_of(50, 0.3, 0.34)])["box"]
    assert len(curve) == 10
    assert curve[0] == pytest.approx((0.3, 0.3)) and curve[-1] == pytest.approx((0.9, 0.5))


def test_foreign_images_are_counted_once() -> None:
    rows = [*rows_of(50, 0.8, 0.8), *rows_of(50, 0.8, 0.8), *rows_of(20, 0.8, 0.8, "away", 1.4)]
    text = "\n".join(lines_of_doubt(rows, SETS))
    assert "Of 50 test images of seen sets 0 % are called foreign" in text
    assert "| away | 20 | 100 % | 1.00 |" in text


def test_nothing_said_nothing_told() -> None:
    row = Row("home", "a", "g", "s", "t", "box", "ellipse", 1, 1, 0, 1)
    assert lines_of_doubt([row], SETS) == [] and reliability([row]) == {}


def test_area_under_the_curve() -> None:
    """Truth: scikit-learn's definition by pairs, written out for a few numbers."""
    assert area_under_curve([1, 2, 3], [2, 4]) == pytest.approx((1 + 0.5 + 0 + 3) / 6)
    values = np.random.default_rng(0).normal(size=(2, 500))
    assert area_under_curve(list(values[0]), list(values[1])) == pytest.approx(0.5, abs=0.05)


def test_a_plot_is_svg_with_every_point() -> None:
    import xml.etree.ElementTree as ET

    drawing = plot("A < B", "x", "y", {"one": [(0.0, 0.0), (1.0, 1.0)], "two": [(0.5, 0.5)]}, diagonal=True)
    root = ET.fromstring(drawing)
    circles = [item for item in root.iter() if item.tag.endswith("circle")]
    assert len(circles) == 3
    low, high = circles[0].attrib, circles[1].attrib
    assert float(high["cx"]) > float(low["cx"]) and float(high["cy"]) < float(low["cy"])
