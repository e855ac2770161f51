"""What is to be outlined on which kind of image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from napari_medseg.core.errors import TaskError
from napari_medseg.core.structure import Structure, colour_of

RuleKind = Literal["inside", "excludes"]


@dataclass(frozen=True)
class Rule:
    """How two structures share space: `first` lies inside `second`, or the two never overlap.

    Raises
    ------
    TaskError
        If both are the same.
    """

    kind: RuleKind
    first: str
    second: str

    def __post_init__(self) -> None:
        if self.first == self.second:
            raise TaskError(f"A rule needs two structures; '{self.first}' was named twice.")


@dataclass(frozen=True)
class Task:
    """An objective on a modality and a region, with its structures in order.

    Parameters
    ----------
    slug : str
        Short name: the folder of the data set it was trained on, or what the person typed.
    modality, anatomy, objective, site : str
        Words as in the data set, "" when unknown.
    structures : tuple of Structure
        In order; a model fits a task when the ordered names are equal.
    rules : tuple of Rule
        Which structures lie inside or exclude each other; they may name structures the task lacks.

    Raises
    ------
    TaskError
        If two structures have one name.
    """

    slug: str
    modality: str = ""
    anatomy: str = ""
    objective: str = ""
    site: str = ""
    structures: tuple[Structure, ...] = ()
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        names = self.structure_names
        for name in names:
            if names.count(name) > 1:
                raise TaskError(f"The task '{self.slug}' has two structures called '{name}'; rename one.")

    @property
    def structure_names(self) -> tuple[str, ...]:
        """Ordered names, the key by which models are matched."""
        return tuple(structure.name for structure in self.structures)

    def fits(self, structure_names: Sequence[str]) -> bool:
        """Whether a model with these ordered structure names can do this task."""
        return self.structure_names == tuple(structure_names)

    @property
    def nested(self) -> frozenset[tuple[str, str]]:
        """Pairs (inner, outer) of structures that lie inside each other, directly or by way of others."""
        pairs = {(rule.first, rule.second) for rule in self.rules if rule.kind == "inside"}
        while more := {(a, d) for a, b in pairs for c, d in pairs if b == c and a != d} - pairs:
            pairs |= more
        return frozenset(pairs)

    def structure(self, name: str) -> Structure:
        """Find a structure by name.

        Raises
        ------
        TaskError
            If the task has no such structure.
        """
        for structure in self.structures:
            if structure.name == name:
                return structure
        known = ", ".join(self.structure_names) or "none"
        raise TaskError(f"The task '{self.slug}' has no structure '{name}'; it has: {known}.")


def task_of(
    slug: str, names: Sequence[str], *, modality: str = "", anatomy: str = "", objective: str = ""
) -> Task:
    """Make a task from structure names, with colours in order."""
    structures = tuple(Structure(name, colour_of(i)) for i, name in enumerate(names))
    return Task(slug, modality, anatomy, objective, structures=structures)
