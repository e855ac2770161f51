"""Score masks against the truth, and train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_medseg.core.errors import TaskError, WeightsError
from napari_medseg.core.model import Model
from napari_medseg.core.progress import Job
from napari_medseg.core.settings import with_overrides

RECIPES = ("pretrain", "calibrate", "segicl", "hsp_sam", "segmote")


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
        if settings or resume:
            raise TaskError("The recipe calibrate has no settings and nothing to resume.")
        return (
            yield from _calibrate(
                sources, Path(out), minutes=minutes, device=choose_device(device), seed=seed
            )
        )
    words: dict[str, Any] = {
        "minutes": minutes,
        "resume": resume,
        "device": choose_device(device),
        "seed": seed,
    }
    given = settings or {}
    if recipe == "segicl":
        from napari_medseg.learning import segicl

        words |= {"backbone": _backbone(), "settings": with_overrides(segicl.Settings(), given)}
        return (yield from segicl.train_segicl(sources, Path(out), **words))
    if recipe == "hsp_sam":
        from napari_medseg.learning import hsp_sam

        words |= {"backbone": _backbone(), "settings": with_overrides(hsp_sam.Settings(), given)}
        return (yield from hsp_sam.train_hsp_sam(sources, Path(out), **words))
    if recipe == "segmote":
        from napari_medseg.learning import segmote

        words |= {"backbone": _backbone(), "settings": with_overrides(segmote.Settings(), given)}
        return (yield from segmote.train_segmote(sources, Path(out), **words))
    from napari_medseg.learning import pretrain

    words["settings"] = with_overrides(pretrain.Settings(), given)
    return (yield from pretrain.pretrain(sources, Path(out), **words))


def _calibrate(sources: Sequence[Path], out: Path, **words: Any) -> Job[Path]:
    """Calibrate a model, as its network wants it.

    Raises
    ------
    TaskError
        If such a network cannot be calibrated.
    """
    from napari_medseg.networks.weights import read_model

    model = read_model(out, "session")
    if model.network == "sam":
        from napari_medseg.learning.calibrate import calibrate_sam

        return (yield from calibrate_sam(sources, out, **words))
    if model.network == "segicl":
        from napari_medseg.learning.calibrate_examples import calibrate_segicl
        from napari_medseg.workflow.lookup import with_backbone

        return (yield from calibrate_segicl(sources, with_backbone(model), **words))
    raise TaskError(f"'{out.name}' is no model that can be calibrated; SAM and SegICL can.")


def _backbone() -> Model:
    """The compact SAM whose encoder others share: the last shipped one.

    Raises
    ------
    WeightsError
        If none is installed.
    """
    from napari_medseg.workflow.lookup import models

    compact = [
        m for m in models() if m.network == "sam" and "layout" not in m.numbers and m.origin == "shipped"
    ]
    if not compact:
        raise WeightsError("There is no compact SAM to build on; install the package again, or pretrain one.")
    return compact[-1]
