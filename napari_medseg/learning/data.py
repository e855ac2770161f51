"""Data sets as folders: images, masks of class numbers, and who belongs to which split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.errors import ReadError
from napari_medseg.core.mask import Mask
from napari_medseg.core.task import Rule, Task, task_of
from napari_medseg.core.volume import Volume
from napari_medseg.learning.description import classes_and_regions, read_json, read_rows

_MASK_SUFFIXES = (".png", ".nii.gz", ".nrrd")


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
        read = self._classes_of(volume)
        labels = np.zeros(read.geometry.shape, np.uint8)
        for number, name in self.classes.items():
            labels[read.of(name)] = number
        return labels

    def mask(self, volume: Volume | None = None) -> Mask:
        """Read the mask, one structure a region; with the volume given, it must lie on its grid."""
        read = self._classes_of(volume)
        mask = Mask.empty(read.geometry, task_of("", tuple(self.regions)).structures)
        for name, numbers in self.regions.items():
            mask = mask.put(name, np.logical_or.reduce([read.of(self.classes[n]) for n in numbers]))
        return mask

    def _classes_of(self, volume: Volume | None) -> Mask:
        """Read the mask, one structure a class; ReadError if it holds classes that nobody named."""
        from napari_medseg.imaging.files import read_mask

        read = read_mask(self.truth, volume.geometry if volume else None, self.classes)
        if unknown := set(read.names) - set(self.classes.values()):
            found = ", ".join(sorted(unknown))
            raise ReadError(f"{self.truth.name} holds {found}, which dataset.json does not name.")
        return read


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
    terms : str
        The licence or terms the set names for itself; weights trained on it inherit them.
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
    terms: str = ""

    def select(self, split: str) -> tuple[Item, ...]:
        """Items of one split; "all" gives every one."""
        return tuple(item for item in self.items if split in ("all", item.split))


def read_dataset(folder: Path) -> Dataset:
    """Read what a data-set folder says of itself; no image is opened.

    Raises
    ------
    ReadError
        If `dataset.json` or `index.csv` is missing, damaged or does not fit the folder.
    """
    folder = Path(folder)
    about = read_json(folder / "dataset.json")
    classes, regions = classes_and_regions(about, folder.name)
    words = {key: str(about.get(key, "")) for key in ("modality", "anatomy", "objective")}
    role, dim = about.get("role", "seen"), about.get("dim", 2)
    if role not in ("seen", "unseen") or dim not in (2, 3):
        raise ReadError(f'{folder.name}/dataset.json needs a "role" of seen or unseen and a "dim" of 2 or 3.')
    pattern = Item(folder, folder, "", "", words["modality"], words["anatomy"], classes, regions)
    task = replace(task_of(folder.name, tuple(regions), **words), rules=_rules(regions))
    terms = str(about.get("terms", "see the source of the data set"))
    items = _items(folder, pattern)
    return Dataset(folder.name, folder, task, classes, regions, role, dim, items, terms)


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
    items = []
    split_of: dict[str, str] = {}
    for row in read_rows(folder / "index.csv"):
        name = Path(row["file"]).name  # nothing outside the folder is ever named
        image = folder / "images" / name
        stem = name.removesuffix(".gz").rsplit(".", 1)[0]
        masks = [folder / "masks" / f"{stem}{suffix}" for suffix in _MASK_SUFFIXES]
        truth = next((path for path in masks if path.is_file()), None)
        if not image.is_file() or truth is None:
            raise ReadError(f"{folder.name}/index.csv names '{name}', but its image or mask is missing.")
        group, split = row["group"] or name, row["split"]
        for what in (f"file {name}", f"group {group}"):
            if split_of.setdefault(what, split) != split:
                raise ReadError(f"{folder.name}/index.csv has {what} in two splits; a test would be unfair.")
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
