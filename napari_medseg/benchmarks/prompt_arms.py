"""Ways from prompts to an outline of one slice: the promptable method and the classical floors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from napari_medseg.benchmarks.environment import environment
from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Mask, Region
from napari_medseg.core.model import Preparation
from napari_medseg.core.progress import finish
from napari_medseg.core.prompts import Prompt
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.task import task_of
from napari_medseg.core.volume import Volume
from napari_medseg.learning.prompting import ASKED, Target

if TYPE_CHECKING:
    from napari_medseg.methods import Method

Word = Mapping[str, float]  # expected, low, high and strange, as far as an arm says them
About = dict[str, Any]


class Arm(Protocol):
    """One way to an outline that is measured."""

    name: str

    def outline(self, volume: Volume, target: Target, prompts: Sequence[Prompt], before: Region) -> Region:
        """Outline the target's slice from all prompts so far and the outline before the last one."""

    @property
    def word(self) -> Word:
        """What it says of its last answer; worked out when asked for, outside the time of the answer."""


@dataclass(eq=False)
class FloorArm:
    """A classical floor, on the picture a network would see of the same slice."""

    name: str
    word: Word = field(default_factory=dict)
    _seen: tuple[Volume, int, NDArray[np.uint8]] | None = None

    def outline(self, volume: Volume, target: Target, prompts: Sequence[Prompt], before: Region) -> Region:
        """Outline from the prompts alone."""
        from napari_medseg.imaging import baselines
        from napari_medseg.imaging.prepare import grey_limits, picture

        if self._seen is None or self._seen[0] is not volume or self._seen[1] != target.index:
            limits = grey_limits(volume, Preparation())
            self._seen = volume, target.index, picture(volume, target.plane, target.index, limits)
        pixels = self._seen[2]
        grey = bool(np.all(pixels[..., :1] == pixels))
        return baselines.outline(self.name, pixels[..., :1] if grey else pixels, prompts)


@dataclass(eq=False)
class MethodArm:
    """A method of the menu, asked as the panel asks it."""

    name: str
    method: Method
    _last: tuple[Volume, Target, Segmentation] | None = None

    def outline(self, volume: Volume, target: Target, prompts: Sequence[Prompt], before: Region) -> Region:
        """Outline through the method's contract, with the outline before as the previous mask."""
        from napari_medseg import workflow

        task = task_of("benchmark", (ASKED,))
        previous = Mask.empty(volume.geometry, task.structures)
        if before.any():
            previous = previous.put_slice(ASKED, target.plane, target.index, before)
        slices = (target.index,)
        request = Request(volume, target.plane, slices, task, tuple(prompts), previous=previous)
        answer = finish(workflow.segment(self.method, request))
        self._last = volume, target, answer
        return answer.mask.on_slice(ASKED, target.plane, target.index - answer.start[0])

    @property
    def word(self) -> Word:
        """What the method says of its last answer and of the picture."""
        if self._last is None:
            return {}
        (volume, target, answer), said = self._last, dict[str, float]()
        if ASKED in answer.interval:
            low, high = answer.interval[ASKED][0]
            said |= {"expected": answer.quality[ASKED][0], "low": low, "high": high}
        if isinstance(self.method, Strange):
            said["strange"] = self.method.strangeness(volume, target.plane, target.index)
        return said


@runtime_checkable
class Strange(Protocol):
    """A method that says how unlike its training images a picture is."""

    def strangeness(self, volume: Volume, plane: Plane, index: int) -> float:
        """Above 1 it counts as foreign."""


def promptable(model: str, device: str) -> tuple[Method | None, About]:
    """The promptable method with its model, if there is one, and what to say of it."""
    from napari_medseg import workflow

    found = workflow.model_for("sam", model)
    if found is None:
        return None, {"model": "none"}
    method = workflow.build("sam", model=found.name, device=device, settings={"disk": 0})
    return method, {"model": found.name, "sha256": found.sha256[:12]}


def about_run(about: Mapping[str, Any], minutes: float, method: Method | None) -> About:
    """What to print with a table: the settings of the run, its time, and where it was made."""
    device = str(getattr(method, "device", "cpu"))
    return {"preset": about["preset"], "minutes": minutes, **about, **environment(device)}
