"""Data sets as folders: images, masks of class numbers, and who belongs to which split."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.errors import ReadError
from napari_medseg.core.mask import Mask
from napari_medseg.core.task import Rule, Task, task_of
from napari_medseg.core.volume import Volume

_MASK_SUFFIXES = (".png", ".nii.gz", ".nrrd")
_LARGEST_INDEX = 50_000_000  # bytes of dataset.json or index.csv; larger ones are not ours


@dataclass(frozen=True)
class Item:
    """One image with its mask, its group (patient or case) and its split."""

    image: Path
    truth: Path
    group: str
    split: str
    modality: str
    anatomy: str
    classes: Mapping[int, str]
    regions: Mapping[str, tuple[int, ...]]

    def volume(self) -> Volume:
        """Read the image, with the data set's words for modality and region."""
        from napari_medseg.imaging.files import read_volume

        return replace(read_volume(self.image), modality=self.modality, anatomy=self.anatomy)

    def labels(self, volume: Volume | None = None) -> NDArray[np.uint8]:
        """Read the mask as class numbers (Z, Y, X), exactly one a voxel, as stored."""
        from napari_medseg.imaging.files import read_mask

        read = read_mask(self.truth, volume.geometry if volume else None, self.classes)
        labels = np.zeros(read.geometry.shape, np.uint8)
        for number, name in self.classes.items():
            labels[read.of(name)] = number
        return labels

    def mask(self, volume: Volume | None = None) -> Mask:
        """Read the mask, one structure a region; with the volume given, it must lie on its grid."""
        from napari_medseg.imaging.files import read_mask

        read = read_mask(self.truth, volume.geometry if volume else None, self.classes)
        mask = Mask.empty(read.geometry, task_of("", tuple(self.regions)).structures)
        for name, numbers in self.regions.items():
            mask = mask.put(name, np.logical_or.reduce([read.of(self.classes[n]) for n in numbers]))
        return mask


@dataclass(frozen=True)
class Dataset:
    """A folder of images and masks for one task.

    Parameters
    ----------
    name : str
        The folder's name, which is also the task's slug.
    task : Task
        Its structures are the regions, what is outlined and scored.
    regions : Mapping
        Structure name to the class numbers that belong to it. Where one structure lies inside another
        these overlap (disc = rim and cup); elsewhere each class is one region.
    role : str
        "seen" may train what is released; "unseen" never does.
    dim : int
        2 for pictures, 3 for volumes.
    """

    name: str
    folder: Path
    task: Task
    classes: Mapping[int, str]
    regions: Mapping[str, tuple[int, ...]]
    role: str
    dim: int
    items: tuple[Item, ...]

    def select(self, split: str) -> tuple[Item, ...]:
        """Items of one split; "all" gives every one."""
        return tuple(item for item in self.items if split in ("all", item.split))


def read_dataset(folder: Path) -> Dataset:
    """Read what a data-set folder says of itself; no image is opened.

    Raises
    ------
    ReadError
        If `dataset.json` or `index.csv` is missing or does not fit the folder.
    """
    folder = Path(folder)
    about: dict[str, Any] = _read_json(folder / "dataset.json")
    classes = {int(n): str(name) for n, name in about.get("classes", {}).items() if int(n) > 0}
    if not classes:
        raise ReadError(f'{folder.name}/dataset.json names no classes; add a "classes" entry.')
    regions = {
        str(name): tuple(int(n) for n in numbers) for name, numbers in about.get("regions", {}).items()
    }
    words = {key: str(about.get(key, "")) for key in ("modality", "anatomy", "objective")}
    regions = regions or {name: (n,) for n, name in sorted(classes.items())}
    unknown = {n for numbers in regions.values() for n in numbers} - set(classes)
    if unknown:
        raise ReadError(f"{folder.name}/dataset.json has regions of classes it does not name: {unknown}.")
    return Dataset(
        folder.name,
        folder,
        replace(task_of(folder.name, tuple(regions), **words), rules=_rules(regions)),
        classes,
        regions,
        str(about.get("role", "seen")),
        int(about.get("dim", 2)),
        _items(folder, Item(folder, folder, "", "", words["modality"], words["anatomy"], classes, regions)),
    )


def read_datasets(sources: Sequence[Path]) -> tuple[Dataset, ...]:
    """Read data sets, each source being one or a folder of them; folders without an index are passed over.

    Raises
    ------
    ReadError
        If there is no data set in any source.
    """
    found = []
    for source in map(Path, sources):
        inside = sorted(path for path in source.iterdir() if path.is_dir()) if source.is_dir() else []
        folders = [source] if (source / "dataset.json").is_file() else inside
        found += [read_dataset(path) for path in folders if (path / "index.csv").is_file()]
    if not found:
        names = ", ".join(str(source) for source in sources)
        raise ReadError(f"There is no data set in {names}; a data set holds dataset.json and index.csv.")
    return tuple(found)


def _items(folder: Path, pattern: Item) -> tuple[Item, ...]:
    """Read index.csv, find each image's mask, and fill the pattern with them."""
    index = folder / "index.csv"
    if not index.is_file():
        raise ReadError(f"{folder.name} has no index.csv with file, group and split of each image.")
    items = []
    with index.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            name = Path(row.get("file") or "").name
            image = folder / "images" / name
            stem = name.removesuffix(".gz").rsplit(".", 1)[0]
            masks = [folder / "masks" / f"{stem}{suffix}" for suffix in _MASK_SUFFIXES]
            truth = next((path for path in masks if path.is_file()), None)
            if not image.is_file() or truth is None:
                raise ReadError(f"{folder.name}/index.csv names '{name}', but its image or mask is missing.")
            group, split = row.get("group") or name, row.get("split") or ""
            items.append(replace(pattern, image=image, truth=truth, group=group, split=split))
    return tuple(items)


def _rules(regions: Mapping[str, tuple[int, ...]]) -> tuple[Rule, ...]:
    """A region whose classes all belong to another one lies inside it."""
    return tuple(
        Rule("inside", small, large)
        for small, few in regions.items()
        for large, many in regions.items()
        if set(few) < set(many)
    )


def _read_json(path: Path) -> dict[str, Any]:
    """Read a small JSON object or say what is wrong with it."""
    if not path.is_file():
        raise ReadError(f"{path.parent.name} has no {path.name}, so it is not a data set.")
    if path.stat().st_size > _LARGEST_INDEX:
        raise ReadError(f"{path.parent.name}/{path.name} is too large to be a data set's description.")
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise ReadError(f"{path.parent.name}/{path.name} is damaged: it is not JSON.") from None
    if not isinstance(about, dict):
        raise ReadError(f"{path.parent.name}/{path.name} is damaged: it is not a JSON object.")
    return about
