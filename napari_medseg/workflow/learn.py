"""Score masks against the truth, and train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from napari_medseg.core.errors import TaskError, WeightsError
from napari_medseg.core.model import Model
from napari_medseg.core.progress import Job
from napari_medseg.core.settings import with_overrides

_STANDING = ("segicl", "hsp_sam", "segmote")  # recipes of networks that stand on a SAM
RECIPES = ("pretrain", "calibrate", *_STANDING)


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
        Settings of the recipe by name, the others keep their defaults; `backbone` names a SAM to stand on.

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
        words: dict[str, Any] = {"minutes": minutes, "device": choose_device(device), "seed": seed}
        return (yield from _calibrate(sources, Path(out), **words))
    words = {"minutes": minutes, "resume": resume, "device": choose_device(device), "seed": seed}
    given = dict(settings or {})
    if recipe in _STANDING:
        room: Any = import_module(f"napari_medseg.learning.{recipe}")
        words |= {"backbone": _backbone(str(given.pop("backbone", "")))}
        words |= {"settings": with_overrides(room.Settings(), given)}
        folder: Path = yield from getattr(room, f"train_{recipe}")(sources, Path(out), **words)
        return folder
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
    if model.card.get("tasks"):
        from napari_medseg.learning.calibrate_automatic import calibrate_known
        from napari_medseg.workflow.lookup import with_backbone

        return (yield from calibrate_known(sources, with_backbone(model), **words))
    raise TaskError(f"'{out.name}' is no model that can be calibrated; an adapter is judged by its round.")


def _backbone(name: str = "") -> Model:
    """The SAM on which others stand: the one named, else the compact one that is shipped.

    Raises
    ------
    WeightsError
        If it is not installed.
    """
    from napari_medseg.workflow.lookup import model_for, models

    if name:
        found = model_for("sam", name)
        assert found is not None  # one that is not there was refused
        return found
    shipped = [one for one in models() if one.network == "sam" and one.origin == "shipped"]
    compact = [one for one in shipped if "layout" not in one.numbers]
    if not compact:
        raise WeightsError("There is no compact SAM to build on; install the package again, or pretrain one.")
    return compact[-1]
