"""Encoded views on disk: the same as the encoder gives, bounded and balanced."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_medseg.core.errors import TaskError
from napari_medseg.core.model import Preparation
from napari_medseg.core.task import Task, task_of
from napari_medseg.imaging.prepare import normalise
from napari_medseg.learning.labelled import Labelled
from napari_medseg.learning.views import Views
from napari_medseg.networks.sam import CompactSam

SIDE = 64
PREPARED = Preparation(long_side=SIDE)


def labelled(seed: int, n_structures: int = 2) -> Labelled:
    random = np.random.default_rng(seed)
    regions = np.zeros((n_structures, SIDE, SIDE), bool)
    regions[0, 8:24, 8:40] = True
    canvas = random.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    return Labelled(canvas, (SIDE, SIDE), regions, np.ones(n_structures, bool), f"p{seed}", f"slice {seed}")


def some_views(folder: Path, n: tuple[int, ...] = (3, 20), **words: object) -> tuple[Views, CompactSam]:
    torch.manual_seed(0)
    sam = CompactSam.tiny().eval().requires_grad_(False)
    tasks: list[tuple[Task, list[Labelled]]] = [
        (task_of(f"task {k}", ("liver", "spleen")), [labelled(100 * k + i) for i in range(m)])
        for k, m in enumerate(n)
    ]
    known: dict[str, object] = {"most": 8, "early": False} | words
    return Views(folder / "views", tasks, sam, PREPARED, np.random.default_rng(0), **known), sam  # type: ignore[arg-type]


def test_a_view_that_was_not_moved_is_what_the_encoder_sees(tmp_path: Path) -> None:
    views, sam = some_views(tmp_path, n=(1,), early=True)
    *_, done = views.fill(60)
    still = views.of["task 0"][0]
    seen = views.encoded([still], "cpu")
    with torch.no_grad():
        truth = sam.encode(torch.from_numpy(normalise(labelled(0).canvas, PREPARED))[None])
    assert done == 8
    assert torch.allclose(seen.embedding, truth.embedding, atol=1e-2)
    assert torch.allclose(seen.levels[0], truth.levels[0], atol=2e-2)
    assert len(seen.stem) == len(truth.stem)
    assert all(torch.allclose(a, b, atol=1e-2) for a, b in zip(seen.stem, truth.stem, strict=True))
    assert seen.colour is not None and truth.colour is not None
    assert torch.allclose(seen.colour, truth.colour, atol=1e-2)
    np.testing.assert_array_equal(still.regions(), labelled(0).regions)


def test_small_tasks_are_seen_several_times_and_large_ones_in_part(tmp_path: Path) -> None:
    views, _ = some_views(tmp_path)
    assert list(views.fill(60))[-1] == 8 + 13
    assert {slug: len(found) for slug, found in views.of.items()} == {"task 0": 8, "task 1": 13}
    assert len({view.place for found in views.of.values() for view in found}) == 21


def test_every_task_is_seen_however_short_the_time(tmp_path: Path) -> None:
    views, _ = some_views(tmp_path)
    list(views.fill(0.0))
    assert all(views.of.values())
    assert sum(map(len, views.of.values())) <= 8  # one batch


def test_the_file_stays_within_its_bound(tmp_path: Path) -> None:
    views, _ = some_views(tmp_path, most_bytes=200_000)
    list(views.fill(60))
    assert (tmp_path / "views").stat().st_size <= 200_000
    assert all(views.of.values())


def test_a_task_without_a_slice_is_said(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="task 1"):
        some_views(tmp_path, n=(1, 0))


def test_slices_nobody_looked_at_teach_nothing(tmp_path: Path) -> None:
    unknown = replace(labelled(0), known=np.zeros(2, bool))
    sam = CompactSam.tiny().eval()
    tasks = [(task_of("task", ("liver", "spleen")), [unknown, labelled(1)])]
    views = Views(tmp_path / "views", tasks, sam, PREPARED, np.random.default_rng(0), most=8)
    assert {one.title for _, one, _ in views.plan} == {"slice 1"}


def test_a_closer_look_holds_a_part_of_what_is_outlined(tmp_path: Path) -> None:
    views, _ = some_views(tmp_path)
    one, sides = labelled(0), set()
    for _ in range(50):
        side, down, across = views._closer(one)
        assert (down.stop - down.start, across.stop - across.start) == (side, side)
        assert 0 <= down.start and down.stop <= SIDE and 0 <= across.start and across.stop <= SIDE
        assert one.regions[0][down, across].sum() >= 0.9 * one.regions[0].sum()  # 16 by 32 pixels
        sides.add(side)
    assert min(sides) < 48 < max(sides)
