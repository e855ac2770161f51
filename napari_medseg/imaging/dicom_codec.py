"""Lets pydicom decompress the JPEG kinds its own decoders do not read, through the GDCM inside SimpleITK.

Many archives store lossless JPEG, and none of the packages pydicom would decode it with is one of ours.
"""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pydicom
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import (
    JPEG2000,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    SecondaryCaptureImageStorage,
    generate_uid,
)

_LABEL = "simpleitk"
DECODER_DEPENDENCIES = {
    uid: ("SimpleITK",)
    for uid in (JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1, JPEG2000, JPEG2000Lossless)
}


def is_available(uid: str) -> bool:
    """Whether this decoder can be used for a transfer syntax (asked by pydicom)."""
    return uid in DECODER_DEPENDENCIES and find_spec("SimpleITK") is not None


def decode_frame(source: bytes, runner: DecodeRunner) -> bytes:
    """Decompress one frame (called by pydicom): GDCM reads only files, so it gets one with this frame."""
    import SimpleITK as sitk

    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = runner.transfer_syntax
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.Modality = "OT"
    dataset.Rows, dataset.Columns = runner.rows, runner.columns
    dataset.SamplesPerPixel = runner.samples_per_pixel
    dataset.PhotometricInterpretation = str(runner.photometric_interpretation)
    if runner.samples_per_pixel > 1:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated, dataset.BitsStored = runner.bits_allocated, runner.bits_stored
    dataset.HighBit = runner.bits_stored - 1
    dataset.PixelRepresentation = runner.pixel_representation
    dataset.PixelData = encapsulate([source])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frame.dcm"
        dataset.save_as(file, enforce_file_format=True)
        pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(file), imageIO="GDCMImageIO"))
    if runner.samples_per_pixel > 1:
        runner.set_option("planar_configuration", 0)
    if str(runner.photometric_interpretation) in ("YBR_ICT", "YBR_RCT"):  # undone by the decoder
        runner.set_option("photometric_interpretation", "RGB")
    kind = "i" if runner.pixel_representation else "u"
    return np.ascontiguousarray(pixels).astype(f"<{kind}{runner.bits_allocated // 8}").tobytes()


def register() -> None:
    """Tell pydicom about this decoder, once."""
    for uid in DECODER_DEPENDENCIES:
        decoder = get_decoder(uid)
        if _LABEL not in decoder.available_plugins:
            decoder.add_plugin(_LABEL, (__name__, "decode_frame"))
