"""One choice of device for the whole product."""

from __future__ import annotations

import torch

from napari_medseg.core.errors import TaskError


def choose_device(wanted: str = "auto") -> str:
    """Turn what a person asked for into a device torch knows.

    Parameters
    ----------
    wanted : str
        "auto" (CUDA, then Apple MPS, then the CPU), "cpu", "cuda", "cuda:n" or "mps".

    Raises
    ------
    TaskError
        If the device asked for is not there; it is never replaced silently.
    """
    if wanted == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    kind, _, number = wanted.partition(":")
    if wanted == "cpu" or (wanted == "mps" and torch.backends.mps.is_available()):
        return wanted
    if kind == "cuda" and (not number or number.isdecimal()):
        if torch.cuda.is_available() and int(number or 0) < torch.cuda.device_count():
            return wanted
        raise TaskError(f"There is no CUDA device '{wanted}' on this machine; use --device auto or cpu.")
    if wanted == "mps":
        raise TaskError("Apple's MPS is not available on this machine; use --device auto or cpu.")
    raise TaskError(f"'{wanted}' is no device; use auto, cpu, cuda, cuda:0 or mps.")
