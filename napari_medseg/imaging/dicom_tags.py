"""Reads single DICOM tags as plain values; a tag that is absent, empty or nonsense is as good as absent."""

from __future__ import annotations

import contextlib
import logging
import math
import struct
import warnings
import zlib
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

# What pydicom raises on files that are cut short or were never right.
BROKEN = (
    InvalidDicomError, BytesLengthException, ValueError, TypeError, KeyError, IndexError, AttributeError,
    OSError, NotImplementedError, RuntimeError, ArithmeticError, EOFError, AssertionError, MemoryError,
    struct.error, zlib.error,
)  # fmt: skip


@dataclass(frozen=True)
class Attribute:
    """A reason why two slices may lie at one place, such as another echo; `label` names one stack."""

    name: str
    keywords: tuple[str, ...]
    label: str  # may use {value}, {k} (counted from 1) and {n}
    is_time: bool = False


ATTRIBUTES = (
    Attribute("stack", ("StackID",), "stack {value}"),
    Attribute("b-value", ("DiffusionBValue",), "b={value:g}"),
    Attribute("echo time", ("EffectiveEchoTime", "EchoTime"), "TE {value:g} ms"),
    Attribute("echo", ("EchoNumbers",), "echo {value:g}"),
    Attribute("inversion time", ("InversionTimes", "InversionTime"), "TI {value:g} ms"),
    Attribute("flip angle", ("FlipAngle",), "flip angle {value:g}"),
    Attribute("voltage", ("KVP",), "{value:g} kV"),
    Attribute("kernel", ("ConvolutionKernel",), "kernel {value}"),
    Attribute("phase", ("TemporalPositionIndex", "TemporalPositionIdentifier"), "phase {k} of {n}"),
    Attribute("image type", ("FrameType", "ImageType"), "{value}"),
    Attribute("component", ("ComplexImageComponent",), "{value}"),
    Attribute("direction", ("DiffusionGradientOrientation",), "direction {k} of {n}"),
    Attribute("acquisition", ("AcquisitionNumber",), "acquisition {value:g}"),
    Attribute("trigger", ("NominalCardiacTriggerDelayTime", "TriggerTime"), "phase {k} of {n}", True),
    Attribute("acquired", ("FrameAcquisitionDateTime", "AcquisitionDateTime"), "time {k} of {n}", True),
    Attribute("acquisition time", ("AcquisitionTime",), "time {k} of {n}", True),
    Attribute("content time", ("ContentTime",), "time {k} of {n}", True),
)
# b-values from before the standard had a tag for them: creator's tag, its name, the value's tag.
_PRIVATE_B = (
    ((0x0019, 0x0010), "SIEMENS MR HEADER", (0x0019, 0x100C)),
    ((0x0043, 0x0010), "GEMS_PARM_01", (0x0043, 0x1039)),
    ((0x2001, 0x0010), "Philips Imaging DD 001", (0x2001, 0x1003)),
)
ATTRIBUTE_TAGS: tuple[Any, ...] = (
    *(keyword for attribute in ATTRIBUTES for keyword in attribute.keywords),
    *((group << 16) + element for row in _PRIVATE_B for group, element in (row[0], row[2])),
)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom's complaints, which may quote a patient's name, from the screen and the log."""
    logger = logging.getLogger("pydicom")
    was, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = was


def value(tags: Dataset, tag: Any) -> Any:
    """A tag's value by keyword or number, or None."""
    try:
        number = _number_of(tag)
        found = tags[number].value if number in tags else None
    except BROKEN:
        return None
    return None if found is None or found == "" else found


@cache
def _number_of(tag: Any) -> BaseTag:
    """A tag's number, remembered: looking up keywords is most of the work of reading a header."""
    return Tag(tag)


def text(tags: Dataset, keyword: str) -> str:
    """A tag as text without padding; the parts of a tag with several values joined by a space."""
    found = value(tags, keyword)
    if found is None:
        return ""
    parts = found if isinstance(found, (MultiValue, list, tuple)) else [found]
    return " ".join(str(part).strip(" \0") for part in parts).strip()


def numbers(tags: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """The first `count` numbers of a tag, or None unless there are so many and all are finite."""
    found = value(tags, keyword)
    try:
        parts = found if isinstance(found, (MultiValue, list, tuple)) else [found]
        result = tuple(float(part) for part in parts[:count])
    except BROKEN:
        return None
    return result if len(result) == count and all(map(math.isfinite, result)) else None


def number(tags: Dataset, keyword: str) -> float | None:
    """The first number of a tag, or None."""
    found = numbers(tags, keyword, 1)
    return found[0] if found else None


def whole(tags: Dataset, keyword: str) -> int:
    """A whole number, 0 when absent."""
    return int(number(tags, keyword) or 0)


def modality(tags: Dataset) -> str:
    """The kind of machine or object, such as CT, MR or SEG; "" when it is no such code."""
    kind = text(tags, "Modality").upper()
    return kind if kind.isalnum() and len(kind) <= 16 else ""


def patient(tags: Dataset) -> str:
    """What tells one patient from another: to be hashed or compared, never to be shown or stored."""
    if identifier := text(tags, "PatientID"):
        return f"{identifier}|{text(tags, 'IssuerOfPatientID')}"
    name = text(tags, "PatientName")
    return f"|{name}|{text(tags, 'PatientBirthDate')}" if name.strip("^ ") else ""


def description(tags: Dataset) -> str:
    """What to call a series; a description that names the patient is not used."""
    private = text(tags, "PatientName").replace("^", " ").replace("=", " ").split()
    private = [part.casefold() for part in [*private, text(tags, "PatientID")] if len(part) > 2]
    for keyword in ("SeriesDescription", "ProtocolName"):
        words = " ".join(text(tags, keyword).split())
        if words and not any(part in words.casefold() for part in private):
            return words
    serial = text(tags, "SeriesNumber")
    return " ".join([modality(tags) or "image", *(["series", serial] if serial else [])])


def attributes_of(tags: Dataset) -> dict[str, Hashable]:
    """Everything present that could tell slices at one place apart, by the attribute's name."""
    result: dict[str, Hashable] = {}
    for attribute in ATTRIBUTES:
        for keyword in attribute.keywords:
            found = numbers(tags, keyword, 3 if attribute.name == "direction" else 1)
            if found:
                result[attribute.name] = tuple(round(x, 2) for x in found) if len(found) > 1 else found[0]
            elif words := text(tags, keyword):
                result[attribute.name] = words
            if attribute.name in result:
                break
    if "b-value" not in result and (b_value := _private_b_value(tags)) is not None:
        result["b-value"] = b_value
    return result


def _private_b_value(tags: Dataset) -> float | None:
    """The b-value from a vendor's own tag, or None.

    Source
    ------
    Siemens (0019,100C), GE (0043,1039: the first number, plus 1e9 in newer software) and Philips
    (2001,1003), as read by dcm2niix (Li et al., J Neurosci Methods 264, 2016).
    """
    for creator_tag, creator, tag in _PRIVATE_B:
        found = value(tags, tag)
        if found is None or str(value(tags, creator_tag)).strip() != creator:
            continue
        try:
            if isinstance(found, bytes):
                is_float = creator.startswith("Philips") and len(found) == 4
                found = struct.unpack("<f", found)[0] if is_float else found.decode("ascii").split("\\")
            return float(found[0] if isinstance(found, (MultiValue, list)) else found) % 1e5
        except BROKEN:
            continue
    return None
