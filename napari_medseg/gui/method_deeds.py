"""What choosing a method, a model or a known task does."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_medseg import workflow
from napari_medseg.core.task import Task
from napari_medseg.gui.asking import Choice
from napari_medseg.gui.blind import is_judged
from napari_medseg.gui.errands import models_and_tasks
from napari_medseg.gui.form import SettingsForm, Switch
from napari_medseg.gui.look_ahead import LookAhead
from napari_medseg.gui.memory import Memory
from napari_medseg.gui.presenter import Presenter
from napari_medseg.gui.rounds import RECIPE

if TYPE_CHECKING:
    from napari_medseg.core.model import Model


class MethodDeeds(QObject):
    """The hands of the part that says how a mask is made.

    Parameters
    ----------
    presenter : Presenter
        Which knows the sections, the bench and the methods.
    """

    def __init__(self, presenter: Presenter, memory: Memory, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.ahead = LookAhead(presenter.enquiry, self)
        self.presenter, self.memory = presenter, memory
        self.bench, self.enquiry = presenter.bench, presenter.enquiry
        self.section, self.sections = presenter.sections.get_mask, presenter.sections
        self._listed = False

    def choose_method(self, _name: str) -> None:
        """Show the models and settings of another method."""
        entry = self.section.entry
        if entry is not None:
            form = SettingsForm(
                entry.settings, self.section.set_settings, self.section.choice.settings, self._switches(entry)
            )
            self.sections.drawers.fill("settings", form)
        self.section.set_models(())
        if self._listed:
            self.list_models()

    def _switches(self, entry: workflow.Entry) -> list[Switch]:
        """What is switched on and off for all methods of a kind."""
        ahead = Switch(
            *(
                "Prepare neighbouring slices ahead",
                "While you look, so that a click there is answered at once",
            ),
            *(self.ahead.enabled, self.ahead.set_enabled),
        )
        blind = Switch(
            "Ask for one slice in twenty blind",
            "Without a proposal: what you outline there yourself judges the model fairly",
            *(self.enquiry.blind, partial(setattr, self.enquiry, "blind")),
        )
        return ([ahead] if entry.network else []) + ([blind] if is_judged(entry) else [])

    def choose(self, choice: Choice) -> None:
        """Make masks another way."""
        self.enquiry.choose(choice)

    def take_task(self, task: Task) -> None:
        """Outline what a known task names."""
        self.bench.set_task(task)
        self.list_models()

    def use_version(self, said: str) -> None:
        """Answer the next request with the version that is in use now; what is proposed stays."""
        self.enquiry.asker.forget()
        self.section.forget_models()
        self.list_models()
        work = self.bench.work
        proposed = work is not None and bool(work.pending)
        stays = "; what is proposed now stays as it is" if proposed else ""
        choose = self.section.name != RECIPE and RECIPE in workflow.menu()
        self.sections.message.say(
            f"{said} from the next request on{stays}.",
            title="Outline with it" if choose else "",
            way_out=(lambda: self.section.choose(RECIPE)) if choose else None,
        )

    def list_models(self) -> None:
        """List the method's models and the known tasks; this may load torch, so not on this thread."""
        name, session, entry = self.section.name, self.memory.session, self.section.entry
        task = self.bench.work.asked if self.bench.work else None
        self._listed = True
        if entry is not None and entry.network:
            self.enquiry.worker.start(lambda: models_and_tasks(name, session, task), self._show_models)

    def _show_models(self, found: tuple[str, list[Model], list[Task]]) -> None:
        name, models, tasks = found
        if name == self.section.name:
            self.section.set_models([model.name for model in models])
        work = self.bench.work
        for menu in (self.section.tasks, self.sections.task.known):
            menu.show_tasks(tasks, work.volume if work else None)
            menu.show_chosen(work.task.slug if work else "")
