"""The panel's looks, made of the colours of napari's theme."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from qtpy.QtCore import QByteArray, QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtSvg import QSvgRenderer

WIDTH = 320
# Told apart by most colour-blind readers (Okabe and Ito, 2008); the strip gives each a height as well.
STATES = {"accepted": "#009e73", "edited": "#e69f00", "proposed": "#56b4e9", "doubtful": "#d55e00"}
STATES["blind"] = "#cc79a7"
_PATHS = {
    "point": '<circle cx="12" cy="12" r="3.5" fill="C"/><path d="M12 2v5M12 17v5M2 12h5M17 12h5"/>',
    "box": '<path d="M4 6h16v12H4z" stroke-dasharray="3 2"/>',
    "scribble": '<path d="M3 16c3-9 5-9 6-4s3 6 5 0 3-7 7-4"/>',
    "lasso": '<path d="M12 4c5 0 9 2.500 9 6s-4 6-9 6-9-2.500-9-6 4-6 9-6zM8 15.500c0 3 1.500 5 5 5.500"/>',
    "mask": '<path d="M5 9c0-4 5-6 9-4s7 5 4 10-8 5-11 2-2-5-2-8z" fill="C" fill-opacity=".45"/>',
    "brush": '<path d="M20 3L10 13c-3-1-5 1-5 4 0 2-1 3-2 3 5 2 10 0 9-5z" fill="C" fill-opacity=".45"/>',
    "eraser": '<path d="M9 20L3 14 14 3l7 7-10 10zM7 10l7 7M9 20h12"/>',
    "inside": '<circle cx="12" cy="12" r="9"/><path d="M12 7v10M7 12h10"/>',
    "outside": '<circle cx="12" cy="12" r="9"/><path d="M7 12h10"/>',
    "seen": '<path d="M2 12c4-7 16-7 20 0-4 7-16 7-20 0z"/><circle cx="12" cy="12" r="3" fill="C"/>',
    "hidden": '<path d="M2 12c4-7 16-7 20 0-4 7-16 7-20 0zM4 20L20 4" opacity=".55"/>',
    "locked": '<path d="M6 11h12v9H6zM8 11V8c0-5 8-5 8 0v3" fill="C" fill-opacity=".3"/>',
    "open": '<path d="M6 11h12v9H6zM8 11V8c0-5 8-5 8 0" opacity=".45"/>',
    "not started": '<circle cx="12" cy="12" r="8" opacity=".55"/>',
    "in progress": '<circle cx="12" cy="12" r="8"/><path d="M12 4a8 8 0 0 1 0 16z" fill="C"/>',
    "completed": '<circle cx="12" cy="12" r="8"/><path d="M8 12l3 3 5-6"/>',
    "flagged": '<path d="M6 21V4h11l-3 4 3 4H6" fill="C" fill-opacity=".3"/>',
}


def colours(theme: str) -> dict[str, str]:
    """Colours of a napari theme by name, as #rrggbb."""
    from napari.utils.theme import get_theme

    found = get_theme(theme)
    names = (
        "background",
        "foreground",
        "primary",
        "secondary",
        "highlight",
        "text",
        "warning",
        "error",
        "current",
    )
    return {name: QColor(*getattr(found, name).as_rgb_tuple()[:3]).name() for name in names}


