"""What the panel's buttons and keys do that takes more than the bench alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QTimer

from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Plane
from napari_medseg.gui import blind
from napari_medseg.gui.bench import Bench
from napari_medseg.gui.enquiry import Enquiry
from napari_medseg.gui.errands import write
from napari_medseg.gui.hand import Hand
from napari_medseg.gui.memory import Memory, Opened, Unfinished
from napari_medseg.gui.method_deeds import MethodDeeds
from napari_medseg.gui.opening import Opening
from napari_medseg.gui.presenter import Presenter
from napari_medseg.gui.screen import Screen
from napari_medseg.gui.sections import Sections
from napari_medseg.gui.tidy import TIDY

_PROMPTS = ("point", "box", "scribble", "lasso")


class Deeds(QObject):
    """The panel's hands.

    Parameters
    ----------
    presenter, hand, memory, opening
        The parts of the panel, which know nothing of each other.
    """

    def __init__(self, presenter: Presenter, hand: Hand, memory: Memory, opening: Opening) -> None:
        super().__init__()
        self.methods = MethodDeeds(presenter, memory, self)
        self._soon = QTimer(presenter.sections)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(presenter.show)
        self.presenter = presenter
        self.sections: Sections = presenter.sections
        self.bench: Bench = presenter.bench
        self.enquiry: Enquiry = presenter.enquiry
        self.screen: Screen = presenter.screen
        self.hand = hand
        self.memory = memory
        self.opening = opening
        self._weakest: tuple[Plane, int] | None = None  # where its key went last

    def actions(self) -> dict[str, Callable[[], Any]]:
        """What each key does, by the names of `keys.KEYS`."""
        bench, enquiry = self.bench, self.enquiry
        tools = (*_PROMPTS, "brush", "eraser")
        return {
            **{name: partial(self.toggle_tool, name) for name in tools},
            "mask": enquiry.prompt_with_mask,
            "sign": lambda: self.set_sign(not self.hand.positive),
            "run": self.run,
            "fill": enquiry.fill,
            "accept": bench.accept,
            "accept all": bench.accept_all,
            "discard": bench.discard,
            "discard all": bench.discard_all,
            "next": self.next_slice,
            "weakest": self.weakest_slice,
            "doubt": lambda: self.show_doubt(not self.screen.doubt.enabled),
            "alternative": lambda: enquiry.show_alternative(enquiry.alternative + 1),
            "structure": self.next_structure,
            "hide": self.hide_or_show,
            "cancel": self.cancel,
            "undo": bench.undo,
            "redo": bench.redo,
        }

    def begin(self, opened: Opened) -> None:
        """Put an opened case on the bench and on screen."""
        self.screen.begin(opened.work, lambda: self._begun(opened))

    def _begun(self, opened: Opened) -> None:
        self.bench.begin(opened.work)
        self.bench.look_at(*self.screen.place)
        self.presenter.show_case(self.memory.folder)
        self.sections.show_caution("")
        for note in opened.work.volume.notes:
            self.sections.message.say(note)
        if n := opened.n_restored:
            slices = "1 slice" if n == 1 else f"{n} slices"
            self.sections.message.say(f"Your unaccepted work on {slices} is back: accept or discard it.")
        if not self.screen.tool:
            self.screen.set_tool("point")
        QTimer.singleShot(0, self.enquiry.warm_up)
        self.methods.list_models()

    def show(self) -> None:
        """Show the bench on screen, and in the sections one turn later, so that neither waits for both."""
        if self.bench.work is not None and self.screen.display is not None:
            self.screen.show(self.bench.work)
        self._soon.start(0)

    def toggle_tool(self, name: str) -> None:
        """Take a tool in hand, or put it down when it is there."""
        self.take_tool("" if self.screen.tool == name else name)

    def take_tool(self, name: str) -> None:
        """Take a tool in hand."""
        work = self.bench.in_hand() if name else self.bench.work
        if name and work is not None and work.mask.structure(work.current).locked:
            self.screen.set_tool("")
            raise TaskError(f"'{work.current}' is locked; unlock it in the list of structures to change it.")
        self.screen.set_tool(name)  # type: ignore[arg-type]

    def set_sign(self, positive: bool) -> None:
        """Say whether prompts mean inside or outside."""
        self.hand.positive = positive
        self.sections.tools.show_sign(positive)

    def stroke(self, region: Any) -> None:
        """Take over what was painted on the slice on screen."""
        plane, index = self.screen.place
        self.bench.stroke(plane, index, region)

    def tidy(self, name: str) -> None:
        """Repair the outline on the slice on screen."""
        work, (plane, index) = self.bench.in_hand(), self.screen.place
        axis = work.volume.geometry.axis_of(plane)
        pixel = tuple(size for a, size in enumerate(work.volume.geometry.spacing) if a != axis)
        self.bench.stroke(plane, index, TIDY[name](work.shown(work.current, plane, index), pixel))

    def run(self) -> None:
        """Ask the method for the slices chosen."""
        work = self.bench.in_hand()
        n = work.volume.n_slices(self.bench.plane)
        here = self.presenter.position(self.bench.index)
        positions = self.sections.get_mask.slices(here, n)
        self.enquiry.run(sorted(self.presenter.position(p) for p in positions))

    def next_slice(self) -> None:
        """Go to the next slice worth a look."""
        position = self.presenter.next_position()
        if position is not None:
            self.go_to(position)

    def weakest_slice(self) -> None:
        """Go to the slice most worth correcting, and say why."""
        ranked, rank = self.presenter.next_weak(self._weakest == self.screen.place)
        if not ranked:
            raise TaskError("There is no proposed slice left that a method has rated and nobody corrected.")
        position = self.presenter.position(ranked[rank].index)
        place = "the weakest" if rank == 0 else f"number {rank + 1}"
        self.go_to(position)
        self._weakest = self.screen.place
        self.sections.message.say(
            f"Slice {position + 1}: {ranked[rank].reason}, {place} of {len(ranked)} slices not corrected yet."
        )

    def reveal(self) -> None:
        """Show what is proposed on a slice that is asked for blind."""
        work, plane, index = self.bench.in_hand(), self.bench.plane, self.bench.index
        self.bench.do("look at the proposal", blind.reveal(work, plane, index))

    def show_doubt(self, shown: bool) -> None:
        """Show or hide where the method is unsure."""
        self.sections.proposal.doubt_button.setChecked(shown)
        self.screen.show_doubt(shown)

    def go_to(self, position: int) -> None:
        """Show a slice, counted as napari counts."""
        self.screen.go_to(self.presenter.position(position))

    def next_structure(self) -> None:
        """Make the next structure of the list the current one."""
        work = self.bench.in_hand()
        names = work.mask.names
        self.bench.choose(names[(names.index(work.current) + 1) % len(names)])

    def add_structure(self) -> None:
        """Add a structure and let the person type its name."""
        names = self.bench.in_hand().mask.names
        new = next(f"structure {n}" for n in range(len(names) + 1, 999) if f"structure {n}" not in names)
        self.bench.add_structure(new)
        self.presenter.show()  # at once, so that there is a name to type over
        self.sections.structures.edit_name()

    def set_visible(self, name: str, visible: bool) -> None:
        """Show or hide a structure."""
        hidden = self.screen.masks.hidden
        self.screen.hide(hidden - {name} if visible else hidden | {name})
        self.presenter.show()

    def hide_or_show(self) -> None:
        """Hide all outlines, or show them again."""
        names = frozenset(self.bench.in_hand().mask.names)
        self.screen.hide(frozenset() if self.screen.masks.hidden else names)
        self.presenter.show()

    def cancel(self) -> None:
        """Stop what runs."""
        self.enquiry.cancel()
        self.opening.cancel()

    def change_session(self, folder: Path) -> None:
        """Work in another session from the next image on."""
        self.memory.change_session(folder)
        self.sections.message.say(f"The next image you open goes to the session {folder}.")

    def export(self, path: Path) -> None:
        """Write the accepted mask to a file."""
        work = self.bench.in_hand()
        mask, volume = work.mask, work.volume
        if not any(work.voxels.values()):
            raise TaskError("Nothing is accepted yet, so there is nothing to export; accept a slice first.")
        self.memory.worker.start(
            lambda: write(mask, volume, path),
            lambda written: self.sections.message.say(f"The mask is written to {written}."),
            failed=lambda said: self.sections.message.say(said, alarm=True),
        )

    def look_around(self) -> None:
        """After the panel is open: take up an image that is there, and ask about unfinished work."""
        images = [layer for layer in self.screen.viewer.layers if type(layer).__name__ == "Image"]
        if images and self.bench.work is None and not self.opening.busy:
            self.opening.adopt(images[0])
        else:
            self.memory.unfinished(self._offer)

    def take_up(self, layer: Any) -> None:
        """Make a case of an image that was just put on screen, if none is in hand."""
        if self.bench.work is None and not self.opening.busy:
            self.opening.adopt(layer)

    def _offer(self, found: tuple[Unfinished, ...]) -> None:
        if found and self.bench.work is None:
            one = found[-1]
            self.sections.message.say(
                f"Work on {one.name} ({one.source.name}) was not accepted when the program ended.",
                title="Bring it back",
                way_out=lambda: self.opening.open_series(one.source, one.series or None),
            )
