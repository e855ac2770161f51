"""Writes a volume as a folder of DICOM slices: for timing and trying out, never a patient's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from napari_medseg.core.errors import GeometryError
from napari_medseg.core.volume import Volume


def write_ct(volume: Volume, folder: Path) -> Path:
    """Write a made-up CT as one uncompressed DICOM file a slice, without any name.

    Raises
    ------
    GeometryError
        If its values are not whole Hounsfield units in int16, or its axes do not stand upright on each other.
    """
    if volume.array.dtype != np.int16 or volume.n_channels > 1 or volume.geometry.is_sheared:
        raise GeometryError("Only a CT of int16 values on a grid with right angles can be written as DICOM.")
    folder.mkdir(parents=True, exist_ok=True)
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    for index in range(len(volume.array)):
        _slice(volume, index, uids).save_as(folder / f"{index:04d}.dcm", enforce_file_format=True)
    return folder


def _slice(volume: Volume, index: int, uids: Mapping[str, str]) -> Dataset:
    """One slice as a data set."""
    geometry, pixels = volume.geometry, volume.array[index]
    directions = geometry.affine[:3, :3] / np.array(geometry.spacing)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    result = Dataset()
    result.file_meta = meta
    values = {
        **uids, "SOPClassUID": CTImageStorage, "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "PatientName": "", "PatientID": "", "Modality": "CT", "SeriesDescription": volume.name,
        "SeriesNumber": 1, "InstanceNumber": index + 1,
        "ImagePositionPatient": (geometry.affine @ (index, 0, 0, 1))[:3].round(6).tolist(),
        "ImageOrientationPatient": directions[:, [2, 1]].T.round(8).ravel().tolist(),
        "PixelSpacing": list(geometry.spacing[1:]), "SliceThickness": geometry.spacing[0],
        "Rows": pixels.shape[0], "Columns": pixels.shape[1], "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15,
        "PixelRepresentation": 1, "RescaleIntercept": 0, "RescaleSlope": 1, "RescaleType": "HU",
        "PixelData": pixels.tobytes(),
    }  # fmt: skip
    for keyword, value in values.items():
        setattr(result, keyword, value)
    return result
