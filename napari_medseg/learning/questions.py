"""Questions for a network that is asked by prompts and by name: what is given, and what is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_medseg.learning.clicks import Marks, correct, first_prompts
from napari_medseg.learning.labelled import may_show
from napari_medseg.learning.prompting import SMALLEST, shaken
from napari_medseg.learning.views import View, Views
from napari_medseg.networks.segmote import Asked
from napari_medseg.networks.state_encoder import read_text

Random = np.random.Generator
T = TypeVar("T")
_MOST_POINTS = 12
_MOST_OFTEN = 0.45  # power of a set's size by which its tasks are drawn
_NAMED = 0.5  # how often a prompt comes with the name
_MISSING = 0.18  # how often a structure is asked for that a picture lacks, where it lacks one
_AMOUNTS = ((1.0, 0.0, 0.0), (0.2, 0.4, 0.4))


@dataclass(frozen=True, eq=False)
class Questions:
    """Some questions, one a view.

    Parameters
    ----------
    views : sequence of View
    names : sequence of str
        What each asks for.
    truth : (P, S, S) bool
    marks : Marks
        Prompts so far; empty where nothing is pointed at.
    is_prompted, is_free, is_named : (P,) bool
        See `segmote.Asked`.
    """

    views: Sequence[View]
    names: Sequence[str]
    truth: NDArray[np.bool_]
    marks: Marks
    is_prompted: NDArray[np.bool_]
    is_free: NDArray[np.bool_]
    is_named: NDArray[np.bool_]

    def asked(self, device: str) -> Asked:
        """As the network reads them."""
        text = torch.stack([read_text(name) for name in self.names]).to(device)
        flags = (torch.from_numpy(f).to(device) for f in (self.is_prompted, self.is_free, self.is_named))
        return Asked(self.marks.batch().to(device), text, *flags)

    def again(self, logits: Tensor, random: Random) -> Questions:
        """The same after a first answer (P, S/4, S/4): it is handed back, and prompts get a correction."""
        marks = correct(self.marks, logits, self.truth, random)
        silent = torch.from_numpy(~self.is_prompted)
        labels = torch.where(silent[:, None], -1, marks.labels)
        return replace(self, marks=replace(marks, labels=labels))


def shares(done: float) -> tuple[float, float, float]:
    """How often free tokens come with prompts, with name and mask, and with the name alone.

    Parameters
    ----------
    done : float
        How much of the training is over, 0 to 1.

    Source
    ------
    Progressive Prompt Tokenization, SegMoTE; made explicit: from prompts only to the last shares at half.
    """
    t = min(1.0, 2.0 * done)
    first, second, third = ((1 - t) * a + t * b for a, b in zip(*_AMOUNTS, strict=True))
    return first, second, third


class Asker:
    """Draws questions about encoded views.

    Parameters
    ----------
    absent : float
        Share of questions about pictures of other tasks, which cannot show what is asked for.
    prompted : float
        Share of the others that go by prompts without free tokens.
    """

    def __init__(self, views: Views, random: Random, absent: float, prompted: float) -> None:
        self.views, self.random, self.absent, self.prompted = views, random, absent, prompted
        self.slugs = list(views.tasks)
        often = np.array([len(views.of[slug]) ** _MOST_OFTEN for slug in self.slugs])
        self.chance = often / often.sum()
        self.foreign = {
            slug: [other for other in self.slugs if not may_show(views.tasks[slug], views.tasks[other])]
            for slug in self.slugs
        }

    def draw(self, n: int, done: float) -> Questions:
        """N questions; `done` is how much of the training is over."""
        drawn = [self._one(done) for _ in range(n)]
        views, names, truth, marks, flags = zip(*drawn, strict=True)
        together = Marks(
            *(torch.cat([getattr(m, k) for m in marks]) for k in ("points", "labels", "previous"))
        )
        prompted, free, named = np.array(flags).T
        return Questions(views, names, np.stack(truth), together, prompted, free, named)

    def kinds(self, views: Sequence[View]) -> tuple[list[str], NDArray[np.float32]]:
        """All names, and whether each picture shows them: (P, J) of 0, 1, and NaN where nobody knows."""
        tasks = self.views.tasks
        names = list(dict.fromkeys(name for task in tasks.values() for name in task.structure_names))
        shown = np.full((len(views), len(names)), np.nan, np.float32)
        for row, view in zip(shown, views, strict=True):
            for j, name in enumerate(names):
                of = [slug for slug, task in tasks.items() if name in task.structure_names]
                if all(view.slug in self.foreign[slug] for slug in of):
                    row[j] = 0.0
            own = self.views.tasks[view.slug].structure_names
            for k, name in enumerate(own):
                row[names.index(name)] = float(view.packed[k].any()) if view.known[k] else np.nan
        return names, shown

    def _one(self, done: float) -> tuple[View, str, NDArray[np.bool_], Marks, tuple[bool, bool, bool]]:
        """View, name, truth, prompts, and whether prompts, free tokens and the name count."""
        slug = str(self.random.choice(self.slugs, p=self.chance))
        names = self.views.tasks[slug].structure_names
        late = min(1.0, 2.0 * done)  # nothing is called absent before something present is asked for
        if self.foreign[slug] and self.random.random() < self.absent * late:
            view = self._any(self.views.of[self._any(self.foreign[slug])])
            name, empty = self._any(names), np.zeros(view.regions().shape[1:], bool)
            return view, name, empty, _no_marks(empty), (False, True, True)
        view = self._any(self.views.of[slug])
        regions = view.regions()
        shown = [k for k in range(len(names)) if view.known[k] and regions[k].any()]
        missing = [k for k in range(len(names)) if view.known[k] and k not in shown]
        if not shown or (missing and self.random.random() < _MISSING * late):
            k = self._any(missing)
            return view, names[k], regions[k], _no_marks(regions[k]), (False, True, True)
        k = self._any(shown)
        part = self._part(regions[k])
        kind = "prompts" if self.random.random() < self.prompted else self._kind(done)
        if part is not None and kind in ("prompts", "appended"):
            named = bool(self.random.random() < _NAMED)
            marks = first_prompts(part[None], self.random)
            return view, names[k], part, marks, (True, kind != "prompts", named)
        marks = _no_marks(regions[k])
        if kind == "words":
            marks = replace(marks, previous=self._rough(regions[k]))
        return view, names[k], regions[k], marks, (False, True, True)

    def _kind(self, done: float) -> str:
        """How free tokens are asked with, by the schedule."""
        return str(self.random.choice(["appended", "words", "alone"], p=shares(done)))

    def _part(self, region: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
        """One connected component that is large enough to point at."""
        parts, n = ndimage.label(region)
        sizes = np.bincount(parts.ravel(), minlength=n + 1)[1:]
        large = np.flatnonzero(sizes >= SMALLEST)
        return np.asarray(parts == 1 + self._any(large.tolist())) if len(large) else None

    def _rough(self, region: NDArray[np.bool_]) -> Tensor:
        """A first guess (1, S/4, S/4): shifted, grown or shrunk."""
        moved = shaken(region[2::4, 2::4], self.random.uniform(-2, 2, 2), int(self.random.integers(-1, 3)))
        return torch.from_numpy(np.where(moved, 1.0, -1.0).astype(np.float32))[None]

    def _any(self, among: Sequence[T]) -> T:
        """One of several, each as likely."""
        return among[int(self.random.integers(len(among)))]


def _no_marks(region: NDArray[np.bool_]) -> Marks:
    """Nothing pointed at, nothing known."""
    quarter = region.shape[0] // 4
    points = torch.zeros(1, _MOST_POINTS, 2)
    labels = torch.full((1, _MOST_POINTS), -1)
    return Marks(points, labels, torch.zeros(1, quarter, quarter))
