"""The U-Net from nothing: examples change together with their masks, and a few seconds teach it something."""

from pathlib import Path

import torch

from napari_medseg.benchmarks.baselines.unet import UNetArm, vary
from napari_medseg.benchmarks.draws import draws_of
from napari_medseg.core.metrics import dice
from napari_medseg.core.progress import finish
from napari_medseg.learning.data import read_datasets
from tests.phantom_sets import patients, write_phantoms


def test_pictures_and_masks_move_together() -> None:
    torch.manual_seed(0)
    masks = torch.zeros(4, 1, 32, 32)
    masks[:, :, 8:20, 10:24] = 1
    pictures, moved = vary(masks.expand(-1, 3, -1, -1), masks)
    assert moved.shape == masks.shape and set(moved.unique().tolist()) <= {0.0, 1.0}
    assert not torch.equal(moved, masks)
    inside, outside = pictures[moved.expand(-1, 3, -1, -1) > 0], pictures[moved.expand(-1, 3, -1, -1) == 0]
    assert inside.mean() > outside.mean() + 0.5


def test_it_trains_as_long_as_it_is_told(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "set", patients(6, "train") + patients(5, "test"))
    draw = finish(draws_of(read_datasets([tmp_path]), "test", 0))[0][0]
    examples, queries = draw.load()
    arm = UNetArm("unet", seconds=4.0)
    assert arm.version == "4 s"
    learnt = arm.learn(examples[:5], [arm.look(shot) for shot in examples[:5]])
    answer = arm.answer(learnt, queries[0], arm.look(queries[0]))
    assert answer.shape == queries[0].region.shape
    assert dice(answer, queries[0].region) > 0.2
