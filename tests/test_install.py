"""Models brought in from elsewhere: published checkpoints, downloads that break, and what is kept of them."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from napari_medseg import workflow
from napari_medseg.core.errors import WeightsError
from napari_medseg.core.geometry import Geometry
from napari_medseg.core.progress import Job, Progress, finish
from napari_medseg.core.volume import Volume
from napari_medseg.networks.sam import build_sam
from napari_medseg.networks.weights import fill
from napari_medseg.workflow import transfer
from napari_medseg.workflow.catalogue import CATALOGUE, Download
from napari_medseg.workflow.lookup import cache_folder
from tests.models import tiny_sam
from tests.published import SMALL, small, weights, write_small
from tests.test_workflow import archive


@pytest.mark.parametrize("name", SMALL)
def test_a_published_checkpoint_becomes_a_model_bit_for_bit(tmp_path: Path, name: str) -> None:
    import torch

    file = write_small(name, tmp_path)
    model = finish(workflow.import_model(file))
    assert (model.name, model.network, model.origin, model.structures) == (name, "sam", "cache", ())
    assert model.preparation.long_side == (1024 if "encoder.layers" in str(small(name)) else 128)
    assert model.preparation.mean == pytest.approx([123.675 / 255, 116.28 / 255, 103.53 / 255])
    assert model.preparation.std == pytest.approx([58.395 / 255, 57.12 / 255, 57.375 / 255])
    assert model.preparation.windows == {"CT": (40.0, 400.0)}
    assert model.card["source_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert "not known" in model.card["licence"]
    network = fill(build_sam(**json.loads(json.dumps(dict(model.numbers)))), model)
    assert not any(value.is_meta for value in network.state_dict().values())
    kept, written = load_file(model.folder / "weights.safetensors"), weights(small(name))
    assert kept.keys() == network.state_dict().keys()
    for part, value in kept.items():
        assert torch.equal(value, written[part.replace("mlp.adapter.", "Adapter.")])
        assert torch.equal(value, network.state_dict()[part])
    assert finish(workflow.verify_models())[f"cache/{name}"] == ""


def test_half_precision_files_and_safetensors_are_kept_as_they_are(tmp_path: Path) -> None:
    import torch

    state = {name: value.half() for name, value in weights(small("sam")).items()}
    save_file(state, tmp_path / "halved.safetensors")
    model = finish(workflow.import_model(tmp_path / "halved.safetensors"))
    kept = load_file(model.folder / "weights.safetensors")
    assert all(value.dtype == torch.float16 for value in kept.values())
    network = fill(build_sam(**model.numbers), model)
    assert all(value.dtype == torch.float32 for value in network.state_dict().values())


def test_a_file_of_the_catalogue_is_known_by_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offline, one file is enough: name, source, licence and preparation come with it."""
    file = write_small("sam", tmp_path).rename(tmp_path / "whatever.pt")
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    item = Download(
        "https://example.org/s.pth", sha256, 1, "MIT", "For tests.", CATALOGUE["medsam-vit-b"].preparation
    )
    monkeypatch.setitem(CATALOGUE, "small-medsam", item)
    model = finish(workflow.import_model(file))
    assert (model.name, model.card["licence"], model.card["source"]) == ("small-medsam", "MIT", item.url)
    assert model.preparation.mean == (0.0, 0.0, 0.0) and model.preparation.std == (1.0, 1.0, 1.0)
    assert "MIT" in (model.folder / "card.md").read_text()
    with pytest.raises(WeightsError, match="already"):
        finish(workflow.import_model(file))


def test_a_file_can_be_prepared_like_one_of_the_catalogue(tmp_path: Path) -> None:
    file = write_small("sam", tmp_path)
    model = finish(workflow.import_model(file, like="medsam-vit-b"))
    assert model.preparation.std == (1.0, 1.0, 1.0) and model.preparation.long_side == 128
    with pytest.raises(WeightsError, match="no model 'other' to be like"):
        finish(workflow.import_model(file, like="other"))


def test_a_smaller_picture_is_a_setting(tmp_path: Path) -> None:
    """Whole tokens of 16 pixels; 0 is what the model was made for."""
    finish(workflow.import_model(write_small("sam", tmp_path)))
    for canvas, side in ((0, 128), (64, 64), (90, 96)):
        method = workflow.build("sam", model="sam", settings={"canvas": canvas}, device="cpu")
        image = Volume(np.zeros((1, 60, 80), np.uint8), Geometry.of_pixels((1, 60, 80)))
        finish(method.prepare(image, "axial", (0,)))
        assert method.looks.frame(image, "axial").long_side == side  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["none.pth", "notes.txt"])
def test_what_is_not_there_or_nothing_of_ours_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("no model")
    with pytest.raises(WeightsError, match="neither a model folder"):
        finish(workflow.import_model(tmp_path / name))


def test_a_refused_checkpoint_leaves_nothing_behind(tmp_path: Path) -> None:
    file = write_small("sam", tmp_path)
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match="damaged"):
        finish(workflow.import_model(file))
    assert not cache_folder().exists() or not list(cache_folder().iterdir())


def test_the_catalogue_is_whole() -> None:
    """Nothing without a SHA-256, a size, a licence and a safe address."""
    for name, item in CATALOGUE.items():
        assert len(item.sha256) == 64 and int(item.sha256, 16) and item.n_bytes > 1_000_000, name
        assert item.url.startswith("https://") and item.licence and item.help.endswith("."), name
    assert len({item.sha256 for item in CATALOGUE.values()}) == len(CATALOGUE)


