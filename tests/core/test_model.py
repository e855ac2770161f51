"""What is known of a model; truth is worked by hand."""

from pathlib import Path

import pytest

from napari_medseg.core.model import Model, Preparation


@pytest.mark.parametrize(
    ("modality", "is_ct"),
    [
        ("CT", True), ("ct", True), ("CT (portal venous, soft-tissue window)", True),
        ("non-contrast CT", True),
        ("CT angiography", True), ("MR", False), ("", False), ("PET/CT", False), ("CTDI chart", False),
        ("T1-weighted MR (registered to CT)", False), ("OCT", False),
    ],
)  # fmt: skip
def test_the_window_is_for_its_modality_only(modality: str, is_ct: bool) -> None:
    window = Preparation().window(modality)
    assert (window is not None) is is_ct
    if window is not None:
        assert window.limits == (-160.0, 240.0)  # soft tissue: centre 40, width 400


def test_other_windows_may_be_named() -> None:
    preparation = Preparation(windows={"CT": (-600.0, 1500.0), "PT": (5.0, 10.0)})
    window = preparation.window("PT")
    assert window is not None and (window.centre, window.width, window.name) == (5.0, 10.0, "PT")
    assert Preparation(windows={}).window("CT") is None


def test_a_model_is_a_value() -> None:
    def model() -> Model:
        return Model("m", "sam", {"width": 2}, (), Preparation(), "00", Path("m"))

    assert model() == model()
    assert (model().origin, model().card) == ("shipped", {})
