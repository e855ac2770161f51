"""A process that works in a session and is killed at every step, or at any time; run by test_crash.py.

Arguments: folder of a session with one case, an empty folder, "steps" and how many to stride at once,
or "times" and how many random ones.
Each line written is one life: its folder and what `accept` and `append` had acknowledged before the end.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import sys
import time
from functools import cache
from itertools import count
from pathlib import Path

import nibabel  # noqa: F401  once here, not anew in every child
from sqlalchemy import Engine, event

from napari_medseg.core.phantoms import ct_phantom
from napari_medseg.session.store import Session

SHAPE = (4, 16, 16)
really_write = os.write


@cache
def phantom(seed):
    """The volume and mask number `seed`, all on one grid; array bytes differ between seeds."""
    volume, mask = ct_phantom(SHAPE, seed=0)
    mask = mask.review("axial", [seed % 4])
    mask.arrays[0].flat[: seed + 1] = 1 + seed % 3
    return volume, mask


def count_down(steps):
    """Kill this process at the step of that number: before or after, and in the middle of a write."""
    left = count(steps, -1)

    def step():
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def stepping(function):
        def wrapped(*arguments, **words):
            step()
            if function is really_write:
                half = len(arguments[1]) // 2
                done = really_write(arguments[0], arguments[1][:half]) if half else 0
                step()
                return done + really_write(arguments[0], arguments[1][done:])
            result = function(*arguments, **words)
            step()
            return result

        return wrapped

    for name in ("open", "write", "fsync", "replace", "mkdir", "unlink", "ftruncate"):
        setattr(os, name, stepping(getattr(os, name)))
    for name in ("before_cursor_execute", "after_cursor_execute", "commit"):
        event.listen(Engine, name, lambda *_: step())
    return step


def work(folder, tell, step):
    """Write a journal and accept on a case that is there, then on a new one."""
    session = Session.open(folder)
    for case, seed in (("case-1", 1), ("new", 2)):
        volume, mask = phantom(seed)
        if case == "new":
            case = session.add_case(folder / "other.nii", volume)
            step()
            tell("case", case)
        journal = session.journal(case)
        journal.append("brush", {"seed": seed}, {"labels": mask.arrays[0]})
        step()
        tell("append", case, seed)
        number = session.accept(case, mask, volume)
        step()
        tell("accept", case, number, seed)
        journal.clear()
        step()
        tell("clear", case, seed)
    session.close()


def work_on(folder, tell):
    """Accept until somebody ends it."""
    session = Session.open(folder)
    for seed in count(1):
        volume, mask = phantom(seed % 30)
        tell("accept", "case-1", session.accept("case-1", mask, volume), seed % 30)


def live(folder, do):
    """Do something in a child; return the child's process and the pipe that it tells its acts to."""
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        return child, read
    do(folder, lambda *act: really_write(write, (json.dumps(act) + "\n").encode()))
    os._exit(0)


def report(folder, child, read):
    """Write what a child acknowledged; return whether it was killed."""
    with os.fdopen(read) as pipe:
        acts = [json.loads(line) for line in pipe if line.endswith("\n")]
    _, status = os.waitpid(child, 0)
    print(json.dumps({"folder": str(folder), "acts": acts}), flush=True)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def main(template, place, mode, number):
    for life in count(0, number) if mode == "steps" else range(number):
        folder = shutil.copytree(template, place / str(life))
        if mode == "steps":
            child, read = live(folder, lambda where, tell, n=life: work(where, tell, count_down(n)))
        else:
            child, read = live(folder, work_on)
            select.select([read], [], [])
            time.sleep(random.Random(life).uniform(0.0, 0.1))
            os.kill(child, signal.SIGKILL)
        if not report(folder, child, read):
            break


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
