"""Studies: what belongs together stays together, and nothing but the train split of seen sets is used."""

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_medseg.core.errors import TaskError
from napari_medseg.learning.data import read_dataset
from napari_medseg.learning.episodes import Episodes, Study, load_targets
from napari_medseg.learning.study import recolour, scenes, warped, warps
from tests.learning.test_pretrain import write_dataset


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> Episodes:
    data = read_dataset(write_dataset(tmp_path_factory.mktemp("data") / "discs", n=8))
    return Episodes(load_targets(data, "train", 64), 64, np.random.default_rng(0))


def draw(episodes: Episodes, *shares: float) -> list[Study]:
    """Six studies of one kind; the discs of their pictures are bright, what lies around them is dark."""
    chosen = Episodes(episodes.targets, 64, np.random.default_rng(1), (shares[0], shares[1]))
    return [chosen.draw(5) for _ in range(6)]


@pytest.mark.parametrize("shares", [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])
def test_every_kind_has_the_shape_it_says(episodes: Episodes, shares: tuple[float, float]) -> None:
    for study in draw(episodes, *shares):
        assert study.images.shape == (5, 3, 64, 64)
        assert study.masks.shape == study.valid.shape == (5, 1, 64, 64)
        for part in (study.images, study.masks, study.valid):
            assert 0 <= part.min() <= part.max() <= 1
        assert (study.masks.sum((1, 2, 3)) > 0).sum() >= 2
        assert (study.masks * (1 - study.valid)).max() == 0


def test_a_mask_follows_its_image_through_every_change(episodes: Episodes) -> None:
    """Discs are brighter than what surrounds them, or darker where a study is inverted, by far."""
    for study in draw(episodes, 0.0, 0.0):
        grey = study.images.mean(1, keepdim=True)
        for image, mask, valid in zip(grey, study.masks > 0.5, study.valid > 0.5, strict=True):
            if mask.sum() > 20:
                inside, outside = image[mask], image[valid & ~mask]
                assert abs(inside.mean() - outside.mean()) > 1.5 * min(inside.std(), outside.std())


def test_words_are_those_of_the_data_set(episodes: Episodes) -> None:
    assert {study.text for study in draw(episodes, 0.0, 0.0)} == {"disc in drawing"}
    assert {study.text for study in draw(episodes, 1.0, 0.0) + draw(episodes, 0.0, 1.0)} == {""}


def test_only_the_split_asked_for_is_read(tmp_path: Path) -> None:
    data = read_dataset(write_dataset(tmp_path / "discs", n=8))
    assert sum(len(target.pictures) for target in load_targets(data, "train", 64)) == 4
    with pytest.raises(TaskError, match="nothing to train on"):
        Episodes(load_targets(data, "val", 64), 64, np.random.default_rng(0))


def test_a_warp_without_a_bend_moves_picture_and_mask_alike() -> None:
    random = np.random.default_rng(0)
    mask = np.zeros((80, 80), bool)
    mask[20:50, 30:60] = True
    grid = warps(random, [mask] * 3, [(80, 80)] * 3, 64, closer=True, strong=False)
    picture = torch.from_numpy(mask).float().expand(3, 3, 80, 80)
    images, masks, valid = warped(picture, picture[:, :1], torch.ones(3, 1, 80, 80), grid)
    torch.testing.assert_close(images[:, :1] * valid, masks)
    assert masks.mean() > mask.mean()  # seen from closer


def test_recolouring_leaves_shapes_where_they_are() -> None:
    images = torch.zeros(4, 3, 32, 32)
    images[..., 16:] = 0.6
    for seed in range(8):
        changed = recolour(images, np.random.default_rng(seed), alike=False).mean(1)
        left, right = changed[..., 2:13].mean((1, 2)), changed[..., 19:30].mean((1, 2))
        assert (abs(left - right) > 0.05).all()


def test_scenes_are_of_one_anatomy() -> None:
    images, labels, n_labels = scenes(np.random.default_rng(3), 4, 64)
    assert images.shape == (4, 3, 64, 64)
    assert labels.shape == (4, 1, 64, 64)
    assert 0 <= labels.min() <= labels.max() < n_labels
    _, missing, _ = scenes(np.random.default_rng(3), 4, 64, n_without=2)
    assert [(part == 0).any().item() for part in missing] == [True, True, False, False]
    shares = torch.stack([(labels == k).float().mean((1, 2, 3)) for k in range(n_labels)])
    assert (shares.max(1).values - shares.min(1).values).max() < 0.5  # every label takes about its part
