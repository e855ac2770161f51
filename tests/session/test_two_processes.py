"""Two processes accept in one session at once, each on its own case and both on the same one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from napari_medseg.core.mask import Mask
from napari_medseg.core.phantoms import SLICE_TASK, slice_phantom
from napari_medseg.session.store import Session

ROOT = Path(__file__).parents[2]
N = 12
# Waits for a line, then accepts in turn on a case of its own and on the shared one; tells what it was given.
OTHER = """
import json, sys
from pathlib import Path
import numpy as np
from napari_medseg.core.mask import Mask
from napari_medseg.core.phantoms import slice_phantom
from napari_medseg.session.store import Session

folder, who, n = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
volume, mask = slice_phantom(32)
with Session.open(folder) as session:
    print("ready", flush=True)
    sys.stdin.readline()
    own = session.add_case(folder / f"{who}.png", volume)
    assert session.add_case(folder / "shared.png", volume) == "case-1"
    for turn in range(n):
        mask.arrays[0][0, 0, :2] = who, turn
        for case in (own, "case-1"):
            number = session.accept(case, mask.review("axial", [0]), volume)
            print(json.dumps([case, number, who, turn]), flush=True)
        session.log_effort("case-1", 1.0, 1, 1)
"""


def test_both_keep_everything(tmp_path):
    folder = tmp_path / "session"
    volume, _ = slice_phantom(32)
    with Session.create(folder, SLICE_TASK) as session:
        assert session.add_case(folder / "shared.png", volume) == "case-1"
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", OTHER, str(folder), str(who), str(N)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        for who in (1, 2)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    told = [json.loads(line) for process in processes for line in process.communicate()[0].splitlines()]
    assert [process.returncode for process in processes] == [0, 0]
    assert len(told) == 4 * N
    with Session.open(folder) as session:
        records = {case.id: case for case in session.cases()}
        assert {case: record.revision for case, record in records.items()} == {
            "case-1": 2 * N, "case-2": N, "case-3": N,
        }  # fmt: skip
        assert records["case-1"].clicks == 2 * N
        assert len({(case, number) for case, number, *_ in told}) == 4 * N
        for case, number, who, turn in told:
            mask = session.load(case, number)
            assert isinstance(mask, Mask)
            np.testing.assert_array_equal(mask.arrays[0][0, 0, :2], [who, turn])
        assert {session.source(case)[0].name for case in records} == {"shared.png", "1.png", "2.png"}
        assert [index for _, index, _ in session.reviewed_images("case-1")] == [0]
