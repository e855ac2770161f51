"""What the drawer of examples does: reading, drawing and counting them, and saying where to begin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from napari_medseg import workflow
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.settings import fields_of
from napari_medseg.core.structure import UNTITLED
from napari_medseg.gui import edits, task_edits
from napari_medseg.gui.errands import examples_drawn, n_accepted_elsewhere
from napari_medseg.gui.example_cards import Card
from napari_medseg.gui.example_drawing import ExampleDrawing
from napari_medseg.gui.example_pictures import Colour
from napari_medseg.gui.example_pieces import Other, Place, number, title
from napari_medseg.gui.example_set import ExampleSet, Own
from napari_medseg.gui.first_slice import FirstSlice
from napari_medseg.gui.jobs import Ticket
from napari_medseg.gui.presenter import Presenter

if TYPE_CHECKING:
    from napari_medseg.core.request import Example

_CAREFUL = 4  # readings that are averaged
_MOST_CARDS = 96
_SOON = 300  # milliseconds


class ExampleDeeds(QObject):
    """The hands of the drawer of examples.

    Parameters
    ----------
    presenter : Presenter
        Which knows the sections, the bench and the methods.
    examples : ExampleSet
        What is held.
    """

    progressed = Signal(float, str)
    ended = Signal()
    failed = Signal(str)
    said = Signal(str)

    def __init__(self, presenter: Presenter, examples: ExampleSet, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.presenter, self.examples = presenter, examples
        self.bench, self.enquiry = presenter.bench, presenter.enquiry
        self.sections, self.drawer = presenter.sections, presenter.sections.examples
        self.first = FirstSlice(self.enquiry, self)
        self.first.found.connect(self.show)
        self._ticket: Ticket | None = None
        self._opened = False
        self._case: object = None  # the volume that other cases were looked through for
        self._soon = QTimer(self, singleShot=True)  # the method gets ready while the person looks
        self._soon.timeout.connect(self.enquiry.warm_up)
        self.drawing = ExampleDrawing(self)
        self.drawing.drawn.connect(self.drawer.cards.show_picture)
        examples.show_pictures_by(self.drawing.get)
        examples.changed.connect(self.show)
        self.bench.placed.connect(self._on_place)
        self.enquiry.examples = examples.taught

    @property
    def busy(self) -> bool:
        """Whether examples are being read."""
        return self._ticket is not None

    def cancel(self) -> None:
        """Stop reading; what was not read to its end is dropped."""
        if self._ticket is not None:
            self._ticket.cancel()
            self._end()

    def close(self) -> None:
        """Want nothing any more."""
        self._soon.stop()
        self.drawing.stop()
        self.first.stop()
        if self._ticket is not None:
            self._ticket.cancel()

    def choose_method(self, name: str) -> None:
        """Open the drawer the first time a method wants examples, and offer what the method can do."""
        if self._learns and not self._opened:
            self._opened = True
            self.sections.drawers.open("examples")
        self.show()

    def show_choice(self) -> None:
        """Show whether several readings are averaged, where the method can do so."""
        normal = self._normal_samples()
        samples = self.sections.get_mask.choice.settings.get("samples", normal)
        self.drawer.show_careful(normal is not None, normal is not None and samples > normal)
        self._on_place()

    def set_careful(self, careful: bool) -> None:
        """Average several readings, or take the first."""
        section = self.sections.get_mask
        samples = _CAREFUL if careful else self._normal_samples()
        section.set_settings({**section.choice.settings, "samples": samples})

    def add_slice(self) -> None:
        """Make the slice on screen an example."""
        before = self.examples.counts()
        self.examples.add_slice()
        if self.examples.counts() == before:
            self.said.emit("This slice is among the examples already; it teaches what is outlined now.")

    def add_pair(self, image: Path, mask: Path) -> None:
        """Read an image and its mask."""
        task = self.bench.in_hand().asked
        self._read(lambda: workflow.read_pair(image, mask, task))

    def add_folder(self, folder: Path) -> None:
        """Read a folder of images and masks."""
        task = self.bench.in_hand().asked
        self._read(lambda: workflow.read_examples(folder, task))

    def add_accepted(self) -> None:
        """Take the accepted slices of other cases of the session."""
        names, memory = self.bench.in_hand().mask.names, self.bench.memory
        session, case = memory.session, memory.case_id
        if session is not None:
            self._read(lambda: workflow.accepted_examples(session, names, case, number))

    def go_to_first(self) -> None:
        """Show the slice that is best annotated first."""
        if self.first.index is not None:
            self.presenter.screen.go_to(self.first.index)

    def _read(self, job: Callable[[], Job[workflow.Examples]]) -> None:
        """Read examples on the inference thread, and draw them there."""
        self.cancel()
        self.progressed.emit(0.0, "Reading examples")
        colours = {s.name: s.colour for s in self.bench.in_hand().mask.structures}
        self._ticket = self.enquiry.worker.start(
            lambda: examples_drawn(job(), colours), self._take, self._told, self._not_read
        )

    def _told(self, step: Progress) -> None:
        self.progressed.emit(step.done, step.message)

    def _take(self, found: tuple[list[Other], tuple[str, ...]]) -> None:
        """Hold what was read; structures that have no name yet take those of the examples."""
        self._end()
        others, notes = found
        self._name({s.name: s.colour for other in others for s in other.example.mask.structures})
        n = self.examples.add(others)
        self._soon.start(_SOON)
        words = {0: "There was nothing new.", 1: "1 example was added."}
        self.said.emit(" ".join((words.get(n, f"{n} examples were added."), *notes)))

    def _name(self, colours: Mapping[str, Colour]) -> None:
        """Add structures to a case that has none with a name."""
        work = self.bench.in_hand()
        if set(work.mask.names) != {UNTITLED} or not set(colours) - {UNTITLED}:
            return
        for name in [name for name in colours if name != UNTITLED]:
            work = edits.add_structure(work, name)
            looks = replace(work.mask.structure(name), colour=colours[name])
            work = edits.change_structure(work, name, looks)
        work = task_edits.drop_unused(work, list(colours))
        self.bench.do(
            "structures of the examples",
            replace(work, current=next(name for name in colours if name != UNTITLED)),
        )

    def _not_read(self, sentence: str) -> None:
        self._end()
        self.failed.emit(sentence)

    def _end(self) -> None:
        self._ticket = None
        self.ended.emit()

    def show(self) -> None:
        """Show what is held, and where to begin when it is nothing."""
        work, own, used = self.bench.work, self.examples.own, self.examples.used
        if work is not None and work.volume is not self._case:
            self._begin_case(work.volume)
        self._look_for_first()
        places = list(own.places) if own is not None else []
        shown = places[:_MOST_CARDS]
        cards = [self._card(own, place) for place in shown] if own is not None else []
        cards += [Card(other.key, other.title, other.n_slices, other.picture) for other in used]
        about = self._about(len(places) + len(used))
        self.drawer.show_examples(cards[:_MOST_CARDS], about, self._unlike(used))
        self.drawer.add.setEnabled(work is not None)
        self.drawing.draw(own, shown)

    def _card(self, own: Own, place: Place) -> Card:
        """A slice of this case, with its picture where it is drawn already."""
        key = own.key(place)
        return Card(key, title(own.work.volume, *place), 1, self.drawing.get(key))

    def _about(self, n_cards: int) -> str:
        """How many examples there are of what, or where to begin."""
        counts = self.examples.counts()
        if counts:
            told = ", ".join(f"{n} of {name}" for name, n in counts.items())
            more = f"; the first {_MOST_CARDS} are shown" if n_cards > _MOST_CARDS else ""
            return f"Examples: {told}{more}"
        if not self._learns:
            return "Methods under From examples go by annotated slices; there are none yet."
        return self.first.sentence(self.presenter.position)

    def _unlike(self, used: tuple[Other, ...]) -> str:
        """Where examples differ from the image on screen."""
        work = self.bench.work
        shown: list[Example] = [other.example for other in used]
        return " ".join(workflow.unlike(shown, work.volume)) if work is not None else ""

    def _begin_case(self, volume: object) -> None:
        """See what the session's other cases hold."""
        self._case = volume
        memory = self.bench.memory
        session, case = memory.session, memory.case_id
        if session is not None:
            job = lambda: n_accepted_elsewhere(session, case)  # noqa: E731
            self.enquiry.worker.start(job, self.drawer.show_elsewhere)

    def _look_for_first(self) -> None:
        """Have the slice to annotate first looked for, when there is nothing to go by."""
        wanted = self._learns and not self.examples.counts()
        self.first.look(wanted)
        self.drawer.show_way(wanted and self.first.index not in (None, self.bench.index))

    def _on_place(self) -> None:
        """Another slice or plane is on screen."""
        self._look_for_first()
        if not self.examples.counts():
            self.drawer.about.setText(self._about(0))

    @property
    def _learns(self) -> bool:
        entry = self.sections.get_mask.entry
        return entry is not None and entry.way == "examples"

    def _normal_samples(self) -> int | None:
        """How many readings the method takes by itself; None where it cannot take several."""
        entry = self.sections.get_mask.entry
        fields = {item.name: item for item in fields_of(entry.settings)} if entry is not None else {}
        return fields["samples"].default if "samples" in fields and self._learns else None
