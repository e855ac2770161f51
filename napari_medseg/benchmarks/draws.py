"""Which slices are examples and which are asked: drawn once, by the seed alone, the same for every arm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from napari_medseg.benchmarks.harness import SetInfo, in_turn, random_of
from napari_medseg.benchmarks.shots import NUMBERS, Draw, Place
from napari_medseg.core.progress import Job, Progress
from napari_medseg.learning.data import Dataset, Item

N_DRAWS, N_QUERIES, N_CASES = 10, 3, 10
_MOST_ITEMS = 40  # of a split whose masks are looked at
_MOST_SLICES = 12  # of a volume and a structure that may be drawn
_MOST_STRUCTURES = 8
_A_TURN = 3  # draws of a set that is averaged, for one of a set that is not
_SMALLEST, _SMALLEST_PART = 50, 0.01  # pixels, or part of the slice, of a structure worth asking for


def draws_of(datasets: Sequence[Dataset], split: str, seed: int) -> Job[tuple[list[Draw], list[SetInfo]]]:
    """Draw for every structure of every set, sets taking turns, and say what was drawn from.

    Sets that count in a mean come first, the unseen ones leading, and three times as often as the others.

    Examples come from the train split, in sets without one from the other groups of `split`; a query's group
    never shows an example, unless the set has one group only.

    Parameters
    ----------
    split : str
        "test", "val", or "all" for both; in a set marked unseen all splits are those of strangers, and the
        queries still come from `split`.
    """
    queues, infos = [], []
    for position, dataset in enumerate(datasets):
        yield Progress(position / len(datasets), f"Looking for structures in {dataset.name}")
        asked = _places(_some(dataset, ("test", "val") if split == "all" else (split,), seed), dataset)
        shown = _places(_some(dataset, ("train",), seed), dataset)
        draws = _draws_of_set(dataset, asked, shown, seed)
        if draws:
            infos.append(_info(dataset, asked, draws[0].alone))
            pause: list[list[Draw]] = [] if infos[-1].averaged else [[]] * (_A_TURN - 1)
            queues.append([turn for draw in draws for turn in (*pause, [draw])])
    order = sorted(range(len(infos)), key=lambda i: (not infos[i].averaged, infos[i].role != "unseen"))
    return [draw for turn in in_turn([queues[i] for i in order]) for draw in turn], infos


def cases_of(datasets: Sequence[Dataset], split: str, seed: int) -> Job[tuple[list[Draw], list[SetInfo]]]:
    """Draw series of ten cases of different patients, in the unseen sets that have so many.

    Parameters
    ----------
    split : str
        As for `draws_of`; cases come from "train" too, which trains nothing in these sets.
    """
    queues, infos = [], []
    unseen = [dataset for dataset in datasets if dataset.role == "unseen"]
    for position, dataset in enumerate(unseen):
        yield Progress(position / len(unseen), f"Looking for structures in {dataset.name}")
        splits = ("train", "test", "val") if split == "all" else ("train", split)
        found = _places(_some(dataset, splits, seed), dataset)
        series = [
            _series(dataset, name, number, found[name], seed) for name in found for number in range(N_DRAWS)
        ]
        series = [one for one in series if len(one.queries) == N_CASES]
        if series:
            queues.append(series)
            infos.append(_info(dataset, found, False))
    return in_turn(queues), infos


def _series(dataset: Dataset, name: str, number: int, places: Sequence[Place], seed: int) -> Draw:
    """A slice each of ten patients, or of as many as there are."""
    by_group: dict[str, list[Place]] = {}
    for place in places:
        by_group.setdefault(place.item.group, []).append(place)
    random = random_of(seed, f"{dataset.name}/{name}/series {number}")
    chosen = [str(group) for group in random.permutation(sorted(by_group))[:N_CASES]]
    queries = _turns({group: by_group[group] for group in chosen}, len(chosen), random)
    return Draw(dataset, name, number, (), tuple(queries))


def _info(dataset: Dataset, asked: Mapping[str, list[Place]], alone: bool) -> SetInfo:
    """What tables must know of a set: who is asked for."""
    items = [place.item for places in asked.values() for place in places]
    groups, images = {item.group for item in items}, {item.image for item in items}
    return SetInfo(
        dataset.name, dataset.role, len(groups), len(images), "px" if dataset.dim == 2 else "mm", alone
    )


def _some(dataset: Dataset, splits: tuple[str, ...], seed: int) -> list[Item]:
    """Items of some splits, in an order drawn by the seed; of a large set a part."""
    items = sorted((i for i in dataset.items if i.split in splits), key=lambda item: item.image.name)
    order = random_of(seed, f"{dataset.name}/{splits}").permutation(len(items))
    return [items[i] for i in order[:_MOST_ITEMS]]


def _places(items: Sequence[Item], dataset: Dataset) -> dict[str, list[Place]]:
    """For each structure the slices on which it is large enough, a dozen a volume at most."""
    found: dict[str, list[Place]] = {name: [] for name in dataset.regions}
    for item in items:
        mask = item.mask()
        for name in mask.names:
            region = mask.of(name)
            sizes = np.count_nonzero(region, axis=(1, 2))
            worth = np.flatnonzero(sizes >= min(_SMALLEST, _SMALLEST_PART * region[0].size))
            for i in np.unique(np.linspace(0, len(worth) - 1, min(len(worth), _MOST_SLICES)).round()):
                found[name].append(Place(item, int(worth[int(i)]), mask.geometry.native_plane))
    return found


def _draws_of_set(
    dataset: Dataset, asked: Mapping[str, list[Place]], shown: Mapping[str, list[Place]], seed: int
) -> list[Draw]:
    """Ten draws of each structure, one of each structure in turn."""
    alone = not any(shown.values()) and len({p.item.group for ps in asked.values() for p in ps}) == 1
    names = [name for name in asked if asked[name] and (shown[name] or len(asked[name]) > 1)]
    if len(names) > _MOST_STRUCTURES:
        chosen = random_of(seed, dataset.name).choice(len(names), _MOST_STRUCTURES, replace=False)
        names = [names[i] for i in sorted(chosen)]
    queues = []
    for name in names:
        ordered = _Ordered(asked[name], alone or not shown[name], alone)
        made = (_draw(dataset, name, number, ordered, shown[name], seed) for number in range(N_DRAWS))
        queues.append([draw for draw in made if draw.examples])
    return in_turn(queues)


@dataclass(frozen=True, eq=False)
class _Ordered:
    """Where queries come from: of one owner where examples are those of the others, else of several."""

    places: Sequence[Place]
    one_owner: bool
    alone: bool

    def owner(self, place: Place) -> str:
        """Who must not show an example: the patient, or in a set of one patient the slice's image."""
        return place.item.image.name if self.alone else place.item.group


