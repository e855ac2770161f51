"""SAM as a method: geometry there and back, closer looks, memory, following through slices.

A stand-in network answers with what was drawn on its prompt maps, so that the truth is the prompt itself.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_medseg import workflow
from napari_medseg.core.errors import TaskError
from napari_medseg.core.geometry import Geometry, from_spacing
from napari_medseg.core.likeness import FOREIGN
from napari_medseg.core.mask import Mask
from napari_medseg.core.model import Model, Preparation
from napari_medseg.core.progress import finish
from napari_medseg.core.prompts import Box, Lasso, MaskPrompt, Point, Scribble
from napari_medseg.core.request import Request, Segmentation
from napari_medseg.core.structure import Structure
from napari_medseg.core.task import task_of
from napari_medseg.core.volume import Volume
from napari_medseg.methods.sam import Sam, Settings, build
from napari_medseg.networks.sam_decoder import Encoded
from napari_medseg.networks.sam_prompts import PromptBatch
from tests.models import tiny_sam

TASK = task_of("t", ("thing",))


class Echo(torch.nn.Module):
    """Outlines exactly the box, the previous mask, or a disc about the clicks."""

    def __init__(self, quality: float = 0.9) -> None:
        super().__init__()
        self.n_encoded, self.quality, self.full = 0, quality, 0

    def encode(self, images: torch.Tensor) -> Encoded:
        if self.full > 0:
            self.full -= 1
            raise torch.OutOfMemoryError("no room")
        self.n_encoded += 1
        return Encoded(images[:, :1, ::16, ::16], (), (images[:, :1, ::4, ::4],))

    def decode(self, encoded: Encoded, prompts: PromptBatch) -> tuple[torch.Tensor, torch.Tensor]:
        previous, inside, _, _ = prompts.maps[0]
        first, last = (prompts.points[0][prompts.labels[0] == kind] / 4 for kind in (2, 3))
        cells = torch.arange(previous.shape[0]) + 0.5
        box = torch.zeros_like(previous)
        if len(last):
            low, high = (cells - 0.5)[:, None], (cells + 0.5)[:, None]
            cover = (torch.minimum(high, last) - torch.maximum(low, first)).clamp(0, 1)
            box = cover[:, 1, None] * cover[None, :, 0]
        drawn = torch.maximum(
            torch.maximum(box * 2 - 1, inside * 2 - 1), torch.where(previous == 0, -1, previous)
        )
        scale = torch.tensor([1.0, 0.9, 1.0, 0.8])[:, None, None]
        return (8 * drawn * scale)[None], torch.tensor([[1.0, 0.5, 0.9, 0.7]]) * self.quality


def sam(network: Echo | None = None, **settings: object) -> Sam:
    model = Model("echo", "sam", {}, (), Preparation(), "", Path())
    return Sam(network or Echo(), model, replace(Settings(), **settings), "cpu")  # type: ignore[arg-type]


def volume(
    shape: tuple[int, int, int] = (5, 120, 200), spacing: tuple[float, float, float] = (2, 1, 1)
) -> Volume:
    random = np.random.default_rng(0)
    return Volume(random.integers(0, 255, shape).astype(np.int16), Geometry(shape, from_spacing(spacing)))


def ask(
    method: Sam, image: Volume, *prompts: object, slices: tuple[int, ...] = (2,), **more: object
) -> Segmentation:
    request = Request(image, "axial", slices, TASK, prompts, **more)  # type: ignore[arg-type]
    return finish(method.segment(request))


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def rectangle(rows: slice, columns: slice, shape: tuple[int, int] = (120, 200)) -> np.ndarray:
    region = np.zeros(shape, bool)
    region[rows, columns] = True
    return region


@pytest.mark.parametrize("zoom", [False, True])
@pytest.mark.parametrize("spacing", [(2, 1, 1), (2, 1.0, 0.6)])
def test_a_box_comes_back_where_it_was_drawn(zoom: bool, spacing: tuple[float, float, float]) -> None:
    found = ask(sam(zoom=zoom), volume(spacing=spacing), Box("thing", "axial", 2, (40, 90), (72, 138)))
    assert dice(found.mask.of("thing")[0], rectangle(slice(40, 72), slice(90, 138))) > 0.97


def test_a_small_structure_is_seen_sharper_with_a_closer_look() -> None:
    box = Box("thing", "axial", 2, (41, 91), (48, 100))
    truth = rectangle(slice(41, 48), slice(91, 100))
    whole = dice(ask(sam(zoom=False), volume(), box).mask.of("thing")[0], truth)
    closer = dice(ask(sam(zoom=True), volume(), box).mask.of("thing")[0], truth)
    assert closer > max(whole, 0.95)


def test_one_click_offers_alternatives_best_first() -> None:
    found = ask(sam(zoom=False), volume(), Point("thing", "axial", (2, 60, 100)))
    qualities = [other.quality for other in found.alternatives]
    assert qualities == sorted(qualities, reverse=True)
    assert len(qualities) == 3
    assert found.quality["thing"][0] == pytest.approx(qualities[0])
    assert found.mask.of("thing")[0, 60, 100]
    np.testing.assert_array_equal(found.alternatives[0].mask.of("thing"), found.mask.of("thing"))
    closer = ask(sam(), volume(), Point("thing", "axial", (2, 60, 100)))
    assert len(closer.alternatives) == 3
    np.testing.assert_array_equal(closer.alternatives[0].mask.of("thing"), closer.mask.of("thing"))


def test_a_box_offers_no_alternatives() -> None:
    assert ask(sam(), volume(), Box("thing", "axial", 2, (40, 90), (72, 138))).alternatives == ()


def test_only_the_part_pointed_at_is_kept() -> None:
    two = rectangle(slice(10, 30), slice(10, 30)) | rectangle(slice(80, 100), slice(150, 180))
    prompts = (MaskPrompt("thing", "axial", 2, two), Point("thing", "axial", (2, 20, 20)))
    found = ask(sam(), volume(), *prompts).mask.of("thing")[0]
    assert found[20, 20]
    assert not found[80:100, 150:180].any()
    assert ask(sam(keep=False), volume(), *prompts).mask.of("thing")[0, 90, 165]


def test_scribble_lasso_and_rough_mask_reach_the_network() -> None:
    path = np.array([[60.0, 40.0], [60.0, 60.0], [60.0, 80.0]])
    line = ask(sam(zoom=False, keep=False), volume(), Scribble("thing", "axial", 2, path)).mask.of("thing")[0]
    assert line[60, [40, 60, 80]].all()
    corners = np.array([[30.0, 30.0], [30.0, 90.0], [90.0, 90.0], [90.0, 30.0]])
    square = ask(sam(), volume(), Lasso("thing", "axial", 2, corners)).mask.of("thing")[0]
    assert dice(square, rectangle(slice(30, 91), slice(30, 91))) > 0.95
    hole = Lasso("thing", "axial", 2, corners, positive=False)
    left = ask(sam(), volume(), Box("thing", "axial", 2, (20, 20), (100, 160)), hole).mask.of("thing")[0]
    assert not left[31:90, 31:90].any()
    assert left[95, 150]


def test_the_previous_mask_is_refined() -> None:
    image = volume()
    region = rectangle(slice(40, 72), slice(90, 138))
    before = Mask.empty(image.geometry, (Structure("thing"),)).put_slice("thing", "axial", 2, region)
    found = ask(sam(), image, Point("thing", "axial", (2, 50, 100)), previous=before).mask.of("thing")[0]
    assert dice(found, region) > 0.95


def test_following_a_structure_through_slices_and_stopping() -> None:
    box = Box("thing", "axial", 2, (40, 90), (72, 138))
    found = ask(sam(), volume(), box, slices=(0, 1, 2, 3, 4)).mask.of("thing")
    assert all(dice(part, rectangle(slice(40, 72), slice(90, 138))) > 0.9 for part in found)
    unsure = ask(sam(Echo(quality=0.1)), volume(), box, slices=(0, 1, 2, 3, 4))
    assert unsure.mask.of("thing").any((1, 2)).tolist() == [False, False, True, False, False]
    assert unsure.notes == (
        "thing: on axial slice 2; before that it is no longer clear, after that it is no longer clear.",
    )


def test_results_on_the_way_are_rare_whole_and_kept_after_a_cancel() -> None:
    image = volume((40, 120, 200))
    box = Box("thing", "axial", 20, (40, 90), (72, 138))
    request = Request(image, "axial", tuple(range(40)), TASK, (box,))
    job = workflow.segment(sam(), request)
    shown = []
    for step in job:
        if step.partial is not None:
            shown.append((step.partial.mask.of("thing").any((1, 2)).sum(), step.partial.quality["thing"]))
        if len(shown) == 3:
            break
    job.close()
    assert [n for n, _ in shown] == [8, 16, 24]
    assert sum(quality > 0 for quality in shown[-1][1]) == 24
    told = [step.partial is not None for step in sam().segment(request)]
    assert sum(told) == 4  # after 8, 16, 24 and 32


def test_what_a_person_fixed_is_never_changed_on_the_way() -> None:
    image = volume()
    fixed = np.zeros((5, 120, 200), np.int8)
    fixed[3, 40:50] = -1
    fixed[4, 100:104, 10:20] = 1
    request = Request(
        image, "axial", (0, 1, 2, 3, 4), TASK, (Box("thing", "axial", 2, (40, 90), (72, 138)),),
        fixed={"thing": fixed},
    )  # fmt: skip
    found = finish(workflow.segment(sam(), request)).mask.of("thing")
    assert not found[3, 40:50].any()
    assert found[4, 100:104, 10:20].all()
    assert not found[2, 100:104, 10:20].any()


def test_prepared_slices_are_not_encoded_again_and_memory_is_bounded() -> None:
    network, image = Echo(), volume((40, 120, 200))
    method = sam(network, zoom=False)
    finish(method.prepare(image, "axial", (1, 2, 3)))
    assert network.n_encoded == 3
    ask(method, image, Point("thing", "axial", (2, 60, 100)))
    assert network.n_encoded == 3
    one = 4 * (16 * 16 + 64 * 64)
    method.looks.memory = 1
    finish(method.prepare(image, "axial", tuple(range(40))))
    assert len(method.looks) <= 2**20 // one
    ask(method, volume(), Point("thing", "axial", (2, 60, 100)))
    assert len(method.looks) == 1  # another image: the old ones are forgotten


def test_a_full_graphics_card_is_said_and_the_processor_goes_on() -> None:
    network = Echo()
    network.full = 1
    method = sam(network)
    method.looks.device = "meta"
    found = ask(method, volume(), Box("thing", "axial", 2, (40, 90), (72, 138)))
    assert method.looks.device == "cpu"
    assert found.notes == ("The graphics card's memory is full; the processor goes on, more slowly.",)
    network.full = 1
    with pytest.raises(TaskError, match="not enough memory"):
        ask(method, volume(), Box("thing", "axial", 2, (40, 90), (72, 138)))


def test_no_prompt_and_no_model_are_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="Nothing is pointed at"):
        ask(sam(), volume(), Point("thing", "axial", (0, 1, 1)))
    with pytest.raises(TaskError, match="none is installed"):
        build(Settings(), None, "cpu")
    assert isinstance(build(Settings(), tiny_sam(tmp_path), "cpu"), Sam)


def test_finding_nothing_is_said() -> None:
    outside = MaskPrompt("thing", "axial", 2, np.zeros((120, 200), bool))
    found = ask(sam(), volume(), outside)
    assert not found.mask.of("thing").any()
    assert found.notes == ("thing: nothing was found on axial slice 2.",)


def test_colour_and_odd_sizes() -> None:
    array = np.random.default_rng(0).integers(0, 255, (1, 37, 61, 3)).astype(np.uint8)
    image = Volume(array, Geometry.of_pixels((1, 37, 61)))
    request = Request(image, "axial", (0,), TASK, (Box("thing", "axial", 0, (5, 7), (30, 50)),))
    found = finish(sam().segment(request)).mask.of("thing")[0]
    assert dice(found, rectangle(slice(5, 30), slice(7, 50), (37, 61))) > 0.95


def test_a_calibrated_model_says_what_its_word_is_worth(tmp_path: Path) -> None:
    """Truth: the calibration written into the card here, whatever the network says of itself."""
    known = {"said": [0.0, 1.0], "mean": [0.6, 0.6], "low": [0.4, 0.4], "high": [0.7, 0.7], "n": 50}
    far = {"axes": np.zeros((1, 96)).tolist(), "homes": [[5.0]], "limit": 1.0}
    model = tiny_sam(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (1, 64, 64), np.uint8)
    volume = Volume(pixels, Geometry((1, 64, 64), from_spacing((1.0, 1.0, 1.0))))
    answers = {}
    for name, card in (("bare", {}), ("known", {"calibration": {"click": known}, "likeness": far})):
        sam = build(Settings(), replace(model, card=card), "cpu")
        click = Point("thing", "axial", (0.0, 30.0, 30.0))
        answers[name] = finish(sam.segment(Request(volume, "axial", (0,), TASK, (click,))))
    assert answers["bare"].interval == {} and FOREIGN not in answers["bare"].notes
    assert answers["known"].quality["thing"] == (0.6,)
    assert answers["known"].interval["thing"] == ((0.4, 0.7),)
    assert FOREIGN in answers["known"].notes
