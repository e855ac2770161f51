"""Looks at slices: what the encoder made of them, kept in memory while it fits."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Plane
from napari_medseg.core.model import Preparation
from napari_medseg.core.volume import Volume
from napari_medseg.imaging.prepare import Frame, frame_of, grey_limits, normalise, picture

if TYPE_CHECKING:
    from napari_medseg.networks.official import OfficialSam
    from napari_medseg.networks.sam import CompactSam
    from napari_medseg.networks.sam_decoder import Encoded


class Looks:
    """Encoded frames of one volume at a time, the least recently used forgotten first.

    Parameters
    ----------
    memory : int
        How much may be kept, in MB.
    device : str
        Where the network works; it falls back to the processor when a graphics card is full.
    """

    def __init__(
        self, network: CompactSam | OfficialSam, preparation: Preparation, memory: int, device: str
    ) -> None:
        self.network, self.preparation = network.to(device), preparation
        self.memory, self.device = memory, device
        self._volume: Volume | None = None
        self._limits = (0.0, 1.0)
        self._encoded: OrderedDict[tuple[Plane, int, Frame], Encoded] = OrderedDict()
        self._notes: list[str] = []

    def __len__(self) -> int:
        """How many frames are kept."""
        return len(self._encoded)

    def told(self) -> list[str]:
        """Sentences for the person since the last time they were asked for."""
        notes, self._notes = self._notes, []
        return notes

    def frame(
        self, volume: Volume, plane: Plane, span: tuple[float, float, float, float] | None = None
    ) -> Frame:
        """The frame for a slice of a plane, or for a part of it."""
        axis = volume.geometry.axis_of(plane)
        rows, columns = (n for a, n in enumerate(volume.geometry.shape) if a != axis)
        height, width = (s for a, s in enumerate(volume.geometry.spacing) if a != axis)
        return frame_of((rows, columns), self.preparation, (height, width), span)

    def at(self, volume: Volume, plane: Plane, index: int, frame: Frame) -> Encoded:
        """Encode a frame, or take it from memory; the least recently used are forgotten first."""
        import torch

        if self._volume is not volume:
            self._encoded.clear()
            self._volume = volume
            self._limits = grey_limits(volume, self.preparation)
        key = (plane, index, frame)
        if key not in self._encoded:
            canvas = frame.place(picture(volume, plane, index, self._limits))
            image = torch.from_numpy(normalise(canvas, self.preparation))[None]
            try:
                with torch.inference_mode():
                    encoded = self.network.encode(image.to(self.device))
            except torch.OutOfMemoryError:
                self._fall_back()
                return self.at(volume, plane, index, frame)
            self._encoded[key] = replace(encoded, levels=())
            each = sum(part.nbytes for part in (encoded.embedding, *encoded.stem))
            while len(self._encoded) > max(1, self.memory * 2**20 // each):
                self._encoded.popitem(last=False)
        self._encoded.move_to_end(key)
        return self._encoded[key]

    def _fall_back(self) -> None:
        """Go on with the processor when the graphics card is full, and say so.

        Raises
        ------
        TaskError
            If even the processor's memory is full.
        """
        if self.device == "cpu":
            raise TaskError("There is not enough memory for this image; close other programs and try again.")
        self._notes.append("The graphics card's memory is full; the processor goes on, more slowly.")
        self._encoded.clear()
        self.device, self.network = "cpu", self.network.to("cpu")
