"""A method's settings as a form: one widget a setting, made by magicgui."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from qtpy.QtWidgets import QCheckBox, QFormLayout, QLabel, QWidget

from napari_medseg.core.settings import Field, fields_of, with_overrides

_WIDEST = 1_000_000  # where a number has no limit of its own


@dataclass(frozen=True)
class Switch:
    """Something that is on or off whatever the method, and whom to tell of a change."""

    title: str
    help: str
    on: bool
    changed: Callable[[bool], None]


class SettingsForm(QWidget):
    """The settings of one method; `changed` gets all values after each change.

    `values` are those chosen before, by name; the others begin with their defaults.
    """

    def __init__(
        self,
        settings: type,
        changed: Callable[[Mapping[str, Any]], None],
        values: Mapping[str, Any] = MappingProxyType({}),
        switches: Sequence[Switch] = (),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        chosen = with_overrides(settings(), values)
        self.widgets = {item.name: _widget(item, getattr(chosen, item.name)) for item in fields_of(settings)}
        form = QFormLayout(self)
        form.setContentsMargins(2, 2, 2, 2)
        form.setVerticalSpacing(3)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        for widget in self.widgets.values():
            native: QWidget = widget.native
            native.setParent(self)
            native.setAccessibleName(widget.label)
            native.setToolTip(widget.tooltip)
            if widget.annotation is bool:
                form.addRow(native)
            else:
                label = QLabel(widget.label, self)
                label.setBuddy(native)
                label.setToolTip(widget.tooltip)
                form.addRow(label, native)
            widget.changed.connect(lambda _value: changed(self.values))
        self.switches = [_box(switch, self) for switch in switches]
        for box in self.switches:
            form.addRow(box)

    @property
    def values(self) -> dict[str, Any]:
        """What the form says, by setting."""
        return {name: widget.value for name, widget in self.widgets.items()}


def _box(switch: Switch, parent: QWidget) -> QCheckBox:
    """The check box of a switch."""
    box = QCheckBox(switch.title, parent)
    box.setToolTip(switch.help)
    box.setChecked(switch.on)
    box.toggled.connect(switch.changed)
    return box


def _widget(item: Field, value: Any) -> Any:
    """The magicgui widget of one setting, with its limits."""
    from magicgui.widgets import create_widget

    options: dict[str, Any] = {}
    if item.choices:
        options["choices"] = item.choices
    elif item.kind in (int, float):
        options["min"] = -_WIDEST if item.low is None else item.low
        options["max"] = _WIDEST if item.high is None else item.high
        if item.kind is float:
            options["step"] = _step(item)
    unit = f" ({item.unit})" if item.unit else ""
    widget = create_widget(
        value=value, annotation=item.kind, name=item.name, label=item.title + unit, options=options
    )
    widget.tooltip = item.help
    return widget


def _step(item: Field) -> float:
    """A hundredth of the way, rounded to a power of ten, for numbers with limits."""
    if item.low is None or item.high is None:
        return 0.1
    width = item.high - item.low
    return 0.01 if width <= 2 else 0.1 if width <= 20 else 1.0
