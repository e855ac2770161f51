"""From the bench to the sections: what is, as words and numbers to look at."""

from __future__ import annotations

from pathlib import Path

from napari_medseg.core.geometry import Geometry, Plane
from napari_medseg.gui.bench import Bench
from napari_medseg.gui.counting import counted
from napari_medseg.gui.enquiry import Enquiry
from napari_medseg.gui.proposal_section import Shown
from napari_medseg.gui.screen import Screen
from napari_medseg.gui.sections import Sections
from napari_medseg.gui.structures_section import Line
from napari_medseg.gui.work import SliceState
from napari_medseg.gui.worth import Weak, rated, weakest

# What Next looks for, most urgent first; when nothing waits it goes on to the neighbour.
_WORTH: tuple[tuple[SliceState, ...], ...] = (("doubtful",), ("proposed", "edited", "blind"))


class Presenter:
    """Shows the bench in the sections; changes nothing."""

    def __init__(self, sections: Sections, bench: Bench, enquiry: Enquiry, screen: Screen) -> None:
        self.sections = sections
        self.bench = bench
        self.enquiry = enquiry
        self.screen = screen

    def show(self) -> None:
        """Show all of it."""
        work = self.bench.work
        if work is None:
            self.sections.structures.show_structures((), "")
            self.sections.proposal.show_proposal(Shown())
            return
        hidden = self.screen.masks.hidden
        lines = [
            Line(s, size_of(work.voxels_of(s.name), work.volume.geometry), s.name not in hidden)
            for s in work.mask.structures
        ]
        self.sections.structures.show_structures(lines, work.current)
        n_accepted = sum(len(indices) for indices in work.mask.reviewed.values())
        self.sections.learn.show_accepted(n_accepted)
        self.sections.task.show_task(work.task, work.mask.names)
        self.sections.get_mask.tasks.show_chosen(work.task.slug)
        self.show_place()

    def show_place(self) -> None:
        """Show what is known of the slice on screen."""
        work = self.bench.work
        if work is None:
            return
        plane, index = self.bench.plane, self.bench.index
        answer = self.enquiry.answer
        alternatives: tuple[float, ...] = ()
        if answer is not None and answer.question.plane == plane and index in answer.question.slices:
            alternatives = tuple(a.quality for a in answer.result.alternatives)
        n = work.volume.n_slices(plane)
        there = [p for (_, owner, _), p in work.pending.items() if owner == plane]
        last, unsure = self.bench.history.last, work.least_sure(plane, index)
        shown = Shown(
            states=self.states(),
            here=self.position(index),
            quality=unsure.quality if unsure else None,
            interval=unsure.interval if unsure else None,
            alternatives=alternatives,
            alternative=self.enquiry.alternative,
            n_waiting=len(work.waiting(plane)),
            undo=last.label if last else "",
            blind=work.is_blind(plane, index),
            has_doubt=any(p.doubt is not None for p in there),
            has_weak=n > 1 and any(rated(p) for p in there),
        )
        self.sections.proposal.show_proposal(shown)
        self.sections.get_mask.show_extent(n, shown.here, work.volume.geometry.supports_3d)
        self.sections.get_mask.runs.show_fillable(n > 2 and work.voxels_of(work.current) > 0)

    def show_case(self, session: Path | None) -> None:
        """Show which image it is."""
        work = self.bench.work
        if work is None:
            self.sections.case.show_case("", "", "")
            return
        volume = work.volume
        size = " x ".join(str(n) for n in volume.geometry.shape if n > 1)
        group = f"patient {volume.group[:6]}" if volume.group else ""
        about = " · ".join(word for word in (volume.modality, volume.anatomy, size, group) if word)
        self.sections.case.show_case(volume.name, about, _short(session))

    def states(self) -> tuple[SliceState, ...]:
        """State of each slice of the plane on screen, in napari's order."""
        work = self.bench.work
        if work is None:
            return ()
        states = work.states(self.bench.plane)
        return states[::-1] if self._turned() else states

    def position(self, index: int) -> int:
        """Place of an array index among the slices as napari counts them, and back again."""
        display = self.screen.display
        return index if display is None else display.position(self.bench.plane, index)

    def counted(self, plane: Plane, sentence: str) -> str:
        """A sentence about slices with their numbers as they are on screen."""
        display = self.screen.display
        return sentence if display is None else counted(sentence, display, plane)

    def next_position(self) -> int | None:
        """The next slice worth a look, None when there is no other."""
        states = self.states()
        here = self.position(self.bench.index) if states else 0
        order: list[int] = [*range(here + 1, len(states)), *range(here)]
        for wanted in _WORTH:
            for position in order:
                if states[position] in wanted:
                    return position
        return order[0] if order else None

    def next_weak(self, goes_on: bool) -> tuple[list[Weak], int]:
        """The slices worth correcting, most first, and which to go to: the first, or the one after this."""
        work, here = self.bench.work, self.bench.index
        ranked = weakest(work, self.bench.plane) if work is not None else []
        at = next((rank for rank, weak in enumerate(ranked) if goes_on and weak.index == here), -1)
        return ranked, (at + 1) % max(len(ranked), 1)

    def _turned(self) -> bool:
        display = self.screen.display
        return display is not None and bool(display.flipped[display.dim_of(self.bench.plane)])


def size_of(n_voxels: int, geometry: Geometry) -> str:
    """A structure's size in words: millilitres, square centimetres of a picture, or pixels."""
    if not n_voxels:
        return ""
    if not geometry.spacing_known:
        return f"{_brief(n_voxels)} px"
    if geometry.is_2d:
        _, y, x = geometry.spacing
        return f"{n_voxels * y * x / 100:.2f} cm²"
    ml = n_voxels * geometry.voxel_ml
    return f"{ml:.0f} mL" if ml >= 100 else f"{ml:.1f} mL" if ml >= 1 else f"{ml:.2f} mL"


def _brief(n: int) -> str:
    """A count in five characters or less: 999, 30.1k, 1.25M."""
    for size, letter in ((1_000_000, "M"), (1000, "k")):
        if n >= size * 0.9995:
            value = n / size
            return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f}{letter}"
    return str(n)


def _short(folder: Path | None) -> str:
    """A folder with the home folder as ~."""
    if folder is None:
        return ""
    home = Path.home()
    return f"~/{folder.relative_to(home)}" if folder.is_relative_to(home) else str(folder)
