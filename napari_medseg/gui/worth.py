"""Which slices are most worth correcting next, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from napari_medseg.core.geometry import Plane
from napari_medseg.gui.work import Pending, Work


@dataclass(frozen=True)
class Weak:
    """A slice that is proposed and nobody has corrected yet.

    Parameters
    ----------
    index : int
        Which one.
    loss : float
        The part of the outline that is expected to be wrong, 0 to 1.
    doubt : float
        The same by the doubt about its pixels, which decides between slices of equal loss.
    reason : str
        Why, as the middle of a sentence.
    """

    index: int
    loss: float
    doubt: float
    reason: str


def weakest(work: Work, plane: Plane) -> list[Weak]:
    """The proposed slices of a plane nobody has corrected, most worth correcting first."""
    found: dict[int, list[tuple[str, Pending]]] = {}
    for (name, owner, index), pending in work.pending.items():
        if owner == plane:
            found.setdefault(index, []).append((name, pending))
    told = [_weak(index, there) for index, there in found.items() if not any(p.edited for _, p in there)]
    return sorted((w for w in told if w is not None), key=lambda w: (-round(w.loss, 2), -w.doubt, w.index))


def rated(pending: Pending) -> bool:
    """Whether a method says how good a proposal is that nobody has corrected."""
    return not pending.edited and (pending.quality is not None or bool(pending.n_wrong))


def _weak(index: int, there: Sequence[tuple[str, Pending]]) -> Weak | None:
    """How weak one slice is; None where the method says nothing of it."""
    wrong = next((p.n_wrong for _, p in there if p.n_wrong is not None), 0.0)
    doubt = min(wrong / max(sum(p.voxels for _, p in there), 1), 1.0)
    rated = [(p.quality, name) for name, p in there if p.quality is not None]
    if rated:
        quality, name = min(rated)
        return Weak(index, 1.0 - quality, doubt, f"the expected Dice of {name} is {quality:.2f}")
    if not wrong:
        return None
    return Weak(index, doubt, doubt, f"about {doubt:.0%} of its outline may be wrong")
