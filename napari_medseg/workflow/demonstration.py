"""The main job from end to end on images that every installation has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_medseg.core.mask import Mask, Region
from napari_medseg.core.progress import Job, Progress
from napari_medseg.core.prompts import Box, Point
from napari_medseg.core.request import Example, Request
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
        yield Progress(0.8 * number / len(SAMPLES), f"outlining {sample.name} with {name}")
        mask = yield from _outlined(sample, method)
        picture, words = _draw(sample, name, mask, out)
        suffix = ".png" if not sample.volume.geometry.spacing_known else ".nii.gz"
        written += [picture, save_mask(mask, sample.volume, out / f"{sample.name}_mask{suffix}")]
        sections.append(f"<h2>{escape(sample.prompt.structure)}</h2><p>{escape(words)}</p>")
        sections.append(f'<img src="{picture.name}" alt="{escape(words)}">')
    if model_for("segicl"):
        more, words = yield from _from_examples(out, device)
        written += more
        sections.append(f"<h2>From three examples</h2><p>{escape(words)}</p>")
        sections.append(f'<img src="{more[0].name}" alt="{escape(words)}">')
    page = out / "index.html"
    page.write_text(_page(name, sections), encoding="utf-8")
    return [page, *written]


def _from_examples(out: Path, device: str) -> Job[tuple[list[Path], str]]:
    """Outline an organ of a made-up abdomen on all slices, three of them being given as examples."""
    from napari_medseg.core.metrics import dice
    from napari_medseg.core.phantoms import ct_phantom
    from napari_medseg.workflow.pictures import beside, panel
    from napari_medseg.workflow.samples import Sample

    volume, truth = ct_phantom((24, 192, 192))
    shown, asked = (7, 12, 17), (9, 14)
    name = "spleen"
    yield Progress(0.85, f"outlining the {name} on every slice, from three examples")
    example = Example(volume, replace(truth, reviewed={"axial": frozenset(shown)}))
    request = Request(volume, "axial", tuple(range(24)), task_of("demo", (name,)), examples=(example,))
    answer = yield from segment(build("segicl", device=device), request)
    mask = Mask.empty(volume.geometry, request.task.structures).paste(answer.mask, answer.start)
    source = "a phantom made by this program"
    click = Point(name, "axial", (0, 96, 96))  # a sample has a prompt; here it is neither given nor drawn
    panels = []
    for i in (*shown, *asked):
        sample = Sample("examples", source, volume, "axial", i, click)
        region = (truth if i in shown else mask).on_slice(name, "axial", i)
        caption = f"{'example' if i in shown else 'segicl'}, slice {i + 1}"
        panels.append(panel(sample, region, caption, with_prompt=False))
    picture = out / "examples.png"
    beside(panels).save(picture)
    words = f"From {source}: the {name} on all 24 slices, Dice {dice(mask.of(name), truth.of(name)):.3f}."
    return [picture, save_mask(mask, volume, out / "examples_mask.nii.gz")], words


def _outlined(sample: Sample, method: Method) -> Job[Mask]:
    """Ask a method for one structure on one slice and put the answer on the whole grid."""
    asked = task_of(sample.name, (sample.prompt.structure,))
    request = Request(sample.volume, sample.plane, (sample.index,), asked, (sample.prompt,))
    answer = yield from segment(method, request)
    return Mask.empty(sample.volume.geometry, asked.structures).paste(answer.mask, answer.start)


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
