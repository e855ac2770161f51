"""Who made a part of a mask."""

import json
from dataclasses import asdict

from napari_medseg.core.provenance import Provenance


def test_a_record_is_plain_and_comes_back() -> None:
    record = Provenance(
        "liver", "axial", 3, "sam", "sam-compact-2", {"cut": 0.5}, 2, 140, 8.5, "reader 1", "2026"
    )
    assert Provenance(**json.loads(json.dumps(asdict(record)))) == record


def test_by_default_nobody_is_named() -> None:
    assert Provenance("liver", "axial", None, "by hand").reader == ""
