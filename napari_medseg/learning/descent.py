"""Going downhill for some minutes: what every recipe's steps have in common."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from napari_medseg.core.errors import MedsegError, TaskError
from napari_medseg.learning.release import follow

_SAVED_EVERY = 300.0  # seconds
_SLOW = 0.98  # of the running means


class Pace(Protocol):
    """How fast to go: a recipe's settings hold it."""

    @property
    def rate(self) -> float:
        """The optimiser's rate at its highest."""

    @property
    def warm_up(self) -> int:
        """Steps until it is at its highest."""

    @property
    def most_steps(self) -> int:
        """0 for as many as the time allows."""


class Descent:
    """Steps of an optimiser within a time: the rate rises, then falls along a cosine to almost nothing.

    A paused recipe spends nothing: only the time from the beginning of a step until it is learnt counts.

    Parameters
    ----------
    optimiser : Optimizer
        A group of parameters may name `times`, by which its rate is higher than the others'.
    learnt : iterable of tensors
        What is trained; its gradient is clipped.
    minutes : float
        Time for the steps.

    Raises
    ------
    TaskError
        If there is no time.
    """

    def __init__(
        self, optimiser: torch.optim.Optimizer, learnt: Iterable[Tensor], pace: Pace, minutes: float
    ) -> None:
        if not minutes > 0:
            raise TaskError(f"Training needs more than 0 minutes, not {minutes:g}.")
        self.optimiser, self.learnt, self.rate = optimiser, list(learnt), pace.rate
        self.seconds, self.warm_up, self.most_steps = 60 * minutes, pace.warm_up, pace.most_steps or math.inf
        self.n, self.running = 0, dict[str, float]()  # steps done, and slow means of their losses
        self._saved = self._began = time.monotonic()
        self._spent = 0.0

    def steps(self) -> Iterator[float]:
        """How much is done, 0 to 1, before each step; at least one is made."""
        while not self.n or (done := max(self._spent / self.seconds, self.n / self.most_steps)) < 1.0:
            done = done if self.n else 0.0
            self._began = time.monotonic()
            warm = min(1.0, (self.n + 1) / max(1, self.warm_up))
            for group in self.optimiser.param_groups:
                times = group.get("times", 1.0)
                group["lr"] = times * self.rate * warm * (0.505 + 0.495 * math.cos(math.pi * done))
            yield done

    @property
    def minutes(self) -> float:
        """How long the steps have taken so far."""
        return self._spent / 60

    def learn(self, *parts: Mapping[str, Tensor] | Iterator[Mapping[str, Tensor]]) -> None:
        """Make one step down the sum of all losses, named for the running means.

        Parameters
        ----------
        parts : mappings, or an iterator of them
            Of an iterator each is let go before the next is made, so that memory holds one at a time.

        Raises
        ------
        MedsegError
            If a loss is not finite.
        """
        self.optimiser.zero_grad(set_to_none=True)
        values = dict[str, float]()
        for part in parts:
            for losses in (part,) if isinstance(part, Mapping) else part:
                total = torch.stack(list(losses.values())).sum()
                if not torch.isfinite(total):
                    raise MedsegError(
                        f"Training stopped at step {self.n}: the loss is not finite; lower the learning rate."
                    )
                torch.autograd.backward(total)
                for name, loss in losses.items():
                    values[name] = values.get(name, 0.0) + loss.item()
        for name, value in values.items():
            self.running[name] = _SLOW * self.running.get(name, value) + (1 - _SLOW) * value
        torch.nn.utils.clip_grad_norm_(self.learnt, 1.0)
        self.optimiser.step()
        self.n += 1
        self._spent += time.monotonic() - self._began

    def average(self, average: nn.Module, network: nn.Module, keep: float) -> None:
        """Let averaged weights follow, quickly at first."""
        follow(average, network, min(keep, self.n / (self.n + 10)))

    def is_time_to_save(self) -> bool:
        """Whether five minutes have passed since this was last so."""
        if time.monotonic() - self._saved < _SAVED_EVERY:
            return False
        self._saved = time.monotonic()
        return True
