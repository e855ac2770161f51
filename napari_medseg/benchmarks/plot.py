"""Curves as SVG, readable on light and on dark pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999")  # Okabe and Ito
_WIDTH, _HEIGHT, _LEFT, _TOP, _SIDE = 620, 380, 60, 40, 300
Points = Sequence[tuple[float, float]]


def plot(
    title: str,
    across: str,
    up: str,
    curves: Mapping[str, Points],
    x: tuple[float, float] = (0.0, 1.0),
    y: tuple[float, float] = (0.0, 1.0),
    diagonal: bool = False,
) -> str:
    """Draw curves, each with its points and its name.

    Parameters
    ----------
    across, up : str
        What the axes mean.
    curves : Mapping
        Name to points (x, y), in order.
    x, y : (low, high)
        What the axes span.
    diagonal : bool
        Whether the line y = x is drawn, where perfect calibration would lie.
    """

    def place(point: tuple[float, float]) -> tuple[float, float]:
        right = _LEFT + (point[0] - x[0]) / (x[1] - x[0]) * (_SIDE + 60)
        down = _TOP + (1 - (point[1] - y[0]) / (y[1] - y[0])) * _SIDE
        return round(right, 1), round(down, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="24" font-size="14">{escape(title)}</text>',
        f'<text x="{_LEFT + 110}" y="{_HEIGHT - 6}">{escape(across)}</text>',
        f'<text transform="translate(16 {_TOP + 200}) rotate(-90)">{escape(up)}</text>',
    ]
    for step in range(6):
        for low, high, along in ((*x, True), (*y, False)):
            value = low + (high - low) * step / 5
            first, last = ((value, y[0]), (value, y[1])) if along else ((x[0], value), (x[1], value))
            parts.append(_line([place(first), place(last)], "#dddddd", 1))
            right, down = place(first)
            where = f'x="{right - 8}" y="{down + 16}"' if along else f'x="{right - 34}" y="{down + 4}"'
            parts.append(f"<text {where}>{value:.3g}</text>")
    if diagonal:
        parts.append(
            _line([place((x[0], x[0])), place((x[1], x[1]))], "#777777", 1, ' stroke-dasharray="4 4"')
        )
    for number, (name, points) in enumerate(curves.items()):
        colour, placed = _COLOURS[number % len(_COLOURS)], [place(point) for point in points]
        parts.append(_line(placed, colour, 2))
        parts += [f'<circle cx="{right}" cy="{down}" r="3" fill="{colour}"/>' for right, down in placed]
        down = _TOP + 14 + 20 * number
        parts.append(_line([(_LEFT + _SIDE + 76, down - 4), (_LEFT + _SIDE + 96, down - 4)], colour, 3))
        parts.append(f'<text x="{_LEFT + _SIDE + 102}" y="{down}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"])


def _line(points: Points, colour: str, width: float, more: str = "") -> str:
    """A line through points on the page."""
    path = " ".join(f"{right},{down}" for right, down in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{more}/>'
