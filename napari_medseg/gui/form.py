"""A method's settings as a form: one widget a setting, made by magicgui."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from napari_medseg.core.settings import Field, fields_of

if TYPE_CHECKING:
    from magicgui.widgets import Container

_WIDEST = 1_000_000  # where a number has no limit of its own


def settings_form(settings: type, changed: Callable[[Mapping[str, Any]], None]) -> Container[Any]:
    """Make the form of a settings dataclass; `changed` gets all values after each change."""
    from magicgui.widgets import Container

    form: Container[Any] = Container(widgets=[_widget(item) for item in fields_of(settings)], labels=True)
    form.margins = (0, 0, 0, 0)
    form.changed.connect(lambda: changed(values(form)))
    return form


def values(form: Container[Any]) -> dict[str, Any]:
    """What the form says, by setting."""
    return {widget.name: widget.value for widget in form}


def _widget(item: Field) -> Any:
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
        value=item.default, annotation=item.kind, name=item.name, label=item.title + unit, options=options
    )
    widget.tooltip = item.help
    native: Any = widget.native
    native.setAccessibleName(item.title)
    return widget


def _step(item: Field) -> float:
    """A hundredth of the way, rounded to a power of ten, for numbers with limits."""
    if item.low is None or item.high is None:
        return 0.1
    width = item.high - item.low
    return 0.01 if width <= 2 else 0.1 if width <= 20 else 1.0
