"""How fast SAM's networks are beside others' code with the same weights: `medseg benchmark speed --networks`.

    run(*, minutes, device, out) -> Job[Race]

Race has `lines()` (Markdown), `record()` (JSON) and is saved under `out` as networks.md and networks.json.
The weights are random, from seed 0. The first answer of each arm is compared and not timed; then rounds are
made in which every arm answers once, so that whatever disturbs the machine disturbs all.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from napari_medseg.benchmarks.environment import environment
from napari_medseg.core.progress import Job, Progress

if TYPE_CHECKING:
    from torch import Tensor

N_ROUNDS = 5
REFERENCE = "segment-anything"
OURS = "napari-medseg"
THIRD = "transformers"
ANOTHER = "HSP-SAM"
_HEAD = ("", "median, s", "fastest", "slowest", "processor, s", "times faster", "relative difference")

Arms = Mapping[str, Callable[[], "Tensor"]]


@dataclass(frozen=True)
class Entry:
    """One arm in one race.

    Parameters
    ----------
    part, arm : str
        What is computed, and by whose code.
    difference : float or None
        Norm of the difference to segment-anything's answer, divided by the norm of that answer; None for
        HSP-SAM, which is another network.
    seconds, processor : tuple of float
        Wall clock and time of all cores together, one value a round.
    """

    part: str
    arm: str
    difference: float | None
    seconds: tuple[float, ...] = ()
    processor: tuple[float, ...] = ()


@dataclass(frozen=True)
class Race:
    """Every arm of every part, and what it was measured with."""

    about: Mapping[str, Any]
    entries: Sequence[Entry]
    missing: str = ""

    def times_faster(self, entry: Entry) -> float:
        """How many of these answers go into one of segment-anything's, by the medians."""
        reference = next(e for e in self.entries if (e.part, e.arm) == (entry.part, REFERENCE))
        return median(reference.seconds) / median(entry.seconds)

    def lines(self) -> list[str]:
        """One Markdown table a part."""
        about = ", ".join(f"{name} {value}" for name, value in self.about.items() if value != "")
        result = [
            "## Speed of SAM's networks",
            "",
            f"Run: {about}.",
            "",
            *([self.missing, ""] * bool(self.missing)),
        ]
        for part in dict.fromkeys(entry.part for entry in self.entries):
            rows = [self._row(entry) for entry in self.entries if entry.part == part]
            table = [_HEAD, ("---", *["---:"] * (len(_HEAD) - 1)), *rows]
            result += [f"### {part}", "", *("| " + " | ".join(row) + " |" for row in table), ""]
        return result

    def record(self) -> dict[str, Any]:
        """Everything as plain values for JSON."""
        entries = [asdict(entry) | {"times_faster": self.times_faster(entry)} for entry in self.entries]
        return {"about": dict(self.about), "entries": entries, "missing": self.missing}

    def save(self, out: Path) -> None:
        """Write `networks.md` and `networks.json`."""
        out.mkdir(parents=True, exist_ok=True)
        (out / "networks.md").write_text("\n".join(self.lines()), encoding="utf-8")
        (out / "networks.json").write_text(json.dumps(self.record(), indent=1), encoding="utf-8")

    def _row(self, entry: Entry) -> tuple[str, ...]:
        """One line of a table."""
        times = (median(entry.seconds), min(entry.seconds), max(entry.seconds), median(entry.processor))
        faster = f"{self.times_faster(entry):.2f}"
        difference = "" if entry.difference is None else f"{entry.difference:.1e}"
        return (entry.arm, *(f"{value:.3g}" for value in times), faster, difference)


def run(
    *, minutes: float = 30.0, device: str = "auto", out: Path = Path("runs/speed"), sizes: Any = None
) -> Job[Race]:
    """Let segment-anything, this program and, where it is installed, transformers answer in turn.

    Parameters
    ----------
    minutes : float
        No further round is begun when it is over; at least one is made, at most five.
    device : str
        "auto", "cpu", "cuda", "cuda:n" or "mps".
    out : Path
        Folder for networks.md and networks.json.
    sizes : sequence of contestants.Size, optional
        The networks; vit_b at 1024 px and the compact size at 256 px by default.
    """
    import torch

    from napari_medseg.benchmarks.contestants import SIZES, parts
    from napari_medseg.networks.device import choose_device

    start, chosen = time.monotonic(), choose_device(device)
    with_third = find_spec("transformers") is not None
    yield Progress(0.0, "building the networks")
    races = parts(sizes or SIZES, chosen, with_third)
    entries: list[Entry] = []
    for part, arms in races.items():
        yield Progress(0.0, f"comparing answers: {part}")
        entries += _compared(part, arms)
    for turn in range(N_ROUNDS):
        if turn and time.monotonic() - start > 60 * minutes:
            break
        for i, entry in enumerate(entries):
            done = (turn + i / len(entries)) / N_ROUNDS
            yield Progress(done, f"round {turn + 1} of {N_ROUNDS}: {entry.part}, {entry.arm}")
            entries[i] = _timed(entry, races[entry.part][entry.arm], chosen)
    about = {"preset": "speed of networks", "minutes": minutes, "seed": 0, "rounds": len(entries[0].seconds)}
    versions = {"torch": torch.__version__, THIRD: _version(THIRD) if with_third else ""}
    missing = "" if with_third else "transformers is not installed, so its SAM is not in these tables."
    race = Race(about | environment(chosen) | versions, entries, missing)
    race.save(Path(out))
    return race


def _compared(part: str, arms: Arms) -> list[Entry]:
    """Each arm's first answer against segment-anything's."""
    import torch

    with torch.inference_mode():
        truth = arms[REFERENCE]().float()
        answers = {arm: answer().float() for arm, answer in arms.items()}
        norms = {arm: float((found - truth).norm() / truth.norm()) for arm, found in answers.items()}
        return [Entry(part, arm, None if arm == ANOTHER else norm) for arm, norm in norms.items()]


def _timed(entry: Entry, answer: Callable[[], Tensor], device: str) -> Entry:
    """The entry with one more round."""
    import torch

    start, processor = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        answer()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
    seconds, used = time.perf_counter() - start, time.process_time() - processor
    return replace(entry, seconds=(*entry.seconds, seconds), processor=(*entry.processor, used))


def _version(package: str) -> str:
    """Which release of a package is installed."""
    from importlib.metadata import version

    return version(package)
