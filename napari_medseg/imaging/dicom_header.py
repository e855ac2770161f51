"""What each slice of a DICOM file says about itself, read without its pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from napari_medseg.imaging.dicom_tags import (
    ATTRIBUTE_TAGS,
    attributes_of,
    description,
    modality,
    number,
    numbers,
    patient,
    text,
    value,
    whole,
)

# Objects that are about images, or measure something other than a picture.
_NOT_IMAGES = {
    "SEG", "RTSTRUCT", "RTPLAN", "RTDOSE", "RTRECORD", "SR", "PR", "KO", "REG", "FID", "AU", "ECG", "EEG",
    "EMG", "HD", "DOC", "PLAN", "RWV", "SMR", "M3D",
}  # fmt: skip
_MOST_PIXELS = 2**28  # in one frame
_MOST_FRAMES = 2**16  # in one file
_TAGS: list[Any] = [
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID",
    "PatientID", "PatientName", "PatientBirthDate", "IssuerOfPatientID", "Modality", "SeriesDescription",
    "ProtocolName", "SeriesNumber", "InstanceNumber", "SeriesDate", "AcquisitionDate", "StudyDate",
    "BodyPartExamined", "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "BitsAllocated",
    "PhotometricInterpretation", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "ImagerPixelSpacing", "NominalScannedPixelSpacing", "SliceThickness", "SpacingBetweenSlices",
    "SequenceOfUltrasoundRegions", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    *ATTRIBUTE_TAGS,
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Frame:
    """One slice: where its pixels are, where it lies, and what tells it from others at the same place.

    Parameters
    ----------
    path, index : Path, int
        The file, and the frame in it counted from 0.
    uid, sop_uid, patient : str
        Series (made up where the file has none), object, and whose it is (never to be shown).
    size : (rows, columns, samples a pixel)
        Size of the picture.
    position, orientation : (x, y, z) in mm of LPS and two direction cosines, or None
        As in the file; both None where the slice cannot be placed.
    pixel_spacing : (between rows, between columns) in mm, or None
        Size of a pixel; `at_detector` when it was measured there and not in the body.
    thickness : float
        Distance to the next slice or else the slice's thickness, in mm; 0 when unknown.
    attributes : Mapping
        Echo time, b-value and so on by name; only those present.
    """

    path: Path
    index: int
    uid: str
    sop_uid: str
    patient: str
    number: int
    series_number: int
    modality: str
    anatomy: str
    description: str
    date: str
    size: tuple[int, int, int]
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing: tuple[float, float] | None
    at_detector: bool
    thickness: float
    attributes: Mapping[str, Hashable]


def read_dataset(file: BinaryIO, header_only: bool = False) -> FileDataset:
    """Read an open file whose beginning looks like DICOM, with or without its preamble."""
    tags = _TAGS if header_only else None
    dataset = pydicom.dcmread(file, stop_before_pixels=header_only, specific_tags=tags, force=True)
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset


def is_image(dataset: Dataset) -> bool:
    """Whether it is a picture, not a report, a plan or the outlines of another image."""
    return whole(dataset, "Rows") > 0 < whole(dataset, "Columns") and modality(dataset) not in _NOT_IMAGES


def is_complete(dataset: FileDataset, n_left: int) -> bool:
    """Whether the bytes after the header can hold the pixels, and these are not absurdly many."""
    n_frames, syntax = _n_frames(dataset), dataset.file_meta.TransferSyntaxUID
    n_pixels = whole(dataset, "Rows") * whole(dataset, "Columns")
    if n_pixels > _MOST_PIXELS or not 0 < n_frames <= _MOST_FRAMES:
        return False
    if syntax == DeflatedExplicitVRLittleEndian:
        return True
    if syntax.is_compressed:
        return n_left >= 8 * n_frames  # each frame begins with a tag and a length
    n_bits = n_pixels * (whole(dataset, "SamplesPerPixel") or 1) * (whole(dataset, "BitsAllocated") or 8)
    if text(dataset, "PhotometricInterpretation") == "YBR_FULL_422":
        n_bits = n_bits * 2 // 3
    return n_left >= n_bits * n_frames // 8


def _frame_tags(dataset: Dataset) -> list[Dataset]:
    """The tags of each frame, those included that an enhanced file keeps in functional groups."""
    n_frames = min(_n_frames(dataset), _MOST_FRAMES)
    each = value(dataset, "PerFrameFunctionalGroupsSequence") or []
    shared = value(dataset, "SharedFunctionalGroupsSequence") or []
    if len(each) != n_frames:
        return [dataset] * n_frames
    common = {tag: item for tag, item in dataset.items() if item.VR != "SQ"}
    common |= _macros(shared[0]) if len(shared) else {}
    return [Dataset(common | _macros(groups)) for groups in each]


def _macros(groups: Dataset) -> dict[BaseTag, Any]:
    """The tags of all functional groups of a frame, laid side by side."""
    return {
        tag: item
        for macro in groups
        if macro.VR == "SQ" and macro.value
        for tag, item in macro.value[0].items()
    }


def frames_of(dataset: Dataset, path: Path) -> list[tuple[Frame, Dataset]]:
    """Describe every frame of a file, with the tags that hold for it."""
    tags = _frame_tags(dataset)
    # One position, if any, for all frames of a film, and a wrong one for tiles that stand for slices.
    is_film = len(tags) > 1 and tags[0] is dataset
    can_be_placed = not is_film and "MOSAIC" not in text(dataset, "ImageType")
    return [(_frame(one, path, index, can_be_placed), one) for index, one in enumerate(tags)]


def _frame(tags: Dataset, path: Path, index: int, can_be_placed: bool) -> Frame:
    """Describe one frame; it is placed only where position, orientation and pixel size are all known."""
    spacing, at_detector = _pixel_spacing(tags)
    position = numbers(tags, "ImagePositionPatient", 3)
    orientation = _orientation(tags)
    placed = can_be_placed and position and orientation and spacing and not at_detector
    thickness = number(tags, "SpacingBetweenSlices") or number(tags, "SliceThickness") or 0.0
    date = text(tags, "SeriesDate") or text(tags, "AcquisitionDate") or text(tags, "StudyDate")
    return Frame(
        path=path,
        index=index,
        uid=text(tags, "SeriesInstanceUID") or _made_up_uid(tags, path),
        sop_uid=text(tags, "SOPInstanceUID"),
        patient=patient(tags),
        number=whole(tags, "InstanceNumber"),
        series_number=whole(tags, "SeriesNumber"),
        modality=modality(tags),
        anatomy=text(tags, "BodyPartExamined").lower(),
        description=description(tags),
        date=f"{date[:4]}-{date[4:6]}-{date[6:8]}" if len(date) == 8 and date.isdigit() else "",
        size=(whole(tags, "Rows"), whole(tags, "Columns"), whole(tags, "SamplesPerPixel") or 1),
        position=position if placed else None,
        orientation=orientation if placed else None,
        pixel_spacing=spacing,
        at_detector=at_detector,
        thickness=abs(thickness),
        attributes=attributes_of(tags),
    )


def _n_frames(dataset: Dataset) -> int:
    """How many frames the file says it has; a picture without the tag is one."""
    return whole(dataset, "NumberOfFrames") or 1


def _orientation(tags: Dataset) -> tuple[float, ...] | None:
    """Direction cosines of a row and a column at unit length, or None where they span no plane."""
    found = numbers(tags, "ImageOrientationPatient", 6)
    if found is None:
        return None
    pair = np.array(found).reshape(2, 3)
    lengths = np.linalg.norm(pair, axis=1, keepdims=True)
    if lengths.min() < 0.5 or np.linalg.norm(np.cross(*(pair / lengths))) < 0.1:
        return None
    return tuple((pair / lengths).ravel().tolist())


def _pixel_spacing(tags: Dataset) -> tuple[tuple[float, float] | None, bool]:
    """Distance between rows and between columns in mm, and whether it holds only at the detector."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        found = numbers(tags, keyword, 2)
        if found and min(found) > 0:
            return (found[0], found[1]), keyword != "PixelSpacing"
    regions = value(tags, "SequenceOfUltrasoundRegions") or []
    sizes = set()
    for region in regions:
        if whole(region, "RegionSpatialFormat") == 1:  # a 2-D picture, not a curve over time
            in_cm = whole(region, "PhysicalUnitsXDirection") == 3 == whole(region, "PhysicalUnitsYDirection")
            y, x = number(region, "PhysicalDeltaY") or 0.0, number(region, "PhysicalDeltaX") or 0.0
            sizes.add((abs(y) * 10, abs(x) * 10) if in_cm else (0.0, 0.0))
    size = sizes.pop() if len(sizes) == 1 else (0.0, 0.0)
    return (size if min(size) > 0 else None), False


def _made_up_uid(tags: Dataset, path: Path) -> str:
    """A stable name for a series without a UID: the same folder, frame of reference and description."""
    keywords = ("StudyInstanceUID", "FrameOfReferenceUID", "SeriesNumber", "Modality")
    parts = [path.parent.name, description(tags), *(text(tags, keyword) for keyword in keywords)]
    return "no-uid-" + hashlib.sha256("|".join(parts).encode()).hexdigest()[:12]
