"""What is not accepted yet, as records a session keeps and as work again after a crash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.correction import Correction
from napari_medseg.core.mask import Mask
from napari_medseg.core.prompts import Box, Lasso, MaskPrompt, Point, Prompt, Scribble
from napari_medseg.core.structure import Structure
from napari_medseg.gui.work import Pending, Spot, Work

Arrays = dict[str, NDArray[Any]]
KIND = "pending"
_KINDS = {kind.__name__: kind for kind in (Point, Box, Scribble, Lasso, MaskPrompt)}


class Entry(Protocol):
    """One record as the session gives it back."""

    @property
    def payload(self) -> Mapping[str, Any]:
        """Plain values."""

    @property
    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Arrays by name."""


def pack(work: Work, spots: Iterable[Spot], afresh: bool = False) -> tuple[dict[str, Any], Arrays]:
    """Record what is pending on some slices, with all prompts and structures.

    `afresh` says that all records before this one are void.
    """
    arrays: Arrays = {}
    listed = []
    for number, spot in enumerate(spots):
        pending = work.pending.get(spot)
        listed.append({"spot": list(spot), "pending": None if pending is None else _plain(pending)})
        if pending is None:
            continue
        arrays[f"region{number}"] = np.asarray(work.proposal.on_slice(*spot))
        correction = work.corrections.get(spot)
        if correction is not None:
            arrays[f"painted{number}"], arrays[f"erased{number}"] = correction.painted, correction.erased
    prompts = [_prompt_as_json(p, f"prompt{n}", arrays) for n, p in enumerate(work.prompts)]
    structures = [[s.name, list(s.colour), s.locked, s.state] for s in work.mask.structures]
    payload = {"afresh": afresh, "spots": listed, "prompts": prompts, "structures": structures}
    return {**payload, "current": work.current}, arrays


def unpack(work: Work, entries: Iterable[Entry]) -> Work:
    """Put what was recorded back into a case that was just opened."""
    latest: dict[Spot, tuple[Mapping[str, Any], dict[str, NDArray[Any]]]] = {}
    last: Entry | None = None
    for entry in entries:
        last = entry
        if entry.payload["afresh"]:
            latest.clear()
        for number, item in enumerate(entry.payload["spots"]):
            name, plane, index = item["spot"]
            found = {key: entry.arrays.get(f"{key}{number}") for key in ("region", "painted", "erased")}
            arrays = {key: np.asarray(value, bool) for key, value in found.items() if value is not None}
            latest[(name, plane, index)] = (item["pending"], arrays)
    if last is None:
        return work
    work = _with_structures(work, last.payload)
    for spot, (pending, arrays) in latest.items():
        if pending is not None and spot[0] in work.mask.names:
            work = _with_spot(work, spot, _pending_of(pending), arrays)
    prompts = tuple(_prompt_of(item, last.arrays) for item in last.payload["prompts"])
    return replace(work, prompts=tuple(p for p in prompts if p.structure in work.mask.names))


def _with_spot(work: Work, spot: Spot, pending: Pending, arrays: Mapping[str, NDArray[Any]]) -> Work:
    proposal = work.proposal.put_slice(*spot, arrays["region"])
    work = replace(work, proposal=proposal, pending={**work.pending, spot: pending})
    if "painted" not in arrays:
        return work
    correction = Correction(*spot, arrays["painted"], arrays["erased"])
    return replace(work, corrections={**work.corrections, spot: correction})


def _with_structures(work: Work, payload: Mapping[str, Any]) -> Work:
    """Give the accepted mask the structures that were there at the end; none of its outlines goes."""
    for name, (red, green, blue), locked, state in payload["structures"]:
        structure = Structure(name, (red, green, blue), locked, state)
        mask, proposal = (_with(m, structure) for m in (work.mask, work.proposal))
        work = replace(work, mask=mask, proposal=proposal)
    known = {name for name, *_ in payload["structures"]}
    for name in work.mask.names:
        if name not in known and not work.voxels.get(name) and len(work.mask.names) > 1:
            work = replace(work, mask=work.mask.remove(name), proposal=work.proposal.remove(name))
    current = payload["current"] if payload["current"] in work.mask.names else work.mask.names[0]
    return replace(work, current=current)


def _with(mask: Mask, structure: Structure) -> Mask:
    return mask.update(structure.name, structure) if structure.name in mask.names else mask.add(structure)


def _plain(pending: Pending) -> dict[str, Any]:
    kept = {name: value for name, value in vars(pending).items() if name != "doubt"}  # a picture, not work
    return {**kept, "settings": dict(pending.settings)}


def _pending_of(values: Mapping[str, Any]) -> Pending:
    interval = values.get("interval")
    return Pending(**{**values, "interval": None if interval is None else (interval[0], interval[1])})


def _prompt_as_json(prompt: Prompt, key: str, arrays: Arrays) -> dict[str, Any]:
    """A prompt as plain values; its array, if any, goes to `arrays` under `key`."""
    values = dict(vars(prompt))
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            arrays[key] = value
            values[name] = key
    return {"kind": type(prompt).__name__, **values}


def _prompt_of(value: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Prompt:
    """Read a prompt back."""
    values: dict[str, Any] = {
        name: tuple(item) if isinstance(item, list) else item
        for name, item in value.items()
        if name != "kind"
    }
    for name in ("path", "region"):
        if name in values:
            values[name] = np.asarray(arrays[values[name]])
    prompt: Prompt = _KINDS[value["kind"]](**values)
    return prompt
