"""Outlining from examples on the command line: masks by name, and one plain sentence for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_medseg import cli
from napari_medseg.core.phantoms import slice_phantom
from tests.lookalike import install, write_picture


@pytest.fixture
def medseg(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command line; the requests its methods got are in `asked`."""

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(word) for word in words])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    run.asked = install(monkeypatch)  # type: ignore[attr-defined]
    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three speckled pictures with a gland (1) and a lesion in it (2), and one more to outline."""
    for seed in range(3):
        volume, mask = slice_phantom(64, seed)
        write_picture(tmp_path / "shown", f"case{seed}", volume.array[0], mask.flat()[0])
    volume, mask = slice_phantom(64, 9)
    Image.fromarray(volume.array[0]).save(tmp_path / "new.png")
    return tmp_path


def segment(medseg: Any, folder: Path, *words: object, method: str = "lookalike") -> tuple[int, Any, str]:
    code, out, err = medseg(
        "segment", folder / "new.png", "-o", folder / "out.png", "--method", method, "--json", *words
    )
    return code, json.loads(out) if out else None, err


def test_all_structures_of_the_examples_are_outlined(medseg: Any, folder: Path) -> None:
    code, told, err = segment(medseg, folder, "--examples", folder / "shown")
    assert code == 0, err
    assert list(told["results"][0]["structures"]) == ["structure 1", "structure 2"]
    (asked,) = medseg.asked
    assert len(asked.examples) == 3 and asked.prompts == ()
    labels = np.asarray(Image.open(folder / "out.png"))
    lesion = slice_phantom(64, 9)[1].of("lesion")[0]
    assert (labels[lesion] == 2).mean() > 0.8 and (labels[~lesion] == 2).mean() < 0.5
    assert told["notes"] == [] and told["results"][0]["notes"] == []
    assert "Reading case0.png" in err


def test_a_data_set_names_what_is_outlined_and_a_label_chooses_of_it(medseg: Any, folder: Path) -> None:
    about = {"classes": {"1": "rim", "2": "lesion"}, "regions": {"gland": [1, 2], "lesion": [2]}}
    (folder / "shown" / "dataset.json").write_text(json.dumps(about))
    _, told, _ = segment(medseg, folder, "--examples", folder / "shown")
    assert list(told["results"][0]["structures"]) == ["gland", "lesion"]
    _, told, _ = segment(medseg, folder, "--examples", folder / "shown", "--label", "lesion")
    assert list(told["results"][0]["structures"]) == ["lesion"]
    code, _, err = segment(medseg, folder, "--examples", folder / "shown", "--label", "liver")
    assert code == 2 and "show gland, lesion, but liver is asked for" in err.splitlines()[-1]


def test_the_same_examples_serve_several_images_and_differences_are_told(medseg: Any, folder: Path) -> None:
    Image.fromarray(slice_phantom(48, 8)[0].array[0]).save(folder / "small.png")
    write_picture(folder / "shown", "nobody", np.ones((64, 64)))
    code, out, err = medseg(
        "segment", folder / "new.png", folder / "small.png", "-o", folder / "masks", "--method", "lookalike",
        "--examples", folder / "shown", "--set", "samples=4", "--json",
    )  # fmt: skip
    assert code == 0, err
    told = json.loads(out)
    first, second = medseg.asked
    assert first.examples is second.examples
    assert told["notes"] == ["1 of 4 images in shown have no mask and teach nothing."]
    assert [result["notes"] for result in told["results"]] == [
        [], ["All 3 examples have another picture size; they are scaled."],
    ]  # fmt: skip
    code, out, _ = medseg(
        "segment", folder / "new.png", "-o", folder / "masks", "--method", "lookalike", "--examples",
        folder / "shown",
    )  # fmt: skip
    assert out.startswith("1 of 4 images in shown have no mask and teach nothing.\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "The method 'lookalike' learns from examples; give a folder of them with --examples."),
        (("--examples", "nowhere"), "is not there; examples are a folder with images/ and masks/."),
        (("--examples", "new.png"), "is a file; examples are a folder with images/ and masks/."),
        (("--examples", "shown", "--label", "gland"), "hold the values 1, 2, but there is a structure for 1"),
    ],
)
def test_what_is_wrong_is_one_sentence(medseg: Any, folder: Path, words, said, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(folder)
    code, told, err = segment(medseg, folder, *words)
    assert code == 2 and told is None
    assert said in err.splitlines()[-1]
    assert medseg.asked == [] and not (folder / "out.png").exists()


def test_a_method_that_does_not_learn_from_examples_says_so(medseg: Any, folder: Path) -> None:
    code, _, err = segment(medseg, folder, "--examples", folder / "shown", method="threshold")
    assert code == 2
    assert "'threshold' does not learn from examples; these do: " in err and "lookalike" in err
