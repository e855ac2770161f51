"""medseg train SESSION and medseg rounds: what they print, and one sentence where they cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from napari_medseg import cli, methods
from napari_medseg.workflow import recipes
from tests import taught


@pytest.fixture
def medseg(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(recipes, "RECIPES", dict(recipes.RECIPES))
    monkeypatch.setattr(recipes, "before", recipes.before)
    monkeypatch.setitem(methods.menu(), "bright", None)
    taught.install()

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    taught.taught(tmp_path / "session").close()
    return tmp_path / "session"


def test_train_use_and_back(medseg: Any, folder: Path) -> None:
    assert medseg("rounds", folder) == (0, "There is no round yet.\n", "")
    code, out, err = medseg("train", folder, "--recipe", "hsp_sam", "--minutes", "0.001")
    assert code == 0 and "% " in err
    sentence, advice = out.splitlines()
    assert sentence.startswith("Round 1 (hsp_sam, finished): Disc 0.") and "5 better, 0 worse" in sentence
    assert advice == f"It is not in use yet: medseg rounds {folder} --use 1"
    code, out, _ = medseg("rounds", folder, "--use", "1", "--json")
    (record,) = json.loads(out)["rounds"]
    assert record["in_use"] and record["version"] == "hsp-sam-round-1"
    assert record["verdict"]["structures"][0]["n_better"] == 5
    assert medseg("rounds", folder)[1].startswith("Round 1 (hsp_sam, finished, in use): ")
    assert medseg("rounds", folder, "--back")[1].splitlines()[-1] == "In use now: what is installed."
    assert medseg("rounds", folder, "--back") == (
        2, "", "No version of a round is in use, so there is nothing to go back from.\n",
    )  # fmt: skip


def test_one_json_object_also_when_it_became_worse(medseg: Any, folder: Path) -> None:
    words = ("--recipe", "hsp_sam", "--minutes", "0.001", "--seed", "9", "--json")
    code, out, _ = medseg("train", folder, *words)
    record = json.loads(out)
    assert code == 0 and out.count("\n") == 1
    assert record["verdict"]["outcome"] == "worse" and record["version"] == ""
    assert medseg("rounds", folder, "--use", 1)[0] == 2


def test_what_is_wrong_is_one_sentence(medseg: Any, folder: Path, tmp_path: Path) -> None:
    def sentence(*arguments: object) -> str:
        code, out, err = medseg(*arguments)
        assert (code, out) == (2, "")
        return str(err.splitlines()[-1])

    assert "no recipe 'magic' for a session" in sentence("train", folder, "--recipe", "magic")
    assert "trained on alone" in sentence("train", folder, "--recipe", "hsp_sam", "-o", tmp_path / "x")
    assert "Name the new model's folder with -o" in sentence("train", tmp_path, "--recipe", "pretrain")
    assert "not both" in sentence("rounds", folder, "--use", "1", "--back")
    assert "no round 3" in sentence("rounds", folder, "--use", "3")
    assert "There is no session in" in sentence("rounds", tmp_path / "nowhere")
