"""Curves as SVG, readable on light and on dark pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999")  # Okabe and Ito
_WIDTH, _HEIGHT, _LEFT, _TOP, _SIDE = 620, 380, 60, 40, 300
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class _Frame:
    """What the axes span, and where that lies on the page."""

    x: tuple[float, float]
    y: tuple[float, float]

    def place(self, point: tuple[float, float]) -> tuple[float, float]:
        """A point of the plot on the page, (right, down)."""
        right = _LEFT + (point[0] - self.x[0]) / (self.x[1] - self.x[0]) * (_SIDE + 60)
        down = _TOP + (1 - (point[1] - self.y[0]) / (self.y[1] - self.y[0])) * _SIDE
        return round(right, 1), round(down, 1)


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
    frame = _Frame(x, y)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="24" font-size="14">{escape(title)}</text>',
        f'<text x="{_LEFT + 110}" y="{_HEIGHT - 6}">{escape(across)}</text>',
        f'<text transform="translate(16 {_TOP + 200}) rotate(-90)">{escape(up)}</text>',
        *_grid(frame),
    ]
    if diagonal:
        ends = [frame.place((x[0], x[0])), frame.place((x[1], x[1]))]
        parts.append(_line(ends, "#777777", 1, ' stroke-dasharray="4 4"'))
    for number, (name, points) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        parts += _curve([frame.place(point) for point in points], colour)
        down = _TOP + 14 + 20 * number
        parts.append(_line([(_LEFT + _SIDE + 76, down - 4), (_LEFT + _SIDE + 96, down - 4)], colour, 3))
        parts.append(f'<text x="{_LEFT + _SIDE + 102}" y="{down}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"])


def _grid(frame: _Frame) -> list[str]:
    """Five lines either way, with their values."""
    parts = []
    (left, right), (low, high) = frame.x, frame.y
    for step in range(6):
        across, up = left + (right - left) * step / 5, low + (high - low) * step / 5
        for ends, value, shift in (
            ([(across, low), (across, high)], across, (-8, 16)),
            ([(left, up), (right, up)], up, (-34, 4)),
        ):
            placed = [frame.place(end) for end in ends]
            parts.append(_line(placed, "#dddddd", 1))
            x, y = placed[0][0] + shift[0], placed[0][1] + shift[1]
            parts.append(f'<text x="{x}" y="{y}">{value:.3g}</text>')
    return parts


def _curve(placed: Points, colour: str) -> list[str]:
    """A curve and its points."""
    dots = [f'<circle cx="{right}" cy="{down}" r="3" fill="{colour}"/>' for right, down in placed]
    return [_line(placed, colour, 2), *dots]


def _line(points: Points, colour: str, width: float, more: str = "") -> str:
    """A line through points on the page."""
    path = " ".join(f"{right},{down}" for right, down in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{more}/>'
