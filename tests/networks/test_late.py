"""What is started late: submodules without their package, and the package when somebody asks for it."""

import subprocess
import sys
from pathlib import Path

import pytest

from napari_medseg.networks._late import start_late
from tests.models import tiny_sam


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_network_is_loaded_without_torchvision() -> None:
    unwanted = "{'torchvision', 'torch._dynamo'}"
    code = f"import sys, napari_medseg.networks.sam; print({unwanted} & {{*sys.modules}})"
    assert run(code) == "set()"


def test_a_compact_network_is_filled_without_torch_s_compiler(tmp_path: Path) -> None:
    folder = tiny_sam(tmp_path).folder
    code = (
        "import sys; from pathlib import Path; from napari_medseg.networks.sam import load_sam;"
        "from napari_medseg.networks.weights import read_model;"
        f"network = load_sam(read_model(Path({str(folder)!r}), 'session'));"
        "print(next(network.parameters()).device, {'torch._dynamo', 'sympy'} & {*sys.modules})"
    )
    assert run(code) == "cpu set()"


def test_another_plugin_still_gets_the_whole_package() -> None:
    pytest.importorskip("torchvision")
    code = (
        "import napari_medseg.networks.sam as ours; from segment_anything import SamPredictor;"
        "import segment_anything;"
        "print(sorted(segment_anything.sam_model_registry), segment_anything.build_sam.__name__,"
        "segment_anything.modeling.ImageEncoderViT is ours.ImageEncoderViT)"
    )
    assert run(code) == "['default', 'vit_b', 'vit_h', 'vit_l'] build_sam_vit_h True"


def test_what_is_loaded_or_not_there_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    start_late("json")
    assert sys.modules["json"].loads("1") == 1
    start_late("no_such_package")
    assert "no_such_package" not in sys.modules


def test_a_package_starts_with_the_first_thing_asked_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "wsgiref"]:
        monkeypatch.delitem(sys.modules, name)
    start_late("wsgiref")
    package = sys.modules["wsgiref"]
    with pytest.raises(AttributeError, match="no attribute '__wrapped__'"):
        _ = package.__wrapped__
    with pytest.raises(AttributeError, match="nothing"):
        _ = package.nothing  # started now, and it has none
    assert "__getattr__" not in vars(package)
    monkeypatch.delitem(sys.modules, "wsgiref")
