"""What is kept of slices looked at: the same mask from encoder, memory and disk, and nobody else's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_medseg.core.geometry import Geometry, from_spacing
from napari_medseg.core.model import Preparation
from napari_medseg.core.progress import finish
from napari_medseg.core.prompts import Box
from napari_medseg.core.request import Request
from napari_medseg.core.task import task_of
from napari_medseg.core.volume import Volume
from napari_medseg.methods._looks import Looks
from napari_medseg.methods._shelf import Shelf
from napari_medseg.methods.sam import Sam, Settings, build
from napari_medseg.networks.sam_decoder import Encoded
from tests.models import tiny_sam

PREPARATION = Preparation(long_side=64)
ONE = 2 * (2 * 16 * 16 + 16 * 16)  # bytes of one frame in half precision


class Counting(torch.nn.Module):
    """An encoder that says how often and how many images it was given, and when its memory is full."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.batches: list[int] = []
        self.room = 100  # images that fit into memory at once
        self.scale = scale

    def encode(self, images: torch.Tensor) -> Encoded:
        if len(images) > self.room:
            raise torch.OutOfMemoryError("no room")
        self.batches.append(len(images))
        fine = images[:, :2, ::4, ::4] * self.scale
        return Encoded(images[:, :1, ::4, ::4], (images.repeat(1, 4, 1, 1),), (fine,))


def volume(seed: int = 0, n: int = 6) -> Volume:
    values = np.random.default_rng(seed).integers(-500, 500, (n, 40, 48)).astype(np.int16)
    return Volume(values, Geometry((n, 40, 48), from_spacing((2.0, 1.0, 1.0))))


def looks(
    network: Counting, folder: Path | None = None, weights: str = "w", preparation: Preparation = PREPARATION
) -> Looks:
    shelf = None if folder is None else Shelf(folder, 10)
    return Looks(network, preparation, 256, "cpu", weights, shelf)  # type: ignore[arg-type]


def look(at: Looks, image: Volume, index: int = 2) -> Encoded:
    return at.at(image, "axial", index, at.frame(image, "axial"))


def n_encoded(folder: Path, image: Volume, **more: object) -> int:
    """How often a fresh program encodes one slice."""
    network = Counting()
    look(looks(network, folder, **more), image)  # type: ignore[arg-type]
    return sum(network.batches)


def test_fresh_kept_and_read_from_disk_are_the_same_to_the_bit(tmp_path: Path) -> None:
    one = looks(Counting(), tmp_path)
    fresh, kept = look(one, volume()), look(one, volume())
    network = Counting()
    read = look(looks(network, tmp_path), volume())
    assert network.batches == []
    for found in (kept, read):
        assert torch.equal(found.embedding, fresh.embedding)
        assert len(found.stem) == 1
        assert torch.equal(found.stem[0], fresh.stem[0])
        assert found.levels == ()
        assert found.colour is None
        assert found.embedding.dtype == torch.float32


def test_a_slice_and_a_closer_look_are_the_very_same_object_for_the_next_click(tmp_path: Path) -> None:
    one, image = looks(Counting()), volume()
    closer = one.frame(image, "axial", (8.0, 8.0, 24.0, 24.0))
    for _ in range(2):
        assert look(one, image) is look(one, image)
        assert one.at(image, "axial", 2, closer) is one.at(image, "axial", 2, closer)
    first = look(one, image)
    for index in (0, 1):
        look(one, image, index)
    again = look(one, image)
    assert again is not first and torch.equal(again.embedding, first.embedding)
    assert look(one, volume(seed=1)) is not again


def test_the_same_mask_fresh_kept_and_from_disk(tmp_path: Path) -> None:
    model, image = tiny_sam(tmp_path), volume()
    request = Request(image, "axial", (2,), task_of("t", ("a",)), (Box("a", "axial", 2, (5, 6), (30, 40)),))

    n_encoded: list[int] = []

    def ask(method: Sam) -> tuple[np.ndarray, np.ndarray]:
        network = method.looks.network
        encode = type(network).encode.__get__(network)
        network.encode = lambda images: n_encoded.append(len(images)) or encode(images)  # type: ignore
        answer = finish(method.segment(request))
        assert answer.uncertainty is not None
        return answer.mask.of("a"), answer.uncertainty

    settings = Settings(zoom=False, cut=0.4)
    method = build(settings, model, "cpu")
    answers = [ask(method), ask(method), ask(build(settings, model, "cpu"))]
    assert len(list((tmp_path / "cache" / "prepared").iterdir())) == 1
    assert n_encoded == [1]  # the second came from memory, the third from disk
    answers.append(ask(build(replace(settings, disk=0), model, "cpu")))
    for region, doubt in answers[1:]:
        assert np.array_equal(region, answers[0][0])
        assert np.array_equal(doubt, answers[0][1])