def _draw(
    dataset: Dataset, name: str, number: int, ordered: _Ordered, shown: Sequence[Place], seed: int
) -> Draw:
    """One draw: the queries, whose owners take turns from draw to draw, then examples of others."""
    by_owner: dict[str, list[Place]] = {}
    for place in ordered.places:
        by_owner.setdefault(ordered.owner(place), []).append(place)
    owners = random_of(seed, f"{dataset.name}/{name}").permutation(sorted(by_owner))
    n = 1 if ordered.one_owner else min(N_QUERIES, len(owners))
    chosen = [str(owners[(number * n + i) % len(owners)]) for i in range(n)]
    random = random_of(seed, f"{dataset.name}/{name}/{number}")
    first, *others = _turns({owner: by_owner[owner] for owner in chosen}, N_QUERIES, random)
    queries = (first, *(place for place in others if place.plane == first.plane))
    if ordered.alone:
        left = [place for place in by_owner[chosen[0]] if place not in queries]
    else:
        groups = {place.item.group for place in queries}
        left = [place for place in shown or ordered.places if place.item.group not in groups]
    owned: dict[str, list[Place]] = {}
    for place in (place for place in left if place.plane == first.plane):
        owned.setdefault(place.item.group, []).append(place)
    order = random.permutation(sorted(owned))
    examples = tuple(_turns({str(group): owned[str(group)] for group in order}, max(NUMBERS), random))
    return Draw(dataset, name, number, examples, queries, ordered.alone)


def _turns(owned: Mapping[str, list[Place]], most: int, random: np.random.Generator) -> Iterator[Place]:
    """So many places, one of each owner in turn, drawn from what each has."""
    queues = [[places[i] for i in random.permutation(len(places))] for places in owned.values()]
    yield from in_turn(queues)[:most]
