"""Tables: averages and differences computed by hand, from rows made up here."""

import json
from pathlib import Path

import pytest

from napari_medseg.benchmarks.harness import Row, SetInfo
from napari_medseg.benchmarks.table import Table


def row(
    where: str,
    image: int,
    arm: str,
    dice: float,
    structure: str = "x",
    target: str = "t",
    part: str = "box",
    clicks: int = 0,
) -> Row:
    """A row of a set; each image is its own patient."""
    name, patient, far = f"{image}.png", f"patient {image}", 10 * (1 - dice)
    return Row(where, name, patient, structure, target, part, arm, dice, dice, far, 0.2, clicks)


def info(name: str, role: str = "seen", n_groups: int = 6, unit: str = "px", apart: bool = False) -> SetInfo:
    """A set."""
    return SetInfo(name, role, n_groups, n_groups, unit, apart)


def table(rows: list[Row], *sets: SetInfo) -> Table:
    """A table of some rows."""
    return Table("Made up", {"preset": "test", "seed": 0, "commit": "abc"}, sets, tuple(rows))


def test_targets_then_structures_then_images_then_sets_are_averaged() -> None:
    rows = [
        row("a", 0, "sam", 1.0, structure="disc", target="1"),
        row("a", 0, "sam", 0.0, structure="disc", target="2"),
        row("a", 0, "sam", 0.1, structure="cup", target="3"),  # image 0: (0.5 + 0.1) / 2 = 0.3
        row("a", 1, "sam", 0.7),
        row("b", 0, "sam", 0.9),
        row("few", 0, "sam", 0.0),
        row("cxr_opacity", 0, "sam", 0.0),
    ]
    made = table(rows, info("a"), info("b"), info("few", n_groups=4), info("cxr_opacity", apart=True))
    assert made.interval("box", "sam", ("a",)).mean == pytest.approx(0.5)
    assert made.averaged("seen") == ("a", "b")
    assert made.interval("box", "sam", made.averaged("seen")).mean == pytest.approx(0.7)


def test_differences_take_the_images_both_arms_have() -> None:
    rows = [row("a", n, "ellipse", 0.5) for n in range(8)]
    rows += [row("a", n, "sam", 0.6 + n / 100) for n in range(6)]
    made = table(rows, info("a", n_groups=8))
    difference = made.interval("box", "sam", ("a",), minus="ellipse")
    assert difference.n == 6
    assert difference.mean == pytest.approx(0.125)
    assert 0.1 < difference.low < difference.mean < difference.high < 0.15
    assert difference.verdict() == "better"


def test_an_arm_that_answers_fewer_sets_is_said() -> None:
    rows = [row("a", 0, "later", 0.5), row("a", 0, "sam", 0.6), row("b", 0, "sam", 0.8)]
    rows += [row("b", 1, "sam", 0.8)]
    text = "\n".join(table(rows, info("a"), info("b")).lines())
    assert "| b | seen | 2 | 2 |  | 0.800 |" in text
    assert "| **mean seen** | seen | 3 | 3 | **0.500** (1 of 2 sets) | **0.700** |" in text
    assert "| later | seen (1 of 2 sets) | 0.500" in text and "nan" not in text
    together = table(rows, info("a"), info("b")).interval("box", "sam", ("a", "b"), pooled=True)
    assert (together.mean, together.n_groups) == (pytest.approx((0.6 + 0.8 + 0.8) / 3), 3)


def test_distances_in_mm_and_in_pixels_are_never_averaged_together() -> None:
    made = table([row("a", 0, "sam", 0.5), row("v", 0, "sam", 0.9)], info("a"), info("v", unit="mm"))
    assert made.averaged("seen", "hd95") == ("a",)
    assert made.averaged("seen") == ("a", "v")


def test_curve_counts_objects_by_clicks_and_averages_sets() -> None:
    clicks = {"a": [1, 3, 99, 10], "b": [2, 2]}
    rows = [
        row(name, n, "sam", 0.9, part="5 clicks", clicks=count)
        for name, counts in clicks.items()
        for n, count in enumerate(counts)
    ]
    made = table(rows, info("a"), info("b"))
    assert [made.reaching("sam", "seen", n) for n in (1, 2, 3, 10)] == [0.125, 0.625, 0.75, 0.875]
    text = "\n".join(made.lines())
    assert "| sam | seen | 12 % | 62 % | 75 % |" in text


def test_markdown_names_the_run_and_marks_what_is_not_averaged(tmp_path: Path) -> None:
    rows = [row(name, n, arm, 0.8) for name in ("a", "few") for n in range(6) for arm in ("ellipse", "sam")]
    made = table(rows, info("a"), info("few", n_groups=4))
    text = "\n".join(made.lines())
    assert "commit abc" in text
    assert "Every image is its own group in: a, few." in text
    assert "| *few* (4 groups in the split) | seen | 6 |" in text
    assert "| **mean seen** | seen | 6 | 6 | **0.800** | **0.800** |" in text
    assert "| ellipse | +0.000 [+0.000, +0.000] | too few to tell |" in text
    made.save(tmp_path)
    record = json.loads((tmp_path / "table.json").read_text())
    means = [cell for cell in record["cells"] if cell["sets"] == "seen"]
    assert [cell["dice"]["mean"] for cell in means] == pytest.approx([0.8, 0.8])
    assert (tmp_path / "table.md").read_text() == text