def test_what_another_program_prepared_is_found_by_content(tmp_path: Path) -> None:
    assert n_encoded(tmp_path, volume()) == 1
    assert n_encoded(tmp_path, volume()) == 0
    moved = replace(volume(), geometry=Geometry((6, 40, 48), from_spacing((2.0, 1.0, 1.0), (9, 9, 9))))
    assert n_encoded(tmp_path, moved) == 0
    assert n_encoded(tmp_path, volume(seed=1)) == 1


def test_other_weights_or_another_preparation_do_not_share(tmp_path: Path) -> None:
    assert n_encoded(tmp_path, volume()) == 1
    assert n_encoded(tmp_path, volume(), weights="v") == 1
    for other in (
        replace(PREPARATION, long_side=80),
        replace(PREPARATION, mean=(0.0, 0.0, 0.0)),
        replace(PREPARATION, std=(1.0, 1.0, 1.0)),
        replace(PREPARATION, percentiles=(10.0, 90.0)),
    ):
        assert n_encoded(tmp_path, volume(), preparation=other) == 1
    assert n_encoded(tmp_path, replace(volume(), modality="CT")) == 1  # a window in place of percentiles


def test_weights_that_have_no_name_keep_nothing_on_disk(tmp_path: Path) -> None:
    assert n_encoded(tmp_path, volume(), weights="") == 1
    assert list(tmp_path.iterdir()) == []


def test_closer_looks_are_kept_in_memory_only(tmp_path: Path) -> None:
    network = Counting()
    one = looks(network, tmp_path)
    closer = one.frame(volume(), "axial", (8.0, 8.0, 24.0, 24.0))
    image = volume()
    for _ in range(2):
        one.at(image, "axial", 2, closer)
    assert network.batches == [1]
    assert list(tmp_path.iterdir()) == []


def test_memory_is_held_by_bytes_and_the_least_recently_used_goes_first() -> None:
    network, image = Counting(), volume(n=40)
    one = looks(network)
    one.memory = 1
    n_fit = 2**20 // ONE
    stuffed = [("axial", 100 + i, one.frame(image, "axial")) for i in range(n_fit - 2)]
    look(one, image, 0)
    for key in stuffed:
        one._keep(key, dict(one._kept["axial", 0, one.frame(image, "axial")]))  # type: ignore[arg-type]
    look(one, image, 0)  # used again
    for index in range(1, 6):
        look(one, image, index)
        assert len(one) <= n_fit
    indices = [index for _, index, _ in one._kept]
    assert indices[-6:] == [0, 1, 2, 3, 4, 5]
    assert 100 not in indices
    large = one.frame(image, "axial", (0.0, 0.0, 20.0, 20.0))
    one._keep(("axial", 7, large), {"embedding": torch.zeros(1, 2**20)})
    assert len(one) == 1  # larger than all that may be kept: only the one in use


def test_values_too_large_for_half_precision_are_kept_whole(tmp_path: Path) -> None:
    one = looks(Counting(scale=1e6), tmp_path)
    fresh = look(one, volume())
    assert bool(fresh.stem[0].isfinite().all())
    read = look(looks(Counting(scale=1e6), tmp_path), volume())
    assert torch.equal(read.stem[0], fresh.stem[0])


def test_slices_are_looked_at_in_batches_which_shrink_when_memory_is_short() -> None:
    network, image = Counting(), volume(n=20)
    one = looks(network)
    one.at_once = 8
    assert list(one.ahead(image, "axial", range(18))) == [8, 16, 18]
    assert network.batches == [8, 8, 2]
    single = looks(Counting())
    for index in (0, 9, 17):
        assert torch.equal(look(one, image, index).embedding, look(single, image, index).embedding)
    assert sum(network.batches) == 18
    short = Counting()
    short.room = 3
    two = looks(short)
    two.at_once = 8
    assert list(two.ahead(image, "axial", range(8))) == [8]
    assert short.batches == [1] * 8
    assert two.told() == []


def test_a_full_card_is_said_and_what_lay_on_it_is_forgotten() -> None:
    one = looks(Counting())
    look(one, volume(), 0)
    one.device = "cuda"
    one._fall_back()
    assert one.device == "cpu"
    assert len(one) == 0
    assert one.told() == ["The graphics card's memory is full; the processor goes on, more slowly."]


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_only_graphics_cards_of_nvidia_calculate_in_brain_floats(device: str) -> None:
    one = looks(Counting())
    one.device = device
    with one._precision():
        assert not torch.is_autocast_enabled("cuda")
        assert not torch.is_autocast_enabled("cpu")
