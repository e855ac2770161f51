"""Looks at slices: what the encoder made of them, kept in memory and on disk while it fits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from napari_medseg.core.geometry import Plane
from napari_medseg.core.model import Preparation
from napari_medseg.core.volume import Volume
from napari_medseg.imaging.prepare import Frame, Picture, frame_of, grey_limits, normalise, picture
from napari_medseg.methods._full import SAID, give_way
from napari_medseg.methods._shelf import Shelf, key_of

if TYPE_CHECKING:
    from torch import Tensor

    from napari_medseg.networks.official import OfficialSam
    from napari_medseg.networks.sam import CompactSam
    from napari_medseg.networks.sam_decoder import Encoded

Spot = tuple[int, Frame]  # slice and frame
_AT_ONCE = 8  # slices a graphics card looks at together


class Looks:
    """Encoded frames of one volume at a time, the least recently used forgotten first.

    They are kept in half precision, and what a decoder is given always went through it, so that a mask is the
    same to the last pixel whether its slice comes from the encoder, from memory or from the disk.

    Parameters
    ----------
    memory : int
        How much may be kept, in MB; of the graphics card's memory where that does the work.
    device : str
        Where the network works; it falls back to the processor when a graphics card is full.
    weights : str
        SHA-256 of the weights; "" keeps nothing on disk.
    shelf : Shelf or None
        The disk.
    """

    def __init__(
        self,
        network: CompactSam | OfficialSam,
        preparation: Preparation,
        memory: int,
        device: str,
        weights: str = "",
        shelf: Shelf | None = None,
    ) -> None:
        self.network, self.preparation = network.to(device), preparation
        self.memory, self.device, self.weights = memory, device, weights
        self.shelf = shelf if weights else None
        self.at_once = _AT_ONCE if device.startswith("cuda") else 1
        self._volume: Volume | None = None
        self._limits = (0.0, 1.0)
        self._seen: tuple[Plane, int, Picture] | None = None
        self._last: list[tuple[dict[str, Tensor], Encoded]] = []
        self._kept: OrderedDict[tuple[Plane, int, Frame], dict[str, Tensor]] = OrderedDict()
        self._bytes = 0
        self._notes: list[str] = []

    def __len__(self) -> int:
        """How many frames are kept in memory."""
        return len(self._kept)

    def told(self) -> list[str]:
        """Sentences for the person since the last time they were asked for."""
        notes, self._notes = self._notes, []
        return [*notes, *(self.shelf.told() if self.shelf else ())]

    def frame(
        self, volume: Volume, plane: Plane, span: tuple[float, float, float, float] | None = None
    ) -> Frame:
        """The frame for a slice of a plane, or for a part of it."""
        axis = volume.geometry.axis_of(plane)
        rows, columns = (n for a, n in enumerate(volume.geometry.shape) if a != axis)
        height, width = (s for a, s in enumerate(volume.geometry.spacing) if a != axis)
        return frame_of((rows, columns), self.preparation, (height, width), span)

    def ahead(self, volume: Volume, plane: Plane, slices: Sequence[int]) -> Iterator[int]:
        """Look at whole slices before anybody asks; yields how many are done."""
        frame = self.frame(volume, plane)
        done = 0
        while done < len(slices):
            part = slices[done : done + self.at_once]
            self._look(volume, plane, [(index, frame) for index in part])
            done += len(part)
            yield done

    def at(self, volume: Volume, plane: Plane, index: int, frame: Frame) -> Encoded:
        """What the encoder makes of a frame of a slice.

        Of the last two frames, a slice and a closer look, it is the very same object again, so that a network
        may keep what it derives from it for the next click.
        """
        parts = self._look(volume, plane, [(index, frame)])[0]
        for known, encoded in self._last:
            if known is parts:
                return encoded
        self._last = [(parts, _whole(parts, self.device)), *self._last[:1]]
        return self._last[0][1]

    def _look(self, volume: Volume, plane: Plane, spots: Sequence[Spot]) -> list[dict[str, Tensor]]:
        """Find frames in memory or on disk, or encode them."""
        if self._volume is not volume:
            self._forget()
            self._volume = volume
            self._limits = grey_limits(volume, self.preparation)
        found = {spot: self._kept[plane, *spot] for spot in spots if (plane, *spot) in self._kept}
        new = {spot: self._canvas(plane, *spot) for spot in spots if spot not in found}
        keys = self._keys(volume, plane, new)
        found |= {spot: parts for spot, key in keys.items() if (parts := self._from_disk(key))}
        new = {spot: canvas for spot, canvas in new.items() if spot not in found}
        for spot, parts in zip(new, self._encode(list(new.values())), strict=True):
            found[spot] = parts
            if self.shelf is not None and spot in keys:
                self.shelf.put(keys[spot], {name: part.cpu().numpy() for name, part in parts.items()})
        for spot in spots:
            self._keep((plane, *spot), found[spot])
        return [found[spot] for spot in spots]

    def _canvas(self, plane: Plane, index: int, frame: Frame) -> Picture:
        """The prepared pixels; a slice's picture is made once for all its frames."""
        assert self._volume is not None  # `_look` chose it
        if self._seen is None or self._seen[:2] != (plane, index):
            self._seen = plane, index, picture(self._volume, plane, index, self._limits)
        return frame.place(self._seen[2])

    def _keys(self, volume: Volume, plane: Plane, canvases: Mapping[Spot, Picture]) -> dict[Spot, str]:
        """Names on disk; closer looks are not kept there, since hardly any is ever asked for again."""
        if self.shelf is None:
            return {}
        about, whole = (self.weights, self.preparation.mean, self.preparation.std), self.frame(volume, plane)
        return {spot: key_of(canvas, *about) for spot, canvas in canvases.items() if spot[1] == whole}

    def _from_disk(self, key: str) -> dict[str, Tensor] | None:
        import torch

        found = self.shelf.take(key) if self.shelf else None
        if found is None:
            return None
        return {name: torch.from_numpy(part).to(self.device) for name, part in found.items()}

    def _encode(self, canvases: Sequence[Picture]) -> list[dict[str, Tensor]]:
        """Let the network look; where memory is short at one image at a time, then with the processor."""
        if not canvases:
            return []
        import torch

        images = torch.from_numpy(np.stack([normalise(canvas, self.preparation) for canvas in canvases]))
        kept = []
        try:
            with torch.inference_mode(), self._precision():
                for start in range(0, len(images), self.at_once):
                    some = images[start : start + self.at_once].to(self.device)
                    kept += _parts(self.network.encode(some))
        except torch.OutOfMemoryError:
            self._fall_back()
            return self._encode(canvases)
        return kept

    def _precision(self) -> AbstractContextManager[object]:
        """Brain floats on graphics cards that can calculate with them."""
        import torch

        if self.device.startswith("cuda") and torch.cuda.is_bf16_supported():
            return torch.autocast("cuda", torch.bfloat16)
        return nullcontext()

    def _keep(self, key: tuple[Plane, int, Frame], parts: dict[str, Tensor]) -> None:
        """Put a frame in memory as the one used last, and forget others while there are too many bytes."""
        if key not in self._kept:
            self._bytes += _size(parts)
        self._kept[key] = parts
        self._kept.move_to_end(key)
        while self._bytes > self.memory * 2**20 and len(self._kept) > 1:
            self._bytes -= _size(self._kept.popitem(last=False)[1])

    def _forget(self) -> None:
        self._kept.clear()
        self._seen, self._last, self._bytes = None, [], 0

    def _fall_back(self) -> None:
        """Go on with one slice at a time, then with the processor, and say so."""
        self.at_once, device = give_way(self.at_once, self.device)
        if device != self.device:
            self._notes.append(SAID)
            self._forget()
            self.device, self.network = device, self.network.to(device)


