"""Images that come with the libraries this program stands on, and a phantom with its exact outline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from napari_medseg.core.geometry import Plane
from napari_medseg.core.mask import Region
from napari_medseg.core.prompts import Box
from napari_medseg.core.volume import Volume
from napari_medseg.workflow.images import open_volume


@dataclass(frozen=True, eq=False)
class Sample:
    """One image with a box around one thing on one slice.

    Parameters
    ----------
    truth : (rows, columns) bool or None
        The exact outline where it is known.
    """

    name: str
    source: str
    volume: Volume
    box: Box
    truth: Region | None = None


def fundus() -> Sample:
    """The optic disc of a fundus photograph."""
    volume = open_volume(_inside("skimage", "data/retina.jpg"))
    source = "scikit-image's sample 'retina' (Häggström, CC0)"
    return Sample("fundus", source, volume, _box("optic disc", 0, (555, 130), (757, 313)))


def brain() -> Sample:
    """The brain on an axial slice of an MR."""
    volume = open_volume(_inside("nibabel", "tests/data/example4d.nii.gz"), "0")
    source = "nibabel's sample 'example4d'"
    return Sample("brain", source, volume, _box("brain", 12, (2, 31), (90, 97), volume.geometry.plane_of(0)))


def spine() -> Sample:
    """The spinal canal on a CT slice read from DICOM."""
    volume = open_volume(_inside("pydicom", "data/test_files/CT_small.dcm"))
    box = _box("spinal canal", 0, (41, 47), (62, 70), volume.geometry.native_plane)
    return Sample("spine", "pydicom's sample 'CT_small'", volume, box)


def phantom() -> Sample:
    """The liver of a made-up abdomen, whose outline is known exactly."""
    from napari_medseg.core.phantoms import ct_phantom

    volume, mask = ct_phantom((24, 192, 192))
    truth = mask.on_slice("liver", "axial", 14)
    rows, columns = np.flatnonzero(truth.any(axis=1)), np.flatnonzero(truth.any(axis=0))
    start, stop = (int(rows[0]), int(columns[0])), (int(rows[-1]) + 1, int(columns[-1]) + 1)
    return Sample("phantom", "made by this program", volume, _box("liver", 14, start, stop), truth)


SAMPLES: tuple[Callable[[], Sample], ...] = (fundus, brain, spine, phantom)


def _box(
    structure: str, index: int, start: tuple[int, int], stop: tuple[int, int], plane: Plane = "axial"
) -> Box:
    return Box(structure, plane, index, start, stop)


def _inside(package: str, path: str) -> Path:
    """A file that an installed package carries."""
    return Path(str(files(package).joinpath(path)))
