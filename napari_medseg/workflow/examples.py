"""Annotated images that teach a method: a folder of images and masks, a data set, or one pair of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_medseg.core.errors import ReadError, TaskError
from napari_medseg.core.mask import Mask
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.request import Example
from napari_medseg.core.structure import UNTITLED
from napari_medseg.core.task import Task
from napari_medseg.core.volume import Volume
from napari_medseg.workflow.images import open_mask, open_volume

MOST_PAIRS = 200
MOST_BYTES = 1024**3  # of voxels that examples may take in memory
_MOST_STRUCTURES = 32  # a mask with more values numbers its objects, not its structures
_MASK_SUFFIXES = (".png", ".nii.gz", ".nii", ".nrrd", ".mha", ".tif", ".tiff")


@dataclass(frozen=True, eq=False)
class Examples:
    """Examples with what to tell about them, and the session's case of each where they come from one."""

    examples: tuple[Example, ...]
    notes: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The structures they show, in order."""
        return tuple(dict.fromkeys(name for example in self.examples for name in example.mask.names))


@dataclass(frozen=True)
class _Pair:
    """An image and its mask, with what dataset.json says of both; `about` is empty where there is none."""

    image: Path
    truth: Path
    about: Mapping[str, Any]

    def read(self) -> tuple[Volume, Mask]:
        """The image and its mask: one structure a region of the data set, else one a value."""
        volume = open_volume(self.image)
        if not self.about:
            return volume, open_mask(self.truth, volume)
        from napari_medseg.learning.data import Item
        from napari_medseg.learning.description import classes_and_regions

        words = str(self.about.get("modality", "")), str(self.about.get("anatomy", ""))
        item = Item(self.image, self.truth, "", "", *words, *classes_and_regions(self.about, self.folder))
        volume = replace(volume, modality=item.modality, anatomy=item.anatomy)
        return volume, item.mask(volume)

    @property
    def folder(self) -> str:
        """What to call the folder it comes from."""
        above = self.image.parent
        return above.parent.name if above.name == "images" else above.name


def read_examples(source: Path, task: Task | None = None) -> Job[Examples]:
    """Read the annotated images of a folder with images/ and masks/, of a data set, or of a folder of these.

    A picture teaches whole; of a volume the slices of its native plane that hold a label do. Structures are
    named by dataset.json, else the values 1, 2, ... are those of the task in order; masks with one value
    only teach the one structure that is asked for.

    Raises
    ------
    ReadError, GeometryError, TaskError
        If there are no pairs, a file cannot be read, a mask does not lie on its image, or the structures
        are not those of the task.
    """
    pairs: list[_Pair] = []
    notes: list[str] = []
    for folder in _folders(Path(source).absolute()):
        found, without = _pairs(folder)
        pairs += found
        if without:
            n = len(found) + len(without)
            notes.append(f"{len(without)} of {n} images in {folder.name} have no mask and teach nothing.")
    if len(pairs) > MOST_PAIRS:
        notes.append(f"Only the first {MOST_PAIRS} of {len(pairs)} pairs were read.")
    return (yield from _read(pairs[:MOST_PAIRS], task, notes))


def read_pair(image: Path, mask: Path, task: Task | None = None) -> Job[Examples]:
    """Read one annotated image, as `read_examples` reads a folder of them."""
    image = Path(image).absolute()
    return (yield from _read([_Pair(image, Path(mask), _about(image.parent.parent))], task, []))


def _folders(source: Path) -> list[Path]:
    """The folders with pairs: the one given, or those in it."""
    if not source.is_dir():
        what = "is a file" if source.exists() else "is not there"
        raise ReadError(f"'{source}' {what}; examples are a folder with images/ and masks/.")
    if (source / "images").is_dir() or (source / "masks").is_dir():
        return [source]
    inside = [path for path in sorted(source.iterdir()) if (path / "images").is_dir()]
    if not inside:
        raise ReadError(f"'{source}' has no folder images/; examples are a folder with images/ and masks/.")
    return inside


def _pairs(folder: Path) -> tuple[list[_Pair], list[Path]]:
    """The images of a folder with their masks, and those without."""
    from napari_medseg.imaging.checks import name_of
    from napari_medseg.imaging.files import SUFFIXES

    for part in ("images", "masks"):
        if not (folder / part).is_dir():
            raise ReadError(f"'{folder}' has no folder {part}/; examples are pairs in images/ and masks/.")
    files = sorted(path for path in (folder / "images").iterdir() if path.name.lower().endswith(SUFFIXES))
    files = [path for path in files if not path.name.startswith(".")]
    if not files:
        raise ReadError(f"'{folder / 'images'}' holds no image; put images there and their masks in masks/.")
    about, pairs, without = _about(folder), [], []
    for path in files:
        name = name_of(path, SUFFIXES)
        masks = (folder / "masks" / f"{name}{suffix}" for suffix in _MASK_SUFFIXES)
        truth = next((mask for mask in masks if mask.is_file()), None)
        if truth is None:
            without.append(path)
        else:
            pairs.append(_Pair(path, truth, about))
    if not pairs:
        name = name_of(files[0], SUFFIXES)
        raise ReadError(
            f"No image in '{folder / 'images'}' has a mask: '{files[0].name}' needs 'masks/{name}.png' "
            "or another label map of its name."
        )
    return pairs, without


def _about(folder: Path) -> dict[str, Any]:
    """What dataset.json says, nothing where there is none."""
    from napari_medseg.learning.description import read_json

    return read_json(folder / "dataset.json") if (folder / "dataset.json").is_file() else {}


def _read(pairs: Sequence[_Pair], task: Task | None, notes: list[str]) -> Job[Examples]:
    """Read pairs as long as memory allows, then name their structures and leave out what shows none."""
    read: list[tuple[_Pair, Volume, Mask]] = []
    n_bytes = 0
    for n, pair in enumerate(pairs):
        yield Progress(n / len(pairs), f"Reading {pair.image.name}")
        volume, mask = pair.read()
        n_bytes += volume.array.nbytes
        if read and n_bytes > MOST_BYTES:
            notes.append(f"Only the first {n} of {len(pairs)} pairs were read; more would fill the memory.")
            break
        read.append((pair, volume, mask))
    yield Progress(1.0, "Naming the structures")
    wanted = task.structure_names if task is not None else ()
    meant = _meanings(read, wanted)
    examples = [example(volume, mask, meant[pair.folder]) for pair, volume, mask in read]
    useful = [one for one in examples if any(array.any() for array in one.mask.arrays)]
    if not useful:
        which = f"The mask {pairs[0].truth.name}" if len(read) == 1 else f"Each of the {len(read)} masks"
        raise ReadError(f"{which} is empty or shows nothing of what is asked for; outline it there first.")
    if n_empty := len(read) - len(useful):
        first = next(p.truth.name for (p, _, _), one in zip(read, examples, strict=True) if one not in useful)
        notes.append(f"{n_empty} of {len(read)} masks show nothing and were left out, such as {first}.")
    return Examples(tuple(useful), tuple(notes))


def _meanings(read: Sequence[tuple[_Pair, Volume, Mask]], wanted: Sequence[str]) -> dict[str, dict[str, str]]:
    """For each folder what its structures are called where they teach; others teach nothing."""
    there: dict[str, dict[str, bool]] = {}
    for pair, _, mask in read:
        there.setdefault(pair.folder, {}).update(dict.fromkeys(mask.names, bool(pair.about)))
    return {
        folder: (_by_name if all(names.values()) else _by_value)(list(names), wanted, folder)
        for folder, names in there.items()
    }


def _by_name(names: Sequence[str], wanted: Sequence[str], folder: str) -> dict[str, str]:
    """Match the structures of a data set with those asked for; large and small letters are alike."""
    if not names or not set(wanted) - {UNTITLED}:
        return {name: name for name in names}
    known = {name.casefold(): name for name in wanted}
    meant = {name: known[name.casefold()] for name in names if name.casefold() in known}
    if not meant and len(names) == len(wanted) == 1:
        meant = {names[0]: wanted[0]}
    if not meant:
        raise TaskError(
            f"The examples in '{folder}' show {', '.join(names)}, but {', '.join(wanted)} is asked for; "
            "choose examples of it, or ask for one of theirs."
        )
    return meant


def _by_value(names: Sequence[str], wanted: Sequence[str], folder: str) -> dict[str, str]:
    """Give the values of label maps ("label 1", ...) the names asked for, in order."""
    values = sorted(int(name.rsplit(" ", 1)[1]) for name in names)
    if len(values) > _MOST_STRUCTURES:
        raise TaskError(
            f"The masks in '{folder}' hold {len(values)} values, so they number single objects; "
            "a mask needs one value for each structure."
        )
    if len(values) <= 1 and len(wanted) == 1:
        return {f"label {value}": wanted[0] for value in values}
    if not set(wanted) - {UNTITLED}:
        return {f"label {value}": f"structure {n}" for n, value in enumerate(values, start=1)}
    if values and values[-1] > len(wanted):
        raise TaskError(
            f"The masks in '{folder}' hold the values {', '.join(map(str, values))}, but there is a "
            f"structure for 1 to {len(wanted)} only: {', '.join(wanted)}; choose masks of these."
        )
    return {f"label {value}": wanted[value - 1] for value in values}


def example(volume: Volume, mask: Mask, meant: Mapping[str, str]) -> Example:
    """Make an example of a mask's structures by the names they teach; slices without a label are unknown."""
    labelled = np.logical_or.reduce([array.any(axis=(1, 2)) for array in mask.arrays] or [np.zeros(1, bool)])
    for name in mask.names:
        if name not in meant:
            mask = mask.remove(name)
        elif meant[name] != name:
            mask = mask.update(name, replace(mask.structure(name), name=meant[name]))
    return Example(volume, mask.review(volume.geometry.native_plane, np.flatnonzero(labelled).tolist()))
