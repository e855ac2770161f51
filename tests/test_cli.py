"""The command line is a contract: verbs, flags, one JSON object, exit codes, one plain sentence."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from napari_medseg import cli
from tests.models import tiny_sam
from tests.published import SMALL, write_small

CT = str(get_testdata_file("CT_small.dcm", download=False))


class Ran:
    """What one command did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def record(self) -> dict[str, Any]:
        """The one JSON object on standard output."""
        assert self.code == 0, self.err
        assert self.out.count("\n") == 1
        found: dict[str, Any] = json.loads(self.out)
        return found


@pytest.fixture
def medseg(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: object) -> Ran:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Ran(int(ended.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A grey picture with a bright rectangle at rows 10 to 19, columns 20 to 39, and a bright square."""
    values = np.full((64, 80), 30, np.uint8)
    values[10:20, 20:40] = 220
    values[50:60, 60:70] = 220
    Image.fromarray(values).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def test_every_verb_of_the_contract_is_there_and_takes_json_and_device(medseg: Any) -> None:
    verbs = [
        "demo",
        "info",
        "methods",
        "tasks",
        "models",
        "models import",
        "models download",
        "models verify",
    ]
    verbs += ["segment", "evaluate", "train", "rounds", "benchmark"]
    verbs += [f"session {verb}" for verb in ("new", "add", "list", "accept", "export")]
    for verb in verbs:
        shown = medseg(*verb.split(), "--help")
        assert shown.code == 0, verb
        assert "--json" in shown.out and "--device" in shown.out, verb


def test_segment_keeps_its_flags(medseg: Any) -> None:
    shown = medseg("segment", "--help").out
    flags = "-o --method --task --model --set --label --point --box --mask --plane --slices"
    assert all(flag in shown for flag in flags.split())


def test_help_loads_nothing_heavy_and_takes_half_a_second() -> None:
    """Processor time of the quickest of three runs, so that a busy machine does not count."""
    command = [sys.executable, "-c", "import sys; from napari_medseg import cli; cli.main(['--help'])"]
    taken = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(taken) < 0.5
    code = (
        "import sys, napari_medseg.cli; print([m for m in ('numpy', 'torch', 'napari') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


def test_without_a_verb_the_help_is_shown(medseg: Any) -> None:
    shown = medseg()
    assert shown.code == 0 and "segment" in shown.out


def test_python_dash_m_is_the_same_program() -> None:
    shown = subprocess.run([sys.executable, "-m", "napari_medseg", "methods", "--json"], capture_output=True)
    assert shown.returncode == 0
    assert {"sam", "threshold"} <= {method["name"] for method in json.loads(shown.stdout)["methods"]}


def test_what_there_is(medseg: Any) -> None:
    assert medseg("info", "--json").record["device"] == medseg("info", "--json").record["device"]


def test_prepared_slices_can_be_removed(medseg: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDSEG_CACHE", str(tmp_path))
    (tmp_path / "prepared").mkdir()
    (tmp_path / "prepared" / "0a.safetensors").write_bytes(b"12345")
    told = medseg("info", "--json").record
    assert told["prepared_slices_folder"] == str(tmp_path / "prepared")
    assert "cleared_bytes" not in told
    assert medseg("info", "--clear-cache", "--json").record["cleared_bytes"] == 5
    assert medseg("info", "--clear-cache", "--json").record["cleared_bytes"] == 0
    methods = {method["name"]: method for method in medseg("methods", "--json").record["methods"]}
    assert "bright" in [setting["name"] for setting in methods["threshold"]["settings"]]
    assert isinstance(medseg("tasks", "--json").record["tasks"], list)
    shipped = [model["name"] for model in medseg("models", "--json").record["models"]]
    verified = medseg("models", "verify", "--json").record["verified"]
    assert verified == [f"shipped/{name}" for name in shipped]


def test_a_model_is_imported_and_used_by_name(medseg: Any, tmp_path: Path, picture: Path) -> None:
    source = tiny_sam(tmp_path / "from").folder
    assert medseg("models", "import", source, "--json").record["model"]["name"] == "tiny-sam"
    out = tmp_path / "out.png"
    words = ("--method", "sam", "--model", "tiny-sam", "--point", "0,15,30", "--device", "cpu", "--json")
    result = medseg("segment", picture, "-o", out, *words).record["results"][0]
    assert result["model"] == "tiny-sam" and out.is_file()
    assert len(result["structures"]["untitled"]["quality"]) == 1


@pytest.mark.parametrize("name", SMALL)
def test_a_published_checkpoint_is_imported_and_outlines(
    medseg: Any, tmp_path: Path, picture: Path, name: str
) -> None:
    """Every layout gives a mask; with weights that mean nothing, so that only its place is looked at."""
    file, out = write_small(name, tmp_path), tmp_path / "out.png"
    made = medseg("models", "import", file, "--like", "mobile-sam", "--json").record["model"]
    assert (made["name"], made["network"]) == (name, "sam") and made["bytes"] > file.stat().st_size // 2
    words = ("--method", "sam", "--model", name, "--device", "cpu", "--json", "--set", "keep=no")
    asked = ("--point", "0,15,30", "--box", "0,8,18,22,42")
    result = medseg("segment", picture, "-o", out, *words, *asked).record["results"][0]
    assert result["model"] == name and len(result["structures"]["untitled"]["quality"]) == 1
    assert np.asarray(Image.open(out)).shape == (64, 80)


def test_models_are_listed_with_licence_and_size(medseg: Any, tmp_path: Path) -> None:
    medseg("models", "import", write_small("sam", tmp_path))
    lines = medseg("models").out.splitlines()
    assert any(line.startswith("sam (sam, cache, ") and "Licence: not known" in line for line in lines)
    assert "sam-vit-b (can be downloaded, 375 MB, Apache-2.0): SAM" in "\n".join(lines)
    catalogue = medseg("models", "--json").record["catalogue"]
    assert catalogue["mobile-sam"]["bytes"] == 40_728_226


def test_png_in_png_labels_out(medseg: Any, picture: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.png"
    words = ("--method", "threshold", "--label", "lesion", "--point", "0,15,30", "--json")
    ran = medseg("segment", picture, "-o", out, *words)
    found = ran.record["results"][0]["structures"]["lesion"]
    assert (found["value"], found["voxels"], found["ml"]) == (1, 200, None)
    expected = np.zeros((64, 80), np.uint8)
    expected[10:20, 20:40] = 1
    np.testing.assert_array_equal(np.asarray(Image.open(out)), expected)
    assert "%" in ran.err  # progress went to standard error


def test_boxes_first_guesses_settings_and_negative_clicks(medseg: Any, picture: Path, tmp_path: Path) -> None:
    def voxels(*words: str) -> int:
        ran = medseg("segment", picture, "-o", tmp_path / "o.png", "--method", "threshold", "--json", *words)
        return int(ran.record["results"][0]["structures"]["untitled"]["voxels"])

    assert voxels() == 300
    assert voxels("--box", "0,8,15,12,45") == 40
    assert voxels("--point", "0,15,30,0") == 100
    assert (
        voxels("--set", "rule=range", "--set", "low=0", "--set", "high=100", "--set", "fill=no")
        == 64 * 80 - 300
    )
    assert voxels("--mask", str(tmp_path / "o.png")) == 300


def test_several_inputs_keep_their_names(medseg: Any, picture: Path, tmp_path: Path) -> None:
    Image.open(picture).convert("RGB").save(tmp_path / "photo.jpg", quality=95)
    ran = medseg(
        "segment",
        picture,
        tmp_path / "photo.jpg",
        CT,
        "-o",
        tmp_path / "out",
        "--method",
        "threshold",
        "--json",
    )
    written = [Path(result["output"]) for result in ran.record["results"]]
    assert [path.name for path in written] == ["picture.png", "photo.png", "CT_small.nii.gz"]
    assert all(path.is_file() and path.parent == tmp_path / "out" for path in written)


def test_a_dicom_slice_becomes_a_nifti_on_its_own_grid(medseg: Any, tmp_path: Path) -> None:
    """Orientation from the tags: rows run to the left, columns to the back, so RAS signs are negative."""
    out = tmp_path / "canal.nii.gz"
    words = ("--method", "threshold", "--set", "bright=false", "--box", "0,41,47,62,70", "--json")
    found = medseg("segment", CT, "-o", out, *words).record["results"][0]["structures"]["untitled"]
    image = nibabel.load(out)
    spacing = 0.661468
    np.testing.assert_allclose(np.diag(image.affine)[:2], (-spacing, -spacing), atol=1e-6)  # type: ignore[attr-defined]
    labels = np.asarray(image.dataobj)  # type: ignore[attr-defined]
    assert labels.shape == (128, 128, 1) and labels[58, 52, 0] == 1
    assert found["ml"] == pytest.approx(
        labels.sum() * abs(np.linalg.det(image.affine[:3, :3])) / 1000, abs=1e-3
    )  # type: ignore[attr-defined]


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    values = np.zeros((9, 8, 7), np.int16)
    values[2:5, 3:6, 1:6] = 100
    path = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values, np.diag([1.0, 1.0, 2.0, 1.0])), path)  # type: ignore[no-untyped-call]
    return path


def test_slices_and_planes(medseg: Any, scan: Path, tmp_path: Path) -> None:
    def slices(*words: str) -> tuple[str, list[int], int]:
        ran = medseg("segment", scan, "-o", tmp_path / "o.nrrd", "--method", "threshold", "--json", *words)
        found = ran.record["results"][0]
        return found["plane"], found["slices"], found["structures"]["untitled"]["voxels"]

    assert slices() == ("axial", [0, 7], 45)
    assert slices("--slices", "1:3") == ("axial", [1, 3], 18)
    assert slices("--slices", "5:") == ("axial", [5, 7], 9)
    assert slices("--point", "2,4,3", "--point", "4,4,3") == ("axial", [2, 5], 27)
    assert slices("--plane", "sagittal", "--point", "2,4,3") == ("sagittal", [3, 4], 15)


BAD = {
    "no such file": ("segment", "{tmp}/none.png", "-o", "{tmp}/o.png", "--method", "threshold"),
    "not an image": ("segment", "{tmp}/text.png", "-o", "{tmp}/o.png", "--method", "threshold"),
    "no method": ("segment", "{png}", "-o", "{tmp}/o.png", "--method", "magic"),
    "no setting": ("segment", "{png}", "-o", "{tmp}/o.png", "--method", "threshold", "--set", "x=1"),
    "bad setting": ("segment", "{png}", "-o", "{tmp}/o.png", "--method", "threshold", "--set", "low"),
    "bad point": ("segment", "{png}", "-o", "{tmp}/o.png", "--method", "threshold", "--point", "1,2"),
    "nan point": ("segment", "{png}", "-o", "{tmp}/o.png", "--method", "threshold", "--point", "0,nan,3"),
    "sign": ("segment", "{png}", "-o", "{tmp}/o.png", "--method", "threshold", "--point", "0,1,2,3"),
    "outside": ("segment", "{png}", "-o", "{tmp}/o.png", "--method", "threshold", "--point", "0,1,9999"),
    "empty box": ("segment", "{png}", "-o", "{tmp}/o.png", "--method", "threshold", "--box", "0,5,5,5,9"),
    "slices": ("segment", "{png}", "-o", "{tmp}/o.png", "--method", "threshold", "--slices", "3"),
    "too many slices": ("segment", "{png}", "-o", "{tmp}/o.png", "--method", "threshold", "--slices", "0:9"),
    "plane": ("segment", "{png}", "-o", "{tmp}/o.png", "--method", "threshold", "--plane", "diagonal"),
    "onto itself": ("segment", "{png}", "-o", "{png}", "--method", "threshold"),
    "two of a name": ("segment", "{png}", "{png}", "-o", "{tmp}/out", "--method", "threshold"),
    "format": ("segment", "{png}", "-o", "{tmp}/o.nii.gz/x.png", "--method", "threshold", "--task", "none"),
    "device": ("segment", "{png}", "-o", "{tmp}/o.png", "--method", "threshold", "--device", "abacus"),
    "no verb": ("conquer",),
    "no argument": ("segment",),
    "no flag": ("info", "--loud"),
    "no session": ("session", "list", "{tmp}"),
    "no model": ("models", "download", "none"),
    "no archive": ("models", "import", "{png}"),
    "no checkpoint": ("models", "import", "{tmp}/text.pth"),
    "like nothing": ("models", "import", "{png}", "--like", "none"),
    "no recipe": ("train", "{tmp}", "--recipe", "alchemy", "-o", "{tmp}/m"),
    "no data": ("train", "{tmp}", "--recipe", "pretrain", "-o", "{tmp}/m", "--minutes", "1"),
    "no truth": ("evaluate", "{png}", "{tmp}/none.png"),
    "no benchmark": ("benchmark", "patience"),
    "no benchmark data": ("benchmark", "quality", "--data", "{tmp}/none"),
    "no preset": ("benchmark", "few-shot", "--preset", "volumes"),
    "no arm": ("benchmark", "few-shot", "--data", "{tmp}", "--arms", "magic"),
    "no rival to train": ("benchmark", "few-shot", "--data", "{tmp}", "--preset", "universeg"),
}


@pytest.mark.parametrize("arguments", BAD.values(), ids=BAD)
def test_bad_input_ends_in_one_plain_sentence(
    medseg: Any, picture: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    for name in ("text.png", "text.pth"):
        (tmp_path / name).write_text("this is no picture")
    ran = medseg(*(word.format(tmp=tmp_path, png=picture) for word in arguments))
    assert ran.code == 2 and ran.out == ""
    sentence = [line for line in ran.err.splitlines() if "%" not in line]
    assert len(sentence) == 1 and sentence[0].endswith(".") and "Traceback" not in ran.err


def test_a_fault_of_the_program_is_one_sentence_too(medseg: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise KeyError("nobody thought of this")

    monkeypatch.setattr("napari_medseg.workflow.models", broken)
    ran = medseg("models")
    assert (ran.code, ran.out) == (2, "") and "MEDSEG_DEBUG=1" in ran.err and "\n" not in ran.err.strip()
    monkeypatch.setenv("MEDSEG_DEBUG", "1")
    with pytest.raises(KeyError):
        cli.main(["models"])


def test_a_reader_that_stops_is_no_traceback() -> None:
    command = f"{sys.executable} -m napari_medseg methods --json | true"
    ran = subprocess.run(command, shell=True, capture_output=True, text=True, env={**os.environ})
    assert "Traceback" not in ran.stderr


def test_a_session_from_new_to_export(medseg: Any, scan: Path, tmp_path: Path) -> None:
    session, mask = tmp_path / "session", tmp_path / "mask.nii.gz"
    medseg("segment", scan, "-o", mask, "--method", "threshold", "--label", "liver")
    made = medseg("session", "new", session, "--label", "liver", "--label", "tumour", "--json").record
    assert made["structures"] == ["liver", "tumour"]
    assert medseg("session", "add", session, scan, "--json").record["cases"][0]["name"] == "case 1"
    accepted = medseg("session", "accept", session, 1, mask, "--slices", "0:3", "--json").record
    assert accepted == {"case": "case 1", "revision": 1}
    assert medseg("session", "list", session, "--json").record["cases"][0]["n_reviewed"] == 3
    files = medseg("session", "export", session, "-o", tmp_path / "out", "--json").record["files"]
    exported = nibabel.load(files[0])
    np.testing.assert_array_equal(
        np.asarray(exported.dataobj),  # type: ignore[attr-defined]
        np.asarray(nibabel.load(mask).dataobj),  # type: ignore[attr-defined]
    )
    assert "case 1" in medseg("session", "list", session).out
    assert medseg("session", "new", session).code == 2


def test_evaluate_two_files(medseg: Any, tmp_path: Path) -> None:
    """Two squares of 16 pixels that share 8: Dice is 2 * 8 / 32."""
    for name, column in (("a", 0), ("b", 2)):
        labels = np.zeros((8, 8), np.uint8)
        labels[:4, column : column + 4] = 1
        Image.fromarray(labels).save(tmp_path / f"{name}.png")
    record = medseg("evaluate", tmp_path / "a.png", tmp_path / "b.png", "--json").record
    assert record["mean"]["dice"]["mean"] == pytest.approx(0.5)
    assert "Dice" in medseg("evaluate", tmp_path / "a.png", tmp_path / "b.png").out