class Site(ThreadingHTTPServer):
    """A server of one file with a manner: "ranges", "whole", "cut", "stall", or other bytes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.data, self.manner, self.asked = b"", "ranges", list[str]()
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file.pth"


class Answer(BaseHTTPRequestHandler):
    """One answer in the site's manner."""

    def do_GET(self) -> None:
        site = self.server
        assert isinstance(site, Site)
        wanted = self.headers.get("Range", "")
        site.asked.append(wanted)
        begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and site.manner != "whole" else 0
        if begin >= len(site.data):
            self.send_error(416)
            return
        body = site.data[begin:]
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(site.data) - 1}/{len(site.data)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if site.manner in ("cut", "stall") else body)
        if site.manner == "stall":
            self.wfile.flush()
            site.over.wait()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A small checkpoint served on this machine and named "small" in the catalogue."""
    monkeypatch.setattr(transfer, "_PIECE", 1000)
    monkeypatch.setattr(transfer, "_PATIENCE", 0.5)
    with Site() as running:
        running.data = write_small("sam", tmp_path / "served").read_bytes()
        sha256 = hashlib.sha256(running.data).hexdigest()
        item = Download(running.url, sha256, len(running.data), "BSD-3-Clause", "For tests.")
        monkeypatch.setitem(CATALOGUE, "small", item)
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.over.set()
        running.shutdown()
        thread.join()


def left() -> list[str]:
    """What lies in the folder of downloads."""
    return sorted(file.suffix for file in (cache_folder() / ".downloads").iterdir())


def test_a_download_says_its_licence_first_and_becomes_a_model(site: Site) -> None:
    job = workflow.download_model("small")
    first = next(job)
    assert "BSD-3-Clause" in first.message and site.asked == []
    steps: list[Progress] = []
    model = finish(job, steps.append)
    assert (model.name, model.card["licence"], model.card["source"]) == ("small", "BSD-3-Clause", site.url)
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert left() == [] and site.asked == [""]
    with pytest.raises(WeightsError, match="already"):
        finish(workflow.download_model("small"))
    with pytest.raises(WeightsError, match="no model 'other' to download"):
        finish(workflow.download_model("other"))


def test_an_archive_of_a_model_can_be_downloaded_too(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = archive(tiny_sam(tmp_path / "from").folder, tmp_path / "packed.zip").read_bytes()
    site.data, url = packed, site.url.replace(".pth", ".zip")
    item = Download(url, hashlib.sha256(packed).hexdigest(), len(packed), "BSD-3-Clause", "For tests.")
    monkeypatch.setitem(CATALOGUE, "packed", item)
    assert finish(workflow.download_model("packed")).name == "packed"


@pytest.mark.parametrize("manner", ["ranges", "whole"])
def test_a_cut_download_goes_on_where_it_stopped(site: Site, manner: str) -> None:
    """And starts again where the server gives no part of a file."""
    site.manner = "cut"
    for _ in range(2):
        with pytest.raises(WeightsError, match="stopped after .* goes on"):
            finish(workflow.download_model("small"))
    assert left() == [".part"] and site.asked[0] == "" and site.asked[1].startswith("bytes=")
    site.manner = manner
    assert finish(workflow.download_model("small")).name == "small"
    here = int(site.asked[2].removeprefix("bytes=").rstrip("-"))
    assert len(site.data) // 2 < here < len(site.data)
    assert left() == []


def test_a_download_is_cancelled_by_not_asking_and_goes_on_later(site: Site) -> None:
    site.manner = "stall"
    job: Job[object] = workflow.download_model("small")
    while next(job).numbers.get("MB", 0.0) == 0.0:
        pass
    job.close()
    assert left() == [".part"] and "small" not in [model.name for model in workflow.models()]
    site.manner = "ranges"
    assert finish(workflow.download_model("small")).name == "small"
    assert site.asked[1].startswith("bytes=")


@pytest.mark.parametrize("change", ["other", "longer"])
def test_other_bytes_are_thrown_away(site: Site, change: str) -> None:
    right = site.data
    site.data = bytes(len(right)) if change == "other" else right + bytes(5000)
    with pytest.raises(WeightsError, match="another SHA-256"):
        finish(workflow.download_model("small"))
    assert left() == []
    site.data = right
    assert finish(workflow.download_model("small")).name == "small"


def test_a_file_that_became_shorter_is_begun_anew(site: Site) -> None:
    right = site.data
    site.data = right[:9000]
    for _ in range(2):  # the second time there is nothing more to ask for
        with pytest.raises(WeightsError, match="stopped after"):
            finish(workflow.download_model("small"))
    assert left() == []
    site.data = right
    assert finish(workflow.download_model("small")).name == "small"


def test_a_server_that_is_not_there(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = Download("http://127.0.0.1:9/file.pth", "0" * 64, 1000, "MIT", "For tests.")
    monkeypatch.setitem(CATALOGUE, "nobody", nobody)
    with pytest.raises(WeightsError, match="stopped after 0 of 0 MB"):
        finish(workflow.download_model("nobody"))


def test_a_full_disk_is_said_before_the_first_byte(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    vast = Download(site.url, "0" * 64, 10**18, "MIT", "For tests.")
    monkeypatch.setitem(CATALOGUE, "vast", vast)
    with pytest.raises(WeightsError, match="GB of free disk"):
        finish(workflow.download_model("vast"))
    assert site.asked == []
