"""The panel's sections in their place, one column; they know nobody."""

from __future__ import annotations

from qtpy.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

from napari_medseg.gui.case_section import CaseSection
from napari_medseg.gui.drawers import Drawers, Message
from napari_medseg.gui.examples_drawer import TALL, ExamplesDrawer
from napari_medseg.gui.get_mask_section import GetMaskSection
from napari_medseg.gui.learn_drawer import TALL as TALL_LEARNING
from napari_medseg.gui.learn_drawer import LearnDrawer
from napari_medseg.gui.learn_section import LearnSection
from napari_medseg.gui.proposal_section import ProposalSection
from napari_medseg.gui.structures_section import StructuresSection
from napari_medseg.gui.style import WIDTH, colours, mark, mixed, readable, sheet
from napari_medseg.gui.task_form import TaskForm
from napari_medseg.gui.tools_section import ToolsSection


class Sections(QWidget):
    """All that is seen of the panel."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.case = CaseSection(self)
        self.message = Message(self)
        self.caution = mark(QLabel(self), note=True)
        self.caution.setWordWrap(True)
        self.caution.setAccessibleName("What to bear in mind with this image")
        self.show_caution("")
        self.structures = StructuresSection(self)
        self.tools = ToolsSection(self)
        self.get_mask = GetMaskSection(self)
        self.proposal = ProposalSection(self)
        self.learn = LearnSection(self)
        self.drawers = Drawers(self)
        self.task = TaskForm(self)
        self.examples = ExamplesDrawer(self)
        self.learning = LearnDrawer(self)
        self.drawers.add("examples", "E&xamples", self.examples, TALL)
        self.drawers.add("task", "&Task", self.task)
        self.drawers.add("learning", "&Learning", self.learning, TALL_LEARNING)
        self.drawers.add("settings", "Settin&gs", QWidget(self))
        self.drawers.opened.connect(lambda name: self.learn.set_elsewhere(name == "learning"))
        self._lay_out()
        self.setMinimumWidth(WIDTH)
        self.setMaximumWidth(2 * WIDTH)

    def _lay_out(self) -> None:
        warning = mark(QLabel("Research use, not a medical device", self), quiet=True)
        warning.setAccessibleName("Research use, not a medical device")
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.setSpacing(5)
        for widget, title in (
            (self.case, ""),
            (self.message, ""),
            (self.caution, ""),
            (self.structures, "Structures"),
            (self.tools, "Tools"),
            (self.get_mask, "Get a mask"),
            (self.proposal, "Proposal"),
            (self.learn, ""),
            (self.drawers, ""),
        ):
            if title:
                column.addWidget(mark(QFrame(self), line=True))
                column.addWidget(mark(QLabel(title, self), title=True))
            column.addWidget(widget, 1 if widget is self.structures else 0)
        column.addWidget(warning)

    def show_caution(self, sentence: str) -> None:
        """Show what holds for the whole case; "" for nothing."""
        self.caution.setText(sentence)
        self.caution.setVisible(bool(sentence))

    def set_theme(self, theme: str) -> None:
        """Wear the colours of a napari theme."""
        self.setStyleSheet(sheet(theme))
        c = colours(theme)
        self.structures.set_text_colour(c["text"])
        self.tools.set_colours(c["text"], readable(c["current"]))
        self.proposal.strip.set_colours(c["text"], mixed(c["text"], c["background"], 0.35))
