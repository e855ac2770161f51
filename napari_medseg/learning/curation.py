"""Choose good training samples by rules a reader can check, as MedSeg-HQ was chosen by five experts.

Source: SegMoTE (2026), MedSeg-HQ's five dimensions of quality.

Differs: rules in place of the experts; what a person decided about a sample outweighs them.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_medseg.core.model import Preparation
from napari_medseg.core.progress import Job
from napari_medseg.imaging.prepare import Picture
from napari_medseg.learning.data import read_datasets
from napari_medseg.learning.labelled import labelled_dataset

LEAST, MOST = 0.001, 0.6  # share of the picture that a structure may take
LARGEST = 0.5  # least share of the largest component, where a class is one thing
RING = 5  # pixels around a structure, which it is compared with
SPREAD = 3.0  # median absolute deviations from the median of the data set
_MEASURED = ("clarity", "contrast", "entropy", "foreground")


@dataclass(frozen=True)
class Quality:
    """How good a picture and an outline are.

    Parameters
    ----------
    clarity : float
        Variance of the Laplacian of the picture, stretched to 0 to 1.
    contrast : float
        Difference of the means inside and in a ring of 5 pixels, in the ring's standard deviations.
    entropy : float
        Of a histogram of 256 bins, in bits.
    foreground : float
        Share of the picture outlined.
    n_components : int
    largest : float
        Share of the largest component.
    """

    clarity: float
    contrast: float
    entropy: float
    foreground: float
    n_components: int
    largest: float


@dataclass(frozen=True)
class Row:
    """One line of the manifest: a structure on a picture, its scores, and whether and why it is kept.

    `percentile` is the mean rank among those that passed, 0 to 1; 0 for the others.
    """

    dataset: str
    structure: str
    title: str
    quality: Quality
    percentile: float = 0.0
    reasons: tuple[str, ...] = ()

    @property
    def is_kept(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons


def quality_of(picture: Picture, region: NDArray[np.bool_]) -> Quality:
    """Score a picture (rows, columns, 3) uint8 and an outline (rows, columns) that is not empty."""
    grey = picture.astype(np.float64).mean(-1)
    stretched = (grey - grey.min()) / max(float(np.ptp(grey)), 1e-9)
    ring = ndimage.binary_dilation(region, iterations=RING) & ~region
    around = grey[ring] if ring.any() else grey[~region] if not region.all() else np.zeros(1)
    counts = np.histogram(stretched, 256, (0, 1))[0]
    share = counts[counts > 0] / counts.sum()
    parts, n = ndimage.label(region)
    return Quality(
        clarity=float(ndimage.laplace(stretched).var()),
        contrast=float(abs(grey[region].mean() - around.mean()) / (around.std() + 1e-6)),
        entropy=float(-(share * np.log2(share)).sum()),
        foreground=float(region.mean()),
        n_components=n,
        largest=float(np.bincount(parts.ravel())[1:].max() / region.sum()),
    )


def curate(
    rows: Iterable[Row], *, share: float = 0.05, reviewed: Mapping[tuple[str, str, str], bool] | None = None
) -> list[Row]:
    """Say of each sample whether it is kept, and why not.

    Parameters
    ----------
    rows : iterable of Row
        Scored, without reasons; the order is kept.
    share : float
        The most that one class may make up of all that is kept. With fewer classes than 1 / share that
        cannot be, and nothing is cut.
    reviewed : Mapping
        (dataset, structure, title) to what a person decided, which counts before every rule.
    """
    decided = reviewed or {}
    by_class: dict[tuple[str, str], list[Row]] = defaultdict(list)
    rows = list(rows)
    for row in rows:
        by_class[row.dataset, row.structure].append(row)
    judged = {
        _key(row): replace(row, reasons=tuple(reasons))
        for members in by_class.values()
        for row, reasons in zip(members, _objections(members), strict=True)
    }
    for key, row in judged.items():
        if key in decided:
            judged[key] = replace(row, reasons=() if decided[key] else ("a person left it out",))
    passed = [row for row in judged.values() if row.is_kept]
    for row, percentile in zip(passed, _percentiles(passed), strict=True):
        judged[_key(row)] = replace(row, percentile=percentile)
    for row in _too_many([judged[_key(row)] for row in passed], share):
        if _key(row) not in decided:
            judged[_key(row)] = replace(row, reasons=("its class has enough better ones",))
    return [judged[_key(row)] for row in rows]


def curate_datasets(
    sources: Sequence[Path],
    split: str = "train",
    *,
    share: float = 0.05,
    preparation: Preparation | None = None,
    reviewed: Mapping[tuple[str, str, str], bool] | None = None,
) -> Job[list[Row]]:
    """Score and choose every structure of every picture of some data sets."""
    rows = []
    for dataset in read_datasets(sources):
        slices = yield from labelled_dataset(dataset, split, preparation or Preparation())
        for one in slices:
            height, width = one.size
            picture = one.canvas[:height, :width]
            for name, region in zip(dataset.task.structure_names, one.regions, strict=True):
                inside = region[:height, :width]
                if inside.any():
                    rows.append(Row(dataset.name, name, one.title, quality_of(picture, inside)))
    return curate(rows, share=share, reviewed=reviewed)


def write_manifest(rows: Iterable[Row], file: Path) -> None:
    """Write scores, ranks and reasons as a table."""
    with file.open("w", newline="", encoding="utf-8") as opened:
        names = [*Quality.__dataclass_fields__]
        writer = csv.writer(opened)
        writer.writerow(["dataset", "structure", "title", *names, "percentile", "kept", "reasons"])
        for row in rows:
            scores = [f"{value:.6g}" for value in asdict(row.quality).values()]
            said = [f"{row.percentile:.4f}", int(row.is_kept), "; ".join(row.reasons)]
            writer.writerow([row.dataset, row.structure, row.title, *scores, *said])


def _objections(members: Sequence[Row]) -> list[list[str]]:
    """What speaks against each sample of one class: fixed bounds, and what is usual there."""
    found: list[list[str]] = [[] for _ in members]
    is_one_thing = np.median([row.quality.n_components for row in members]) < 2
    for row, reasons in zip(members, found, strict=True):
        if not LEAST <= row.quality.foreground <= MOST:
            reasons.append(f"it takes {100 * row.quality.foreground:.2g} % of the picture")
        if is_one_thing and row.quality.largest < LARGEST:
            reasons.append("it is in pieces")
    for name in _MEASURED:
        values = np.array([getattr(row.quality, name) for row in members])
        middle = np.median(values)
        reach = SPREAD * np.median(np.abs(values - middle))
        if reach > 0:  # most are alike to the last digit otherwise
            for value, reasons in zip(values, found, strict=True):
                if abs(value - middle) > reach:
                    reasons.append(f"its {name} is unusual")
    return found


def _percentiles(rows: Sequence[Row]) -> list[float]:
    """The mean of each sample's ranks, 0 to 1, larger scores being better."""
    scores: list[Callable[[Quality], float]] = [
        lambda q: q.clarity, lambda q: q.contrast, lambda q: q.entropy, lambda q: q.foreground,
        lambda q: q.largest,
    ]  # fmt: skip
    total = np.zeros(len(rows))
    for score in scores:
        values = np.array([score(row.quality) for row in rows])
        below = (values[None] < values[:, None]).mean(1) if len(rows) else values
        total += below + 0.5 * (values[None] == values[:, None]).mean(1) if len(rows) else 0
    return [float(value) for value in total / len(scores)]


def _too_many(rows: Sequence[Row], share: float) -> list[Row]:
    """The worst of the classes that would make up more than their share."""
    by_class: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        by_class[row.dataset, row.structure].append(row)
    if len(by_class) * share < 1:
        return []
    sizes = [len(members) for members in by_class.values()]
    most = max(sizes)
    while most > 1 and most > share * sum(min(n, most) for n in sizes):
        most = max(1, min(most - 1, math.floor(share * sum(min(n, most) for n in sizes))))
    return [
        row
        for members in by_class.values()
        for row in sorted(members, key=lambda row: -row.percentile)[most:]
    ]


def _key(row: Row) -> tuple[str, str, str]:
    return row.dataset, row.structure, row.title
