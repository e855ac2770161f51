"""Writes small DICOM files for tests, with pydicom and nothing of ours."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import CTImageStorage, EnhancedMRImageStorage, ExplicitVRLittleEndian, generate_uid

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
PIXEL = (0.7, 0.8)  # mm between rows, between columns


def oblique() -> tuple[float, ...]:
    """Direction cosines turned by 20 and 10 degrees."""
    a, b = np.radians([20, 10])
    turn_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    return tuple((turn_z @ turn_x)[:, :2].T.ravel().tolist())


def normal(orientation: Sequence[float]) -> np.ndarray:
    """The direction in which slices are stacked."""
    return np.cross(orientation[:3], orientation[3:])


def dataset(pixels: np.ndarray, **tags: Any) -> Dataset:
    """One slice: int16 or uint8 (rows, columns[, 3]); tags by keyword, None leaves one out."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    result = Dataset()
    result.file_meta, result.preamble = meta, b"\0" * 128
    bits = 8 * pixels.dtype.itemsize
    values: dict[str, Any] = {
        "SOPClassUID": CTImageStorage, "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4", "PatientName": "Nachname^Vorname",
        "PatientID": "PAT-4711", "Modality": "CT", "SeriesDescription": "Phantom", "SeriesDate": "20210203",
        "SeriesNumber": 3, "InstanceNumber": 1, "BodyPartExamined": "ABDOMEN",
        "ImagePositionPatient": [0.0, 0.0, 0.0], "ImageOrientationPatient": list(AXIAL),
        "PixelSpacing": list(PIXEL), "SliceThickness": 3.0,
        "Rows": pixels.shape[0], "Columns": pixels.shape[1],
        "SamplesPerPixel": 3 if pixels.ndim == 3 else 1,
        "PhotometricInterpretation": "RGB" if pixels.ndim == 3 else "MONOCHROME2",
        "BitsAllocated": bits, "BitsStored": bits, "HighBit": bits - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
    }  # fmt: skip
    if pixels.ndim == 3:
        values["PlanarConfiguration"] = 0
    for keyword, value in (values | tags).items():
        if value is not None:
            setattr(result, keyword, value)
    result.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    return result


def write(folder: Path, name: str, pixels: np.ndarray, **tags: Any) -> Path:
    """Write one slice."""
    folder.mkdir(parents=True, exist_ok=True)
    dataset(pixels, **tags).save_as(folder / name, enforce_file_format=True)
    return folder / name


def plane(value: int, shape: tuple[int, int] = (6, 8)) -> np.ndarray:
    """A slice whose values tell which it is and where in it one looks: (rows, columns) int16."""
    return (value * 100 + np.arange(np.prod(shape)).reshape(shape)).astype(np.int16)


def write_series(
    folder: Path,
    positions: Sequence[Sequence[float]],
    orientation: Sequence[float] = AXIAL,
    *,
    seed: int = 0,
    value: int = 0,
    **tags: Any,
) -> list[Path]:
    """Write slices, the k-th of value `value` + k, under shuffled names and numbers.

    A tag given as a list has one value for each slice. Returns the files in the order of `positions`.
    """
    order = np.random.default_rng(seed).permutation(len(positions))
    paths = []
    for k, position in enumerate(positions):
        own = {key: each[k] if isinstance(each, list) else each for key, each in tags.items()}
        own = {"InstanceNumber": int(order[k]) + 1} | own
        paths.append(
            write(
                folder,
                f"{value}_{order[k]:03d}.dcm",
                plane(value + k),
                ImagePositionPatient=[float(x) for x in position],
                ImageOrientationPatient=[float(x) for x in orientation],
                **own,
            )
        )
    return paths


def along(orientation: Sequence[float], distances: Sequence[float], origin: Sequence[float] = (5, -7, 11)):
    """Positions at distances along the normal."""
    return [np.array(origin, float) + d * normal(orientation) for d in distances]


def enhanced(frames: Sequence[dict[str, Any]], orientation: Sequence[float] = AXIAL) -> Dataset:
    """An enhanced MR file: a frame has `position`, `value` and perhaps `b`, `slope`."""
    pixels = np.stack([plane(frame["value"]) for frame in frames])
    result = dataset(
        pixels[0], Modality="MR", NumberOfFrames=len(frames), ImagePositionPatient=None,
        ImageOrientationPatient=None, PixelSpacing=None, SliceThickness=None,
    )  # fmt: skip
    result.SOPClassUID = result.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    result.PixelData = pixels.tobytes()
    shared = Dataset()
    shared.PixelMeasuresSequence = _item(PixelSpacing=list(PIXEL), SliceThickness=3.0)
    shared.PlaneOrientationSequence = _item(ImageOrientationPatient=[float(x) for x in orientation])
    result.SharedFunctionalGroupsSequence = Items([shared])
    groups = []
    for frame in frames:
        group = Dataset()
        group.PlanePositionSequence = _item(ImagePositionPatient=[float(x) for x in frame["position"]])
        if "b" in frame:
            group.MRDiffusionSequence = _item(DiffusionBValue=float(frame["b"]))
        group.PixelValueTransformationSequence = _item(
            RescaleSlope=frame.get("slope", 1), RescaleIntercept=0, RescaleType="US"
        )
        groups.append(group)
    result.PerFrameFunctionalGroupsSequence = Items(groups)
    return result


def _item(**tags: Any) -> Items:
    """A sequence of one item."""
    item = Dataset()
    for keyword, value in tags.items():
        setattr(item, keyword, value)
    return Items([item])
