"""Images that come with the libraries this program stands on, and a phantom with its exact outline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Region
from napari_medseg.core.prompts import Box, Point
from napari_medseg.core.volume import Volume
from napari_medseg.workflow.images import open_volume


@dataclass(frozen=True, eq=False)
class Sample:
    """One image with a prompt for one thing on one slice.

    Parameters
    ----------
    truth : (rows, columns) bool or None
        The exact outline where it is known.
    """

    name: str
    source: str
    volume: Volume
    plane: Plane
    index: int
    prompt: Box | Point
    truth: Region | None = None


def fundus() -> Sample:
    """The optic disc of a fundus photograph."""
    volume = open_volume(_inside("skimage", "data/retina.jpg"))
    box = Box("optic disc", "axial", 0, (555, 130), (757, 313))
    return Sample("fundus", "scikit-image's sample 'retina'", volume, "axial", 0, box)


def brain() -> Sample:
    """The brain on an axial slice of an MR."""
    volume = open_volume(_inside("nibabel", "tests/data/example4d.nii.gz"), "0")
    box = Box("brain", "axial", 12, (2, 31), (90, 97))
    return Sample("brain", "nibabel's sample 'example4d'", volume, "axial", 12, box)


def spine() -> Sample:
    """The spinal canal on a CT slice read from DICOM."""
    volume = open_volume(_inside("pydicom", "data/test_files/CT_small.dcm"))
    box = Box("spinal canal", "axial", 0, (41, 47), (62, 70))
    return Sample("spine", "pydicom's sample 'CT_small'", volume, "axial", 0, box)


def phantom() -> Sample:
    """The liver of a made-up abdomen, whose outline is known exactly, from one click."""
    from napari_medseg.core.phantoms import ct_phantom

    volume, mask = ct_phantom((24, 192, 192))
    truth = mask.on_slice("liver", "axial", 14)
    y, x = np.argwhere(truth).mean(axis=0)
    click = Point("liver", "axial", (14, round(y), round(x)))
    return Sample("phantom", "a phantom made by this program", volume, "axial", 14, click, truth)


SAMPLES: tuple[Callable[[], Sample], ...] = (fundus, brain, spine, phantom)


def _inside(package: str, path: str) -> Path:
    """A file that an installed package carries."""
    return Path(str(files(package).joinpath(path)))