def sheet(theme: str) -> str:
    """Style sheet of the panel on top of napari's own."""
    c = colours(theme)
    return f"""
    QLabel[quiet="true"] {{ color: {mixed(c["text"], c["background"], 0.72)}; }}
    QLabel[title="true"] {{ font-weight: 600; }}
    QLabel[alarm="true"] {{ border-left: 3px solid {STATES["doubtful"]}; padding-left: 6px; }}
    QLabel[note="true"] {{ border-left: 3px solid {STATES["proposed"]}; padding-left: 6px; }}
    QFrame[line="true"] {{ background-color: {c["foreground"]}; max-height: 1px; }}
    QPushButton, QToolButton {{ border: 1px solid transparent; border-radius: 3px; padding: 3px; }}
    QToolButton {{ background-color: {c["foreground"]}; }}
    QToolButton::menu-indicator {{ image: none; width: 0px; }}
    QPushButton:hover, QToolButton:hover {{ background-color: {c["primary"]}; }}
    QPushButton {{ background-color: {c["foreground"]}; min-height: 18px; }}
    QToolButton:checked, QPushButton:checked {{
        background-color: {c["current"]}; color: {readable(c["current"])};
    }}
    QPushButton[main="true"] {{ background-color: {c["current"]}; color: {readable(c["current"])}; }}
    QPushButton[main="true"]:disabled, QPushButton:disabled, QToolButton:disabled {{
        background-color: {mixed(c["foreground"], c["background"], 0.5)};
        color: {mixed(c["text"], c["background"], 0.45)};
    }}
    QPushButton:focus, QToolButton:focus, QComboBox:focus, QLineEdit:focus, QAbstractSpinBox:focus,
    QTreeWidget:focus, QListWidget:focus, QProgressBar:focus {{ border: 1px solid {c["text"]}; }}
    QComboBox, QLineEdit, QAbstractSpinBox {{ border: 1px solid transparent; }}
    QTreeWidget, QListWidget {{
        background-color: {mixed(c["foreground"], c["background"], 0.45)}; border: 1px solid transparent;
    }}
    QTreeWidget::item {{ height: 24px; }} Cards::item:selected {{ background-color: {c["current"]}; }}
    QTreeWidget::item:selected {{ background-color: {c["primary"]}; color: {c["text"]}; }}
    QProgressBar {{ min-height: 18px; max-height: 18px; border-radius: 3px; text-align: center; }}
    """


def mixed(one: str, other: str, part: float) -> str:
    """A colour between two, `part` of the first."""
    a, b = QColor(one), QColor(other)
    pairs = zip((a.red(), a.green(), a.blue()), (b.red(), b.green(), b.blue()), strict=True)
    return QColor(*(round(x * part + y * (1 - part)) for x, y in pairs)).name()


def readable(background: str) -> str:
    """Black or white, whichever is read more easily on a colour."""
    c = QColor(background)
    bright = 0.299 * c.red() + 0.587 * c.green() + 0.114 * c.blue()
    return "#000000" if bright > 140 else "#ffffff"


@lru_cache(maxsize=256)
def icon(name: str, colour: str, checked: str = "") -> QIcon:
    """One of the panel's icons, in a colour, and in another when its button is pressed."""
    result = QIcon()
    result.addPixmap(_pixmap(name, colour), QIcon.Mode.Normal, QIcon.State.Off)
    result.addPixmap(_pixmap(name, checked or colour), QIcon.Mode.Normal, QIcon.State.On)
    return result


@lru_cache(maxsize=64)
def swatch(colour: str) -> QIcon:
    """A filled square in a structure's colour."""
    pixmap = QPixmap(QSize(28, 28))
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(QColor(colour))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.drawRoundedRect(2, 2, 24, 24, 6, 6)
    painter.end()
    return QIcon(pixmap)


def _pixmap(name: str, colour: str, size: int = 48) -> QPixmap:
    body = _PATHS[name].replace('"C"', f'"{colour}"')
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="{colour}" '
        f'stroke-width="1.800" stroke-linecap="round" stroke-linejoin="round">{body}</svg>'
    )
    pixmap = QPixmap(QSize(size, size))
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    QSvgRenderer(QByteArray(svg.encode())).render(painter)
    painter.end()
    return pixmap


def mark(widget: Any, **properties: bool) -> Any:
    """Set style properties on a widget and return it."""
    for name, value in properties.items():
        widget.setProperty(name, "true" if value else "false")
    widget.style().unpolish(widget)
    widget.style().polish(widget)
    return widget
