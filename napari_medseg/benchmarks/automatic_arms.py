"""Ways to outline a known task without help, and beside them with a box: what works on which task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_medseg.core.errors import TaskError
from napari_medseg.core.model import Model
from napari_medseg.learning.data import Dataset

if TYPE_CHECKING:
    from napari_medseg.benchmarks.baselines.material import Rival
    from napari_medseg.methods import Method

BOXED = ("sam_box", "segmote_box")
# Trained from nothing, or on the frozen backbone; the first three and the last with one network a task.
NETWORKS = ("unet_budget", "unet_converged", "plain_decoder", "unet_joint")
# On four sets, all for as long: what the parts of HSP-SAM do.
_PARTS: Mapping[str, Mapping[str, Any]] = {
    "ablation_ft_sam": {"prompted": False, "hierarchical": False, "skip": "none"},
    "ablation_qa": {"hierarchical": False, "skip": "none"},
    "ablation_hierarchy": {"prompted": False, "skip": "none"},
    "ablation_hierarchy_skips": {"prompted": False},
    "ablation_qa_hierarchy": {"skip": "none"},
    "ablation_full": {},
}
ABLATION_SETS = ("brain_tumour_cheng", "liver_ct_msd", "polyp_kvasir", "wbc_tecom")


@dataclass(frozen=True)
class Recipe:
    """A rival that is trained by one of the recipes, with other settings or on other sets.

    Parameters
    ----------
    method : str
        Of the menu; the recipe has its name.
    settings, use : Mapping
        Of the recipe, and of the method that works with what it makes.
    sets : tuple of str
        All seen ones where empty.
    each_task : bool
        One model a task.
    """

    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    use: Mapping[str, Any] = field(default_factory=dict)
    sets: tuple[str, ...] = ()
    each_task: bool = False


_NO_PPT = {"free": False}  # no tokens drawn from the image
RECIPES: Mapping[str, Recipe] = {
    "ft_sam": Recipe("hsp_sam", _PARTS["ablation_ft_sam"]),
    **{name: Recipe("hsp_sam", settings, sets=ABLATION_SETS) for name, settings in _PARTS.items()},
    "segmote_one_expert": Recipe("segmote", {"experts": 1}),
    "segmote_plain_query": Recipe("segmote", {"plain": True}),
    "segmote_no_ppt": Recipe("segmote", {"free": False}, _NO_PPT),
    "segmote_task": Recipe("segmote", each_task=True),
}
ADAPTERS = "hsp_sam_task"
ALL = "all"  # in the place of a task's name: one network for all
PPT_OFF = "segmote_ppt_off"  # SegMoTE's own weights, asked without them
# In the order of tables: the last one that answered is compared with all others.
ARMS = (*BOXED, *NETWORKS, *RECIPES, PPT_OFF, "segmote", ADAPTERS, "hsp_sam")

Loader = Callable[[], "Method"]


@dataclass(frozen=True, eq=False)
class Arm:
    """One way that is compared.

    Parameters
    ----------
    of : callable
        Task's slug to the weights it works with there and how to load them; None where it cannot do it.
    """

    name: str
    of: Callable[[str], tuple[str, Loader] | None]

    @property
    def boxed(self) -> bool:
        """Whether it is given a box around each part of the truth."""
        return self.name in BOXED


@dataclass(frozen=True, eq=False)
class Bench:
    """What arms are made from: the run's folder, its sets, the joint models and the device."""

    out: Path
    datasets: Sequence[Dataset]
    device: str
    joint: Mapping[str, Model]  # method to its model for all tasks, as far as it is there

    def file(self, arm: str, slug: str) -> Path:
        """Weights of a trained rival; what a recipe made is a folder of that name without the suffix.

        What stands on another model lies in a folder that names it: on a newer one it is trained anew.
        """
        below = "hsp_sam" if arm == ADAPTERS else "sam" if arm in RECIPES or arm == "plain_decoder" else ""
        on = f"-on-{self.joint[below].sha256[:8]}" if below in self.joint else ""
        return self.out / "weights" / f"{arm}{on}" / f"{slug}.safetensors"

    def dataset(self, slug: str) -> Dataset:
        """The set of a task."""
        return next(dataset for dataset in self.datasets if dataset.name == slug)


def check_arms(names: Sequence[str]) -> tuple[str, ...]:
    """The arms named, in the order of tables; "ablation" is all of its rows. TaskError for unknown names."""
    wanted = {arm for name in names for arm in (_PARTS if name == "ablation" else (name,))}
    if unknown := sorted(wanted - set(ARMS)):
        raise TaskError(f"There is no arm '{unknown[0]}'; the arms are: ablation, {', '.join(ARMS)}.")
    return tuple(arm for arm in ARMS if not wanted or arm in wanted)


