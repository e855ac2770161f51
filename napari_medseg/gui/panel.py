"""The panel in napari: its sections ask, the bench and the methods answer, the sections show it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, QTimer
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QApplication, QVBoxLayout, QWidget

from napari_medseg import workflow
from napari_medseg.core.errors import MedsegError
from napari_medseg.gui import keys
from napari_medseg.gui.bench import Bench
from napari_medseg.gui.deeds import Deeds
from napari_medseg.gui.enquiry import Enquiry
from napari_medseg.gui.example_deeds import ExampleDeeds
from napari_medseg.gui.example_set import ExampleSet
from napari_medseg.gui.hand import Hand
from napari_medseg.gui.memory import Memory
from napari_medseg.gui.opening import Opening
from napari_medseg.gui.presenter import Presenter
from napari_medseg.gui.rounds import Rounds
from napari_medseg.gui.screen import Screen
from napari_medseg.gui.sections import Sections
from napari_medseg.gui.style import WIDTH

if TYPE_CHECKING:
    from napari.viewer import Viewer

_FIRST = ("sam", "threshold")  # methods to begin with, the first that is there
_SHORTLY = 300  # milliseconds after which what can wait is begun


class Panel(QWidget):
    """The one window a clinician works with beside the image.

    Parameters
    ----------
    napari_viewer : Viewer
        Where it is docked.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.memory = Memory()
        self.bench = Bench(self.memory)
        self.enquiry = Enquiry(self.bench)
        self.canvas = Screen(napari_viewer)
        self.hand = Hand(self.canvas)
        self.opening = Opening(self.memory, self)
        self.sections = Sections(self)
        self.presenter = Presenter(self.sections, self.bench, self.enquiry, self.canvas)
        self.deeds = Deeds(self.presenter, self.hand, self.memory, self.opening)
        self.lessons = ExampleDeeds(self.presenter, ExampleSet(self.bench), self)
        self.rounds = Rounds(self.memory, self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.sections)
        self._connect()
        keys.bind(self, {name: self._guard(act) for name, act in self._actions().items()})
        self.sections.set_theme(napari_viewer.theme)
        self.presenter.show()
        menu = workflow.menu()
        self.sections.get_mask.set_menu(menu, next((name for name in _FIRST if name in menu), ""))
        self._end_with_the_window()
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self.deeds.look_around)
        self._later.start(_SHORTLY)

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's name
        """320 pixels wide."""
        return QSize(WIDTH, super().sizeHint().height())

    def open(self, path: Path | str) -> None:
        """Open an image file or a DICOM folder."""
        self.opening.open(Path(path))

    def _guard(self, act: Callable[..., Any]) -> Callable[..., None]:
        """Make an act whose failure is told in a sentence."""

        def guarded(*values: Any) -> None:
            try:
                act(*values)
            except MedsegError as error:
                self._alarm(str(error))
                self.presenter.show()

        return guarded

    def _connect(self) -> None:
        """Join all parts."""
        self._connect_inside()
        self._connect_case()
        self._connect_work()
        self._connect_examples()
        self._connect_learning()

    def _connect_inside(self) -> None:
        """From bench, methods and screen to what is shown."""
        say, shown = self.sections.message.say, self.sections.get_mask.runs
        self.bench.changed.connect(self.deeds.show)
        self.bench.placed.connect(self.presenter.show_place)
        self.bench.said.connect(say)
        self.enquiry.asked.connect(self.sections.message.clear)
        self.enquiry.said.connect(say)
        self.enquiry.warned.connect(self.sections.show_caution)
        self.enquiry.counted = self.presenter.counted
        for source in (self.enquiry, self.opening, self.lessons):
            source.progressed.connect(shown.show_progress)
            source.ended.connect(self._idle)
            source.failed.connect(self._alarm)
        self.opening.opened.connect(self.deeds.begin)
        self.memory.failed.connect(self._alarm)
        self.memory.kept.connect(self.sections.learn.show_saved)
        self.hand.prompted.connect(lambda _prompt: self.sections.message.clear())
        self.hand.prompted.connect(self._guard(self.enquiry.prompt))
        self.canvas.edited.connect(self._guard(self.enquiry.change_prompts))
        self.hand.stroked.connect(self._guard(self.deeds.stroke))
        self.canvas.moved.connect(lambda: self.bench.look_at(*self.canvas.place))
        self.canvas.tool_changed.connect(self.sections.tools.show_tool)
        self.canvas.size_changed.connect(self.sections.tools.show_size)
        self.canvas.image_added.connect(self.deeds.take_up)
        self.viewer.events.theme.connect(self._on_theme)

    def _connect_case(self) -> None:
        """From the case line, the structures and the drawers to the bench."""
        s, bench, deeds, guard = self.sections, self.bench, self.deeds, self._guard
        s.case.open_requested.connect(self.open)
        s.case.session_requested.connect(deeds.change_session)
        s.case.export_requested.connect(guard(deeds.export))
        s.structures.chosen.connect(guard(bench.choose))
        s.structures.add_requested.connect(guard(deeds.add_structure))
        s.structures.remove_requested.connect(guard(bench.remove_structure))
        s.structures.change_requested.connect(guard(bench.change_structure))
        s.structures.visibility_requested.connect(guard(deeds.set_visible))
        s.task.task_requested.connect(guard(deeds.methods.take_task))

    def _connect_work(self) -> None:
        """From tools, methods and the proposal bar to what they do."""
        s, deeds, act, guard = self.sections, self.deeds, self._actions(), self._guard
        s.tools.tool_requested.connect(guard(deeds.take_tool))
        s.tools.mask_requested.connect(guard(act["mask"]))
        s.tools.sign_requested.connect(deeds.set_sign)
        s.tools.size_requested.connect(self.canvas.set_brush_size)
        s.tools.tidy_requested.connect(guard(deeds.tidy))
        s.get_mask.run_requested.connect(guard(deeds.run))
        s.get_mask.fill_requested.connect(guard(act["fill"]))
        s.get_mask.cancel_requested.connect(act["cancel"])
        s.get_mask.choice_changed.connect(deeds.methods.choose)
        s.get_mask.method_changed.connect(deeds.methods.choose_method)
        s.get_mask.task_requested.connect(guard(deeds.methods.take_task))
        for name in ("accept", "accept_all", "discard", "discard_all", "next", "weakest", "undo"):
            getattr(s.proposal, f"{name}_requested").connect(guard(act[name.replace("_", " ")]))
        s.proposal.alternative_requested.connect(guard(self.enquiry.show_alternative))
        s.proposal.slice_requested.connect(deeds.go_to)
        s.proposal.doubt_requested.connect(deeds.show_doubt)
        s.proposal.reveal_requested.connect(guard(deeds.reveal))

    def _connect_examples(self) -> None:
        """From the drawer of examples to what it does."""
        drawer, lessons, guard = self.sections.examples, self.lessons, self._guard
        lessons.said.connect(self.sections.message.say)
        drawer.slice_requested.connect(guard(lessons.add_slice))
        drawer.pair_requested.connect(guard(lessons.add_pair))
        drawer.folder_requested.connect(guard(lessons.add_folder))
        drawer.session_requested.connect(guard(lessons.add_accepted))
        drawer.joins_changed.connect(lessons.examples.set_joins)
        drawer.careful_changed.connect(lessons.set_careful)
        drawer.remove_requested.connect(lessons.examples.remove)
        drawer.clear_requested.connect(lessons.examples.clear)
        drawer.go_requested.connect(guard(lessons.go_to_first))
        self.sections.get_mask.method_changed.connect(lessons.choose_method)
        self.sections.get_mask.choice_changed.connect(lambda _choice: lessons.show_choice())

    def _connect_learning(self) -> None:
        """From the Learn chip and its drawer to the rounds of training, and back."""
        chip, drawer, rounds = self.sections.learn, self.sections.learning, self.rounds
        for part in (chip, drawer):
            rounds.found.connect(part.show_learning)
            part.train_requested.connect(rounds.start)
            part.use_requested.connect(rounds.use)
            part.back_requested.connect(rounds.back)
        chip.steer_requested.connect(rounds.steer)
        chip.details_requested.connect(lambda: self.sections.drawers.open("learning"))
        rounds.failed.connect(self._alarm)
        rounds.changed.connect(self.deeds.methods.use_version)

    def _actions(self) -> dict[str, Callable[[], Any]]:
        """What each key does; cancel stops reading examples too."""

        def cancel() -> None:
            self.deeds.cancel()
            self.lessons.cancel()

        return {**self.deeds.actions(), "cancel": cancel}

    def _alarm(self, sentence: str) -> None:
        self.sections.message.say(sentence, alarm=True)

    def _idle(self) -> None:
        if not (self.enquiry.busy or self.opening.busy or self.lessons.busy):
            self.sections.get_mask.runs.show_idle()
            self.presenter.show_place()

    def _on_theme(self, event: Any) -> None:
        self.sections.set_theme(event.value)

    def _end_with_the_window(self) -> None:
        """Stop the threads however the panel ends: closed, its dock closed, the window or napari."""
        parts = (
            *(self.hand, self.canvas, self.opening, self.lessons, self.rounds),
            *(self.deeds.methods.ahead, self.enquiry, self.memory),
        )
        theme, on_theme = self.viewer.events.theme, self._on_theme
        ended: list[bool] = []

        def end() -> None:
            if not ended:
                ended.append(True)
                theme.disconnect(on_theme)
                for part in parts:
                    part.close()

        self._end = end
        self.destroyed.connect(end)
        application = QApplication.instance()
        assert application is not None
        application.aboutToQuit.connect(end)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802  Qt's name
        """Finish writing and stop the threads."""
        self._end()
        super().closeEvent(event)
