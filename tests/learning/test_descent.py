"""Going downhill: the rate's course, the time between steps, and losses that are not numbers."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from napari_medseg.core.errors import MedsegError, TaskError
from napari_medseg.learning import descent as room
from napari_medseg.learning.descent import Descent


@dataclass(frozen=True)
class Pace:
    rate: float = 0.1
    warm_up: int = 4
    most_steps: int = 10


def descent(pace: Pace = Pace(), minutes: float = 60.0) -> tuple[Descent, nn.Parameter]:
    weight = nn.Parameter(torch.tensor([3.0]))
    return Descent(torch.optim.SGD([weight], lr=1.0), [weight], pace, minutes), weight


def rate_of(one: Descent) -> float:
    return float(one.optimiser.param_groups[0]["lr"])


def test_the_rate_rises_and_falls_along_a_cosine() -> None:
    one, weight = descent()
    rates, dones = [], []
    for done in one.steps():
        rates.append(rate_of(one))
        dones.append(done)
        one.learn({"loss": weight.square().sum()})
    assert dones == pytest.approx([i / 10 for i in range(10)])
    assert rates[0] == pytest.approx(0.1 / 4) and max(rates) == max(rates[2:5])
    assert rates[5] == pytest.approx(0.1 * 0.505) and rates[-1] < 0.004
    assert abs(weight.item()) < 3.0 and one.n == 10


def test_a_group_may_go_faster() -> None:
    slow, fast = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    optimiser = torch.optim.SGD([{"params": [slow]}, {"params": [fast], "times": 5.0}], lr=1.0)
    one = Descent(optimiser, [slow, fast], Pace(), 60.0)
    next(one.steps())
    rates = [group["lr"] for group in optimiser.param_groups]
    assert rates[1] == pytest.approx(5 * rates[0])


def test_steps_end_when_their_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(room.time, "monotonic", lambda: clock[0])
    one, weight = descent(Pace(most_steps=0), minutes=1.0)
    for _ in one.steps():
        clock[0] += 20.0  # a step takes 20 s
        one.learn({"loss": weight.square().sum()})
    assert one.n == 3


def test_a_pause_after_a_step_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(room.time, "monotonic", lambda: clock[0])
    one, weight = descent(Pace(most_steps=0), minutes=1.0)
    for _ in one.steps():
        clock[0] += 20.0
        one.learn({"loss": weight.square().sum()})
        clock[0] += 3600.0
    assert one.n == 3


def test_saving_is_due_every_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(room.time, "monotonic", lambda: clock[0])
    one, _ = descent()
    due = []
    for minute in range(1, 12):
        clock[0] = 60.0 * minute
        due += [minute] if one.is_time_to_save() else []
    assert due == [5, 10]


def test_losses_made_one_after_the_other_are_a_single_step() -> None:
    together, apart = descent()[0], descent()[0]
    for one, several in ((together, False), (apart, True)):
        weight = one.learnt[0]

        def losses(weight: Tensor = weight) -> Iterator[dict[str, Tensor]]:
            for factor in (1.0, 2.0):
                yield {"loss": (factor * weight).square().sum()}

        next(one.steps())
        one.learn(losses() if several else {"loss": (5 * weight.square()).sum()})
    assert torch.equal(together.learnt[0], apart.learnt[0])
    assert together.running == pytest.approx(apart.running) == {"loss": pytest.approx(45.0)}


def test_named_losses_have_slow_means() -> None:
    one, weight = descent()
    next(one.steps())
    for value in (1.0, 2.0):
        one.learn({"a": (0 * weight).sum() + value, "b": weight.square().sum()})
    assert one.running["a"] == pytest.approx(0.98 * 1.0 + 0.02 * 2.0)


def test_averaged_weights_follow_quickly_at_first() -> None:
    one, _ = descent()
    slow, fast = nn.Linear(1, 1), nn.Linear(1, 1)
    nn.init.zeros_(slow.weight)
    nn.init.ones_(fast.weight)
    one.n = 10
    one.average(slow, fast, 0.999)
    assert slow.weight.item() == pytest.approx(0.5)  # 10 steps of 20 are kept
    one.n = 10**6
    one.average(slow, fast, 0.9)
    assert slow.weight.item() == pytest.approx(0.55)


def test_a_loss_that_is_no_number_and_no_time_are_said() -> None:
    one, weight = descent()
    next(one.steps())
    with pytest.raises(MedsegError, match="not finite"):
        one.learn({"loss": (weight * torch.inf).sum()})
    with pytest.raises(TaskError, match="more than 0 minutes"):
        descent(minutes=0.0)
