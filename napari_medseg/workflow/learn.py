"""Score masks against the truth, and train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_medseg.core.errors import TaskError
from napari_medseg.core.progress import Job
from napari_medseg.core.settings import with_overrides

RECIPES = ("pretrain", "calibrate")


def evaluate(pred: Path, truth: Path) -> Job[Any]:
    """Score masks against the truth: two files, or two folders whose files are matched by name."""
    from napari_medseg.learning.evaluate import evaluate_files

    return (yield from evaluate_files(Path(pred), Path(truth)))


def train(
    sources: Sequence[Path],
    recipe: str,
    out: Path,
    *,
    minutes: float = 60.0,
    resume: bool = False,
    device: str = "auto",
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> Job[Path]:
    """Train a model on data-set folders, or calibrate one, and return the folder it was written to.

    Parameters
    ----------
    settings : Mapping
        Settings of the recipe by name; the others keep their defaults.

    Raises
    ------
    TaskError
        If there is no such recipe or setting, or the time is not positive.
    """
    if recipe not in RECIPES:
        raise TaskError(f"There is no recipe '{recipe}'; the recipes are: {', '.join(RECIPES)}.")
    if not minutes > 0:
        raise TaskError(f"Training needs more than 0 minutes, not {minutes:g}.")
    from napari_medseg.workflow.lookup import choose_device

    if recipe == "calibrate":
        from napari_medseg.learning.calibrate import calibrate_sam

        if settings or resume:
            raise TaskError("The recipe calibrate has no settings and nothing to resume.")
        chosen = choose_device(device)
        return (yield from calibrate_sam(sources, Path(out), minutes=minutes, device=chosen, seed=seed))
    from napari_medseg.learning.pretrain import Settings, pretrain

    return (
        yield from pretrain(
            sources,
            Path(out),
            minutes=minutes,
            resume=resume,
            device=choose_device(device),
            seed=seed,
            settings=with_overrides(Settings(), settings or {}),
        )
    )