def _parts(encoded: Encoded) -> list[dict[str, Tensor]]:
    """What a decoder needs again of each image of a batch, by name, in half precision; levels are not."""
    import torch

    flat: dict[str, Tensor] = {}
    for field in fields(encoded):
        value = getattr(encoded, field.name)
        if isinstance(value, tuple):
            flat |= {f"{field.name}.{number}": part for number, part in enumerate(value)}
        elif value is not None:
            flat[field.name] = value
    halves = {name: _half(part) for name, part in flat.items() if not name.startswith("levels")}
    n_images = len(encoded.embedding)
    # In one order in memory, as from disk: sums in another order differ in their last bits.
    return [
        {name: part[i : i + 1].clone(memory_format=torch.contiguous_format) for name, part in halves.items()}
        for i in range(n_images)
    ]


def _half(part: Tensor) -> Tensor:
    """Half precision, except for values that do not fit into it."""
    half = part.half()
    return half if bool(half.isfinite().all()) else part.float()


def _whole(parts: dict[str, Tensor], device: str) -> Encoded:
    """The opposite of `_parts`, in single precision."""
    from napari_medseg.networks.sam_decoder import Encoded

    values: dict[str, Tensor | tuple[Tensor, ...]] = {"levels": (), "stem": ()}
    for name, part in parts.items():
        field, _, number = name.partition(".")
        before, single = values.get(field, ()), part.to(device).float()
        values[field] = (*before, single) if number and isinstance(before, tuple) else single
    return Encoded(**values)  # type: ignore[arg-type]


def _size(parts: dict[str, Tensor]) -> int:
    return sum(part.nbytes for part in parts.values())
