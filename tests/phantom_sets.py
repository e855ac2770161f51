"""Data sets of phantoms on disk."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from napari_medseg.core.phantoms import ct_phantom, slice_phantom
from napari_medseg.imaging.files import write_mask, write_volume


def write_phantoms(
    folder: Path, rows: Sequence[tuple[str, str]], *, dim: int = 2, role: str = "seen", size: int = 64
) -> Path:
    """Write one phantom for each (group, split), with its index and description."""
    for room in ("images", "masks"):
        (folder / room).mkdir(parents=True)
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "group", "split"])
        for seed, (group, split) in enumerate(rows):
            volume, mask = slice_phantom(size, seed) if dim == 2 else ct_phantom((8, 40, 40), seed)
            name = f"p{seed}.png" if dim == 2 else f"p{seed}.nii.gz"
            write_volume(volume, folder / "images" / name)
            write_mask(mask, folder / "masks" / name, volume)
            writer.writerow([name, group, split])
    classes = {str(number): name for number, name in enumerate(mask.names, start=1)}
    regions = {"gland": [1, 2], "lesion": [2]} if dim == 2 else {}
    about = {"classes": classes, "dim": dim, "regions": regions, "role": role, "modality": "US"}
    (folder / "dataset.json").write_text(json.dumps(about))
    return folder


def patients(n: int, split: str, each: int = 1) -> list[tuple[str, str]]:
    """Rows of n patients of a split with so many images each."""
    return [(f"{split} {i}", split) for i in range(n) for _ in range(each)]
