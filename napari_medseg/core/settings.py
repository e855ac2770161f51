"""A method's settings: one frozen dataclass that makes the form, the flags and the record."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, TypeVar, get_type_hints

from napari_medseg.core.errors import TaskError

S = TypeVar("S")
_KINDS = {bool: "yes or no", int: "a whole number", float: "a finite number", str: "text"}
_BOOLS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


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
        If a name is unknown, or a value cannot be read, lies outside its limits or is no choice.
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
    read = _of_kind(item.kind, value)
    if read is None:
        raise TaskError(f"'{item.name}' must be {_KINDS[item.kind]}, not '{value}'.")
    if item.choices and read not in item.choices:
        raise TaskError(f"'{item.name}' must be one of {', '.join(item.choices)}, not '{value}'.")
    if item.low is not None and read < item.low:
        raise TaskError(f"'{item.name}' must be at least {item.low:g}, not {value}.")
    if item.high is not None and read > item.high:
        raise TaskError(f"'{item.name}' must be at most {item.high:g}, not {value}.")
    return read


def _of_kind(kind: type, value: Any) -> Any:
    """A value or its text as a bool, int, float or str; None where it is none, or not finite."""
    if kind is str:
        return value if isinstance(value, str) else None
    if kind is bool:
        return _BOOLS.get(str(value).strip().lower())
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
        if not math.isfinite(number):
            return None
        return number if kind is float else int(value) if int(value) == number else None
    except (ValueError, TypeError, OverflowError):
        return None
