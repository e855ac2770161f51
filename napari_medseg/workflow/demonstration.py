"""The main job from end to end on images that every installation has."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_medseg.core.mask import Mask, Region
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.prompts import Box
from napari_medseg.core.request import Request
from napari_medseg.core.task import task_of
from napari_medseg.workflow.images import save_mask
from napari_medseg.workflow.lookup import build, model_for
from napari_medseg.workflow.proposals import segment

if TYPE_CHECKING:
    from napari_medseg.methods import Method
    from napari_medseg.workflow.samples import Sample

# What a model has to beat, for a box and for a click.
_BOX_FLOORS = {"ellipse": "ellipse in the box", "grabcut": "GrabCut"}
_CLICK_FLOORS = {"grabcut": "GrabCut", "random walker": "random walker"}


def demo(out: Path, device: str = "auto") -> Job[list[Path]]:
    """Outline one thing on each sample image from a box or a click; masks, pictures, a page of them.

    The embedded model stands beside the classical floors; without a model `threshold` does the work.

    Returns
    -------
    list of Path
        The page first, then a picture and a mask for each sample.
    """
    from napari_medseg.workflow.samples import SAMPLES

    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    name = "sam" if model_for("sam") else "threshold"
    yield Progress(0.0, f"loading {name}")
    method = build(name, device=device)
    written: list[Path] = []
    sections = []
    for number, make in enumerate(SAMPLES):
        sample = make()
        yield Progress(number / len(SAMPLES), f"outlining the {sample.prompt.structure} with {name}")
        mask = yield from _outlined(sample, method)
        picture, words = _draw(sample, name, mask, out)
        suffix = ".png" if not sample.volume.geometry.spacing_known else ".nii.gz"
        written += [picture, save_mask(mask, sample.volume, out / f"{sample.name}_mask{suffix}")]
        sections.append(f"<h2>{escape(sample.prompt.structure)}</h2><p>{escape(words)}</p>")
        sections.append(f'<img src="{picture.name}" alt="{escape(words)}">')
    page = out / "index.html"
    page.write_text(_page(name, sections), encoding="utf-8")
    return [page, *written]


def _outlined(sample: Sample, method: Method) -> Job[Mask]:
    """Ask a method for one structure on one slice and put the answer on the whole grid."""
    task = task_of(sample.name, (sample.prompt.structure,))
    request = Request(sample.volume, sample.plane, (sample.index,), task, (sample.prompt,))
    answer = yield from segment(method, request)
    return Mask.empty(sample.volume.geometry, task.structures).paste(answer.mask, answer.start)


def _draw(sample: Sample, method: str, mask: Mask, out: Path) -> tuple[Path, str]:
    """Draw the answer beside the floors and say how good each is where the truth is known."""
    from napari_medseg.workflow.pictures import beside, panel

    found = {method: mask.on_slice(sample.prompt.structure, sample.plane, sample.index)}
    found.update(_floors(sample))
    captions = {name: name + _dice(region, sample.truth) for name, region in found.items()}
    panels = [panel(sample, sample.truth, "prompt" if sample.truth is None else "prompt and truth")]
    panels += [panel(sample, region, captions[name]) for name, region in found.items()]
    picture = out / f"{sample.name}.png"
    beside(panels).save(picture)
    return picture, f"From {sample.source}: {'; '.join(captions.values())}."


def _floors(sample: Sample) -> Iterator[tuple[str, Region]]:
    """What classical methods make of the same prompt."""
    from napari_medseg.imaging.baselines import outline

    pixels = sample.volume.slice(sample.plane, sample.index)
    axis = sample.volume.geometry.axis_of(sample.plane)
    for floor, title in (_BOX_FLOORS if isinstance(sample.prompt, Box) else _CLICK_FLOORS).items():
        yield title, outline(floor, pixels, [sample.prompt], axis)


def _dice(region: Region, truth: Region | None) -> str:
    """The overlap with the truth in words, "" where there is none."""
    if truth is None:
        return ""
    from napari_medseg.core.metrics import dice

    return f", Dice {dice(np.asarray(region), truth):.3f}"


def _page(method: str, sections: list[str]) -> str:
    """A page of pictures."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>napari-medseg: demo</title>'
        "<style>body{font-family:sans-serif;max-width:110rem;margin:1rem auto}img{max-width:100%}</style>"
        "<h1>napari-medseg: demo</h1><p>Blue: the box or click that was given. Orange: what "
        f"'{escape(method)}' and two classical methods made of it. "
        "Research use only; not a medical device.</p>" + "".join(sections) + "</html>\n"
    )
