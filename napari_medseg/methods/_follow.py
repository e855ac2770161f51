"""Following a structure from slice to slice: outwards from where it is known, and in between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.correction import obey
from napari_medseg.core.geometry import ANISOTROPY_LIMIT
from napari_medseg.core.mask import Region
from napari_medseg.core.metrics import dice
from napari_medseg.core.prompts import MaskPrompt, Prompt
from napari_medseg.core.request import Request
from napari_medseg.imaging.between import fill_between, shapes_between
from napari_medseg.imaging.registration import carried
from napari_medseg.methods._decided import accepted, decided_on

_FEWEST = 4  # pixels of an outline worth following
_SHRUNK = 0.03  # of the outline it was followed from: a structure that ends
_OVERLAP = 0.2  # Dice with the slice before under which an outline jumps; half of it across thick slices
_GREYS = 2000  # values compared
_GREY_CHANGE = 0.4  # largest distance between the distributions of grey values
# How much a guess counts beside what is seen, 0 to 1; like the line above chosen on validation volumes with
# sam-compact-2. The better a network, the less its guesses should count.
_TRUST_CARRIED = 0.5
_TRUST_BETWEEN = 0.35  # right beside a known slice, less the further away


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer on one slice: probabilities (rows, columns), the cut region, the expected Dice.

    `interval` is where eight answers in ten of this quality lie; empty where nobody knows.
    """

    probability: NDArray[np.float32]
    region: Region
    quality: float
    others: tuple[tuple[Region, float], ...] = ()
    interval: tuple[float, float] = (0.0, 0.0)


class Outliner(Protocol):
    """Outlines a structure on one slice, from prompts there or from a guess, such as the slice before."""

    def __call__(self, index: int, prompts: tuple[Prompt, ...], guess: Region | None) -> Answer:
        """Answer for one slice."""


def near(request: Request) -> range:
    """The slices asked for and one more on either side: what is known there counts."""
    n = request.volume.n_slices(request.plane)
    return range(max(0, request.slices[0] - 1), min(n, request.slices[-1] + 2))


def is_known(request: Request, name: str) -> bool:
    """Whether a structure was pointed at or accepted on these slices, so that it can be followed."""
    sure = accepted(request, name)
    return any(request.prompts_on(name, i) or (i in sure and sure[i].any()) for i in near(request))