def joint_models(model: str = "") -> dict[str, Model]:
    """The models for many tasks, and the promptable one; `model` names that of HSP-SAM or of SegMoTE."""
    from napari_medseg import workflow
    from napari_medseg.workflow.lookup import with_backbone

    found = {}
    for method in ("hsp_sam", "segmote"):
        known = [one for one in workflow.models() if one.network == method and one.card.get("tasks")]
        chosen = [one for one in known if one.name == model] or known
        if chosen:  # the last by name of the user's own, else of the shipped ones
            last = max((one for one in chosen if one.origin == chosen[0].origin), key=lambda one: one.name)
            found[method] = with_backbone(last)
    if model and model not in {one.name for one in found.values()}:
        raise TaskError(f"There is no model '{model}' for many tasks; see 'medseg models'.")
    if (sam := workflow.model_for("sam")) is not None:
        found["sam"] = sam
    return found


def make_arm(name: str, bench: Bench) -> Arm:
    """Make an arm; what it can do is asked task by task."""
    if name in NETWORKS:
        return Arm(name, cache(lambda slug: _network(bench, name, slug)))
    if name in RECIPES or name == ADAPTERS:
        return Arm(name, cache(lambda slug: _in_folder(bench, name, slug)))
    method, use = name.removesuffix("_box"), {}
    if name == PPT_OFF:
        method, use = "segmote", _NO_PPT
    return Arm(name, cache(lambda slug: _by_model(bench, method, bench.joint.get(method), slug, use)))


def is_joint(arm: str) -> bool:
    """Whether a trained rival is one network for all its tasks."""
    return arm == "unet_joint" or (arm in RECIPES and not RECIPES[arm].each_task)


def _by_model(
    bench: Bench, method: str, model: Model | None, slug: str, use: Mapping[str, Any]
) -> tuple[str, Loader] | None:
    """A method with a model that knows the task, or can be prompted for anything."""
    known = model is not None and (method == "sam" or slug in model.card.get("tasks", {slug: ()}))
    if model is None or not known:
        return None
    return f"{model.name} {model.sha256[:12]}", lambda: _built(method, model, bench.device, use)


def _in_folder(bench: Bench, arm: str, slug: str) -> tuple[str, Loader] | None:
    """A method with a model that was trained in the run's folder, once that is done."""
    from napari_medseg.benchmarks.baselines.training import learnt
    from napari_medseg.networks.weights import read_model
    from napari_medseg.workflow.lookup import with_backbone

    file = bench.file(arm, ALL if is_joint(arm) else slug)
    if not learnt(file).finished:
        return None
    recipe = RECIPES.get(arm, Recipe("hsp_sam"))
    model = with_backbone(read_model(file.with_suffix(""), "session"))
    return _by_model(bench, recipe.method, model, slug, recipe.use)


def _network(bench: Bench, arm: str, slug: str) -> tuple[str, Loader] | None:
    """A rival's network, once it is trained."""
    from napari_medseg.benchmarks.baselines.training import learnt
    from napari_medseg.networks.weights import sha256_of

    file = bench.file(arm, ALL if is_joint(arm) else slug)
    if not learnt(file).finished:
        return None
    datasets = bench.datasets if is_joint(arm) else [bench.dataset(slug)]
    return sha256_of(file)[:12], lambda: _restored(bench, arm, file, datasets)


def _restored(bench: Bench, arm: str, file: Path, datasets: Sequence[Dataset]) -> Method:
    from safetensors.torch import load_file

    from napari_medseg.benchmarks.baselines.material import RivalMethod, rows_of

    rival, tasks = rival_of(arm, bench), [one.task for one in datasets]
    network = rival.network(sum(len(task.structures) for task in tasks))
    network.load_state_dict(load_file(file))
    return RivalMethod(rival, network.eval(), tasks, rows_of(tasks), bench.device)


def rival_of(arm: str, bench: Bench) -> Rival:
    """How the network of an arm is built and asked; the plain decoder stands on the SAM in use."""
    from napari_medseg.benchmarks.baselines.material import Rival
    from napari_medseg.benchmarks.baselines.unet import USUAL, WIDE, unet

    if arm != "plain_decoder":
        features = WIDE if arm == "unet_joint" else USUAL
        return Rival(lambda n: unet(n, features), lambda network, images: network(images))
    from napari_medseg.benchmarks.baselines.plain_decoder import decoded, plain_decoder

    sam = _frozen(bench.joint["sam"].folder, bench.device)
    return Rival(lambda n: plain_decoder(sam, n), lambda decoder, images: decoded(sam, decoder, images))


@lru_cache(maxsize=1)
def _frozen(folder: Path, device: str) -> Any:
    """The backbone, once for all tasks."""
    from napari_medseg.networks.sam import load_sam
    from napari_medseg.networks.weights import read_model

    return load_sam(read_model(folder, "shipped")).to(device).requires_grad_(False).eval()


def _built(method: str, model: Model, device: str, use: Mapping[str, Any]) -> Method:
    """A method of the menu with a model, wherever that lies; nothing of these images is kept on the disk."""
    from napari_medseg import workflow
    from napari_medseg.core.settings import with_overrides

    entry = workflow.entry(method)
    given = {**use, **({"disk": 0} if hasattr(entry.settings(), "disk") else {})}
    return entry.build(with_overrides(entry.settings(), given), model, device)
