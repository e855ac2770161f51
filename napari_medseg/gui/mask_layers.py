"""The layers of the accepted mask and of the proposal, kept up to date with as little drawing as can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from napari_medseg.core.mask import Mask
from napari_medseg.gui.display import Display
from napari_medseg.gui.layers import add_mask, redraw
from napari_medseg.gui.work import Work

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.viewer import Viewer


class MaskLayers:
    """The two kinds of layers, "mask" and "proposal", one for each label array.

    Parameters
    ----------
    added : callable
        Called once with each layer of the proposal.

    Attributes
    ----------
    hidden : frozenset of str
        Structures not to be seen; call `show` afterwards.
    """

    def __init__(self, viewer: Viewer, added: Callable[[Labels], None]) -> None:
        self._viewer, self._added = viewer, added
        self.hidden: frozenset[str] = frozenset()
        self.mask: list[Labels] = []
        self.proposal: list[Labels] = []
        self._drawn: dict[str, Any] = {}
        self._heard: WeakSet[Labels] = WeakSet()

    def begin(self) -> None:
        """Know of no layers, as another case comes."""
        self.mask, self.proposal, self._drawn = [], [], {}

    def show(self, before: Work | None, work: Work, display: Display) -> None:
        """Draw what differs from the work before, all of it when there is none."""
        if before is None or before.mask is not work.mask:
            self.show_mask(work, display)
        if before is None or before.proposal is not work.proposal or before.pending is not work.pending:
            self.show_proposal(work, display)

    def show_mask(self, work: Work, display: Display) -> None:
        """Draw what is accepted."""
        self.mask = self._show("mask", work.mask, display, self.mask)
        for layer in self.mask:
            layer.editable = False

    def show_proposal(self, work: Work, display: Display) -> None:
        """Draw what is proposed."""
        self.proposal = self._show("proposal", work.proposal, display, self.proposal)
        for layer in [layer for layer in self.proposal if layer not in self._heard]:
            self._heard.add(layer)
            self._added(layer)

    def _show(self, role: str, mask: Mask, display: Display, layers: list[Labels]) -> list[Labels]:
        """Layers that show a mask; those there are only drawn again where just voxels changed."""
        seen = replace(mask, places={n: p for n, p in mask.places.items() if n not in self.hidden})
        colours = tuple((s.name, s.colour) for s in mask.structures)
        key = (tuple(map(id, mask.arrays)), dict(seen.places), colours)
        if self._drawn.get(role) == key:
            redraw(layers)
            return layers
        self._drawn[role] = key
        return add_mask(self._viewer, seen, display, role)