class Track:
    """Follows one structure through the slices asked for.

    Accepted slices are taken as they are, slices that were pointed at are outlined first. For every other
    slice there is a guess, which the outliner improves on, and a shape between the two is kept.
    Between two known slices the guess is the shape on the way from one to the other; beyond them it is the
    slice before, carried along by registering the two pictures, until the structure ends or is lost.
    `notes` then say where it was followed to and why it stopped.
    """

    def __init__(self, request: Request, name: str, outline: Outliner, stop_below: float) -> None:
        self.request, self.name, self.outline, self.stop_below = request, name, outline, stop_below
        self.notes: list[str] = []
        self._sure = {i: r for i, r in accepted(request, name).items() if i in near(request)}
        self._known: dict[int, Region] = {}
        self._done: set[int] = set()
        self._why: dict[tuple[int, int], str] = {}  # (last slice, step) -> why it went no further
        spacing = list(request.volume.geometry.spacing)
        between = spacing.pop(request.axis)
        self._pixel = spacing[0], spacing[1]
        self._overlap = _OVERLAP / 2 if between > ANISOTROPY_LIMIT * max(spacing) else _OVERLAP

    def follow(self) -> Iterator[tuple[int, Answer]]:
        """Yield (slice, answer): what is known first, then between, then outwards."""
        yield from self._begin()
        known = sorted(self._known)
        seen = [index for index in known if self._known[index].any()]
        pairs = [(a, b) for a, b in zip(known, known[1:], strict=False) if a in seen and b in seen]
        for low, high in pairs:
            yield from self._between(low, high)
        for index in seen:
            for step, inner in ((1, {a for a, _ in pairs}), (-1, {b for _, b in pairs})):
                if index not in inner:
                    yield from self._outwards(index, step)
        self._tell()

    def _begin(self) -> Iterator[tuple[int, Answer]]:
        """Take accepted slices as they are and outline those that were pointed at."""
        for index, region in self._sure.items():
            self._known[index] = region
            yield from self._step(index, Answer(region.astype(np.float32), region, 1.0))
        for index in self._pointed():
            answer = self._ask(index, self.request.prompts_on(self.name, index), None)
            self._known[index] = answer.region
            if not answer.region.any():
                self.notes.append(f"{self.name}: nothing was found on {self.request.plane} slice {index}.")
            yield from self._step(index, answer)

    def _pointed(self) -> list[int]:
        """The slices to begin with.

        A mask prompt that only repeats the result so far, as a range brings it for each slice outlined
        before, does not count where something else is known: it shall be followed anew.
        """
        asked = {i: self.request.prompts_on(self.name, i) for i in near(self.request) if i not in self._sure}
        prompted = [i for i, prompts in asked.items() if prompts]
        strong = [i for i in prompted if not all(map(self._repeats, asked[i])) or self._painted(i)]
        return strong if strong or any(r.any() for r in self._sure.values()) else prompted

    def _repeats(self, prompt: Prompt) -> bool:
        before = self.request.previous
        if not isinstance(prompt, MaskPrompt) or before is None or self.name not in before.names:
            return False
        return np.array_equal(before.on_slice(self.name, prompt.plane, prompt.index), prompt.region)

    def _painted(self, index: int) -> bool:
        decided = decided_on(self.request, self.name, index)
        return decided is not None and bool((decided > 0).any())

    def _between(self, low: int, high: int) -> Iterator[tuple[int, Answer]]:
        """Look at every slice with the shape between both sides as guess, kept where it is not clear."""
        filled = []
        for index, guess in fill_between({i: self._known[i] for i in (low, high)}, self._pixel):
            nearer = low if index - low < high - index else high
            guess = guess if guess.any() else self._known[nearer]
            answer = self._ask(index, (), guess)
            if self._lost(answer, guess):
                answer = self._obeyed(index, replace(answer, region=guess))
                filled.append(str(index))
            else:
                answer = self._mixed(index, answer, guess, _TRUST_BETWEEN / abs(index - nearer))
            yield from self._step(index, answer)
        if filled:
            where = f"{self.request.plane} slices {', '.join(filled)}"
            self.notes.append(f"{self.name}: not clear on {where}; filled from those beside.")

    def _outwards(self, index: int, step: int) -> Iterator[tuple[int, Answer]]:
        """Follow from slice to slice until the structure ends, is lost, or there is no slice to go to."""
        before = origin = self._known[index]
        greys = self._greys(index, before)
        while not (why := self._barred(index + step)):
            guess = self._carried(index, index + step, before)
            answer = self._ask(index + step, (), guess)
            if why := self._ended(answer, origin) or self._lost(answer, guess):
                break
            if grey_change(greys, self._greys(index + step, answer.region)) > _GREY_CHANGE:
                why = "the grey values change"
                break
            index += step
            answer = self._mixed(index, answer, guess, _TRUST_CARRIED)
            before = answer.region
            yield from self._step(index, answer)
        self._why[index, step] = why

    def _barred(self, index: int) -> str:
        """Why a slice cannot be gone to, "" if it can."""
        if index in self._sure:
            return f"slice {index} is accepted without it"
        if index in self._known:
            return f"it was not found on slice {index}"
        if not 0 <= index < self.request.volume.n_slices(self.request.plane):
            return "the image ends"
        return "" if index in self.request.slices else "no more was asked for"

    def _ended(self, answer: Answer, origin: Region) -> str:
        size = np.count_nonzero(answer.region)
        return "it ends" if size < max(_FEWEST, _SHRUNK * np.count_nonzero(origin)) else ""

    def _lost(self, answer: Answer, before: Region) -> str:
        if answer.quality < self.stop_below or not answer.region.any():
            return "it is no longer clear"
        return "the outline jumps" if dice(answer.region, before) < self._overlap else ""

    def _ask(self, index: int, prompts: tuple[Prompt, ...], guess: Region | None) -> Answer:
        return self._obeyed(index, self.outline(index, prompts, guess))

    def _carried(self, fro: int, to: int, region: Region) -> Region:
        """The outline of one slice where its picture is found on the next."""
        moved = carried(region, self._grey(fro), self._grey(to))
        return moved if moved.any() else region

    def _mixed(self, index: int, answer: Answer, guess: Region, trust: float) -> Answer:
        """Keep the shape between what was seen and what was guessed, nearer to the one that is trusted."""
        shape = next(shapes_between(answer.region, guess, (trust,), self._pixel))
        return self._obeyed(index, replace(answer, region=shape)) if shape.any() else answer

    def _obeyed(self, index: int, answer: Answer) -> Answer:
        """Hold an answer to what a person decided, so that the next slice follows the truth."""
        return replace(answer, region=obey(answer.region, decided_on(self.request, self.name, index)))

    def _step(self, index: int, answer: Answer) -> Iterator[tuple[int, Answer]]:
        if index in self.request.slices:
            if answer.region.any():
                self._done.add(index)
            yield index, answer

    def _grey(self, index: int) -> NDArray[np.float32]:
        """The grey values of a slice (rows, columns); colours are averaged."""
        pixels = np.nan_to_num(self.request.volume.slice(self.request.plane, index).astype(np.float32))
        return pixels if pixels.ndim == 2 else pixels.mean(axis=2)

    def _greys(self, index: int, region: Region) -> NDArray[np.float32]:
        """Some of the grey values in an outline, in order."""
        values = self._grey(index)[region]
        return np.sort(values[:: max(1, len(values) // _GREYS)])

    def _tell(self) -> None:
        """Say of each run of slices where and why it ended."""
        if len(self.request.slices) == 1:
            return
        for low in sorted(i for i in self._done if i - 1 not in self._done):
            high = next(i for i in range(low, low + len(self._done) + 1) if i + 1 not in self._done)
            ends = [("before", self._why.get((low, -1))), ("after", self._why.get((high, 1)))]
            said = ", ".join(f"{word} that {why}" for word, why in ends if why)
            where = f"slice {low}" if low == high else f"slices {low} to {high}"
            self.notes.append(
                f"{self.name}: on {self.request.plane} {where}" + (f"; {said}." if said else ".")
            )


def grey_change(before: NDArray[np.float32], now: NDArray[np.float32]) -> float:
    """How differently grey values, given in order, are distributed, 0 to 1; 0 where chance explains it.

    Source
    ------
    The two-sample test of Kolmogorov and Smirnov at a level of 5 %.
    """
    both = np.concatenate([before, now])
    then, since = (np.searchsorted(part, both, "right") / len(part) for part in (before, now))
    apart = float(np.abs(then - since).max())
    return apart if apart > 1.36 * np.sqrt(1 / len(before) + 1 / len(now)) else 0.0
