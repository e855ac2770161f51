"""The way from a scan to an accepted mask: one function a step, the same for panel, command line and Python.

Importing this is quick: each step loads what it needs when it is called. Slow steps are jobs, generators of
`Progress` which `finish` runs to their end.
"""

from napari_medseg.core.progress import finish
from napari_medseg.learning.verdict import Change, Verdict
from napari_medseg.methods import Entry, Method
from napari_medseg.session.accepted import reviewed_for
from napari_medseg.workflow.accepted import accepted_examples, other_cases
from napari_medseg.workflow.advice import Describes, likeness, suggest_slice, unlike
from napari_medseg.workflow.catalogue import CATALOGUE
from napari_medseg.workflow.demonstration import demo
from napari_medseg.workflow.detached import start_training
from napari_medseg.workflow.examples import Examples, read_examples, read_pair
from napari_medseg.workflow.images import list_series, open_mask, open_volume, save_mask, series_key
from napari_medseg.workflow.install import download_model, import_model, verify_models
from napari_medseg.workflow.learn import evaluate, train
from napari_medseg.workflow.lookup import (
    build,
    cache_folder,
    choose_device,
    clear_prepared,
    entry,
    load_ahead,
    menu,
    model_for,
    models,
    prepared_folder,
    task,
    tasks,
)
from napari_medseg.workflow.proposals import fixed, segment
from napari_medseg.workflow.rounds import (
    Readiness,
    RoundRecord,
    back,
    cancel_round,
    is_blind,
    pause_round,
    readiness,
    resume_round,
    rounds,
    use_round,
)
from napari_medseg.workflow.sessions import (
    accept_file,
    add_case,
    create_session,
    export_session,
    find_case,
    is_session,
    open_session,
)
from napari_medseg.workflow.training import train_session

__all__ = [
    "CATALOGUE",
    "Change",
    "Describes",
    "Entry",
    "Examples",
    "Method",
    "Readiness",
    "RoundRecord",
    "Verdict",
    "accept_file",
    "accepted_examples",
    "add_case",
    "back",
    "build",
    "cache_folder",
    "cancel_round",
    "choose_device",
    "clear_prepared",
    "create_session",
    "demo",
    "download_model",
    "entry",
    "evaluate",
    "export_session",
    "find_case",
    "finish",
    "fixed",
    "import_model",
    "is_blind",
    "is_session",
    "likeness",
    "list_series",
    "load_ahead",
    "menu",
    "model_for",
    "models",
    "open_mask",
    "open_session",
    "open_volume",
    "other_cases",
    "pause_round",
    "prepared_folder",
    "read_examples",
    "read_pair",
    "readiness",
    "resume_round",
    "reviewed_for",
    "rounds",
    "save_mask",
    "segment",
    "series_key",
    "start_training",
    "suggest_slice",
    "task",
    "tasks",
    "train",
    "train_session",
    "unlike",
    "use_round",
    "verify_models",
]
