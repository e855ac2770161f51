"""Score masks against the truth: files, or folders whose files are matched by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from napari_medseg.core.errors import ReadError, TaskError
from napari_medseg.core.geometry import Geometry
from napari_medseg.core.mask import Mask, Region
from napari_medseg.core.metrics import Scores
from napari_medseg.core.metrics import score as score_regions
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.statistics import Interval, paired_bootstrap
from napari_medseg.learning.data import Item, read_dataset


@dataclass(frozen=True)
class Line:
    """One structure of one image, scored."""

    case: str
    group: str
    structure: str
    scores: Scores
    unit: str  # of hd95 and asd: "mm" or "px"


@dataclass(frozen=True)
class Evaluation:
    """All lines, and what they say together: structures averaged in an image, images in the mean."""

    scored: tuple[Line, ...]
    notes: tuple[str, ...] = ()

    def mean(self, measure: str = "dice", structure: str | None = None) -> Interval:
        """Mean of a measure with its 95 % interval, of all structures or of one; patients drawn whole."""
        by_case: dict[str, list[float]] = {}
        group = {line.case: line.group for line in self.scored}
        for line in self.scored:
            value = float(getattr(line.scores, measure))
            if structure in (None, line.structure) and not math.isnan(value):
                by_case.setdefault(line.case, []).append(value)
        return paired_bootstrap([fmean(v) for v in by_case.values()], [group[case] for case in by_case])

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of all structures scored, in the order they were met."""
        return tuple(dict.fromkeys(line.structure for line in self.scored))

    def record(self) -> dict[str, Any]:
        """Everything as plain values, for JSON; NaN becomes None."""
        return {
            "mean": {name: self._summary(None, name) for name in asdict(self.scored[0].scores)},
            "structures": {
                structure: {name: self._summary(structure, name) for name in asdict(self.scored[0].scores)}
                for structure in self.structures
            },
            "images": [
                {"case": line.case, "structure": line.structure, "unit": line.unit}
                | {name: _plain(value) for name, value in asdict(line.scores).items()}
                for line in self.scored
            ],
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """A table to read: one line a structure, then all of them together."""
        unit = "/".join(sorted({line.unit for line in self.scored}))
        head = f"{'structure':<32} {'Dice [95 % interval]':<24} {'surface':>8} {'HD95 ' + unit:>9}  images"
        rows = [self._text(structure, structure) for structure in self.structures]
        if len(rows) > 1:
            rows.append(self._text("all", None))
        return [head, *rows, *self._absent(), *self.notes]

    def _text(self, title: str, structure: str | None) -> str:
        """One line of the table."""
        dice, surface, far = (self.mean(m, structure) for m in ("dice", "surface_dice", "hd95"))
        interval = f"{dice.mean:.3f} [{dice.low:.3f}, {dice.high:.3f}]"
        return f"{title[:32]:<32} {interval:<24} {surface.mean:>8.3f} {far.mean:>9.2f} {dice.n:>7}"

    def _absent(self) -> list[str]:
        """What was outlined where a structure is absent, one line a structure."""
        found = {name: self.mean("false_positive", name) for name in self.structures}
        return [
            f"{name}: {100 * area.mean:.3g} % of the image outlined where it is absent ({area.n} images)"
            for name, area in found.items()
            if area.n
        ]

    def _summary(self, structure: str | None, measure: str) -> dict[str, Any]:
        """One mean as plain values."""
        return {name: _plain(value) for name, value in asdict(self.mean(measure, structure)).items()}


def score(pred: Region, truth: Region, geometry: Geometry) -> Scores:
    """Score one outline (Z, Y, X) on a grid; surfaces within 2 mm, or 2 pixels, count as equal."""
    return score_regions(pred, truth, geometry.spacing)


def evaluate_files(pred: Path, truth: Path) -> Job[Evaluation]:
    """Score a mask against the truth, or every mask of a folder against the one of the same name.

    Parameters
    ----------
    pred : Path
        A mask, or a folder of them.
    truth : Path
        A mask, a folder of them, or a data set; then its classes, regions and groups are used, and a
        structure missing from both counts as 1. Without a data set every class number found in either
        mask of a pair is one structure.

    Raises
    ------
    ReadError, GeometryError, TaskError
        If a file cannot be read, does not lie on its truth, or has no truth.
    """
    pairs, notes = _pairs(pred, truth)
    scored: list[Line] = []
    for number, (item, answer) in enumerate(pairs):
        yield Progress(number / len(pairs), f"scoring {answer.name}")
        scored += _score_pair(item, answer)
    if not scored:
        raise TaskError(f"There is nothing to score: neither {pred.name} nor {truth.name} outlines anything.")
    return Evaluation(tuple(scored), notes)


def _score_pair(item: Item, answer: Path) -> list[Line]:
    """Score every structure of one image."""
    from napari_medseg.imaging.files import read_mask

    truth = read_mask(item.truth, None, item.classes)
    pred = read_mask(answer, truth.geometry, item.classes)
    regions = _regions(item, (*truth.names, *pred.names), answer)
    unit = "mm" if truth.geometry.spacing_known else "px"
    lines = []
    for name, members in regions.items():
        scores = score(_union(pred, members), _union(truth, members), truth.geometry)
        lines.append(Line(_stem(answer), item.group, name, scores, unit))
    return lines


def _regions(item: Item, found: Sequence[str], answer: Path) -> Mapping[str, tuple[str, ...]]:
    """Structure name to the names of the classes that belong to it."""
    if not item.regions:
        return {name: (name,) for name in dict.fromkeys(found)}
    unknown = sorted(set(found) - set(item.classes.values()))
    if unknown:
        words = ", ".join(unknown)
        raise TaskError(f"{answer.name} or its truth has {words}, which the data set does not name.")
    return {name: tuple(item.classes[n] for n in numbers) for name, numbers in item.regions.items()}


def _union(mask: Mask, members: Sequence[str]) -> Region:
    """All voxels of some classes, none where the mask has none of them."""
    region = np.zeros(mask.geometry.shape, bool)
    for name in members:
        if name in mask.names:
            region |= mask.of(name)
    return region


def _pairs(pred: Path, truth: Path) -> tuple[list[tuple[Item, Path]], tuple[str, ...]]:
    """Match masks with their truth by name."""
    for path in (pred, truth):
        if not path.exists():
            raise ReadError(f"There is no {path.name} to evaluate.")
    items = {_stem(item.truth): item for item in _truths(truth)}
    if pred.is_file():
        item = items.get(_stem(pred)) or (next(iter(items.values())) if truth.is_file() else None)
        if item is None:
            raise TaskError(f"{truth.name} has no mask named as {pred.name}.")
        return [(item, pred)], ()
    answers = _masks_in(pred)
    strangers = [path.name for path in answers if _stem(path) not in items]
    if strangers or not answers:
        what = f"{strangers[0]} (and {len(strangers) - 1} more)" if strangers else "any mask"
        raise TaskError(f"{truth.name} has no truth for {what} of {pred.name}; names must be equal.")
    left = len(items) - len(answers)
    notes = (f"{left} masks of {truth.name} have no counterpart in {pred.name} and were not scored.",)
    return [(items[_stem(path)], path) for path in answers], notes if left else ()


def _truths(truth: Path) -> tuple[Item, ...]:
    """Truth masks with what their data set says of them, if there is one."""
    for folder in (truth, truth.parent, truth.parent.parent):
        if (folder / "dataset.json").is_file() and (folder / "index.csv").is_file():
            items = read_dataset(folder).items
            return tuple(item for item in items if not truth.is_file() or item.truth.name == truth.name)
    files = _masks_in(truth) if truth.is_dir() else [truth]
    return tuple(Item(path, path, _stem(path), "", "", "", {}, {}) for path in files)


def _masks_in(folder: Path) -> list[Path]:
    """Files of a folder that can hold a mask."""
    from napari_medseg.imaging.files import SUFFIXES

    return sorted(path for path in folder.iterdir() if path.name.lower().endswith(SUFFIXES))


def _stem(path: Path) -> str:
    """A file's name without its format."""
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]


def _plain(value: Any) -> Any:
    """A number for JSON, which knows no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
