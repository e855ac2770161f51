"""A method's settings: one frozen dataclass that makes the form, the flags and the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, TypeVar, get_type_hints

from napari_medseg.core.errors import TaskError

S = TypeVar("S")


@dataclass(frozen=True)
class Field:
    """One setting as a form shows it; `kind` is bool, int, float or str."""

    name: str
    kind: type
    default: Any
    title: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    help: str = ""


def setting(
    default: Any,
    title: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    unit: str = "",
    help: str = "",
) -> Any:
    """Declare one setting in a frozen dataclass, with the words and limits a form needs."""
    words = {"title": title, "low": low, "high": high, "choices": choices, "unit": unit, "help": help}
    return field(default=default, metadata=words)


def fields_of(settings: Any) -> tuple[Field, ...]:
    """List the settings of a dataclass, or of a value of it, in order."""
    hints = get_type_hints(settings if isinstance(settings, type) else type(settings))
    result = []
    for item in fields(settings):
        words = dict(item.metadata) or {"title": item.name.replace("_", " ").capitalize()}
        default = item.default if item.default is not MISSING else None
        result.append(Field(item.name, hints[item.name], default, **words))
    return tuple(result)


def with_overrides(settings: S, overrides: Mapping[str, Any]) -> S:
    """Set some settings from text or values, checked.

    Raises
    ------
    TaskError
        If a name is unknown, a value cannot be read, or it lies outside its limits.
    """
    known = {item.name: item for item in fields_of(settings)}
    values = {}
    for name, value in overrides.items():
        if name not in known:
            names = ", ".join(known) or "none"
            raise TaskError(f"There is no setting '{name}' here; the settings are: {names}.")
        values[name] = _read(known[name], value)
    return replace(settings, **values)  # type: ignore[type-var]


def as_record(settings: Any) -> dict[str, Any]:
    """The settings as plain values, for provenance and JSON."""
    return {item.name: getattr(settings, item.name) for item in fields_of(settings)}


def _read(item: Field, value: Any) -> Any:
    """Turn text into the setting's kind and hold it to its limits."""
    try:
        if item.kind is bool and isinstance(value, str):
            value = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[
                value.strip().lower()
            ]
        value = item.kind(value)
    except (ValueError, TypeError, KeyError):
        raise TaskError(f"'{value}' is no {item.kind.__name__} for the setting '{item.name}'.") from None
    if item.choices and value not in item.choices:
        raise TaskError(f"'{item.name}' must be one of {', '.join(item.choices)}, not '{value}'.")
    if item.kind in (int, float) and not isinstance(value, bool):
        if value != value or (item.low is not None and value < item.low) or (
            item.high is not None and value > item.high
        ):
            raise TaskError(f"'{item.name}' must lie between {item.low} and {item.high}, not at {value}.")
    return value
