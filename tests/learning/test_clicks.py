"""Simulated prompts lie where a person would have put them."""

import numpy as np
import torch

from napari_medseg.learning.clicks import box_around, correct, first_prompts


def disc(size: int = 64, radius: float = 18) -> np.ndarray:
    y, x = np.mgrid[:size, :size] + 0.5
    return np.asarray((y - 30) ** 2 + (x - 34) ** 2 < radius**2)


def test_a_box_without_jitter_is_tight() -> None:
    target = np.zeros((64, 64), bool)
    target[10:20, 30:50] = True
    found = box_around(target, np.random.default_rng(0), jitter=0.0)
    np.testing.assert_array_equal(found, [[30, 10], [50, 20]])


def test_jitter_stays_within_a_tenth() -> None:
    target, random = disc(), np.random.default_rng(0)
    tight = box_around(target, random, 0.0)
    moved = np.stack([box_around(target, random) for _ in range(200)])
    assert np.abs(moved - tight).max() <= 0.1 * 37
    assert np.abs(moved - tight).max() > 1


def test_first_clicks_and_scribbles_lie_inside() -> None:
    targets = np.stack([disc()] * 200)
    marks = first_prompts(targets, np.random.default_rng(1))
    for points, labels in zip(marks.points.numpy(), marks.labels.numpy(), strict=True):
        for x, y in points[labels == 1]:
            assert targets[0, int(y), int(x)]
    kinds = {tuple(sorted(set(labels.tolist()) - {-1})) for labels in marks.labels}
    assert kinds == {(), (1,), (2, 3)}  # a rough mask has no points


def test_a_correction_hits_the_largest_error_with_the_right_sign() -> None:
    truth = np.zeros((2, 64, 64), bool)
    truth[:, 8:40, 8:40] = True
    logits = torch.full((2, 16, 16), -5.0)  # the first answer misses everything
    logits[1, 2:10, 2:10] = 5.0
    logits[1, 12:16, 12:16] = 5.0  # the second has a false piece at rows and columns 48 to 64
    marks = first_prompts(truth, np.random.default_rng(0))
    n_before = (marks.labels != -1).sum(1)
    after = correct(marks, logits, truth, np.random.default_rng(0))
    n_after = (after.labels != -1).sum(1)
    assert (n_after - n_before).tolist() == [1, 1]
    first = after.points[0, int(n_before[0])].tolist()
    second = after.points[1, int(n_before[1])].tolist()
    assert int(after.labels[0, int(n_before[0])]) == 1
    assert int(after.labels[1, int(n_before[1])]) == 0
    assert 8 < first[0] < 40 and 8 < first[1] < 40
    assert second[0] > 48 and second[1] > 48
    assert after.previous.abs().max() <= 1


def test_a_perfect_answer_needs_no_click() -> None:
    truth = np.zeros((1, 64, 64), bool)
    truth[:, 8:40, 8:40] = True
    logits = torch.full((1, 16, 16), -5.0)
    logits[0, 2:10, 2:10] = 5.0
    marks = first_prompts(truth, np.random.default_rng(0))
    after = correct(marks, logits, truth, np.random.default_rng(0))
    torch.testing.assert_close(after.labels, marks.labels)
