"""Jobs are generators: told step by step, cancelled by not asking."""

import pytest

from napari_medseg.core.errors import TaskError
from napari_medseg.core.progress import Job, Progress, finish


def work(log: list[str], fails: bool = False) -> Job[int]:
    try:
        yield Progress(0.5, "half", numbers={"loss": 1.0})
        if fails:
            raise TaskError("It went wrong; try again.")
        yield Progress(1.0, "done")
    finally:
        log.append("tidied")
    return 7


def test_a_job_is_told_in_order_and_returns_its_value() -> None:
    log: list[str] = []
    told: list[Progress] = []
    assert finish(work(log), told.append) == 7
    assert [(p.done, p.message) for p in told] == [(0.5, "half"), (1.0, "done")]
    assert told[0].numbers == {"loss": 1.0} and told[0].partial is None
    assert finish(work(log)) == 7
    assert log == ["tidied", "tidied"]


def test_a_job_without_steps_still_returns() -> None:
    def quick() -> Job[str]:
        return "at once"
        yield Progress(1.0)

    assert finish(quick()) == "at once"


def test_its_error_reaches_the_one_who_asked() -> None:
    log: list[str] = []
    with pytest.raises(TaskError, match="went wrong"):
        finish(work(log, fails=True))
    assert log == ["tidied"]


def test_closing_it_cancels_it() -> None:
    log: list[str] = []
    job = work(log)
    next(job)
    job.close()
    assert log == ["tidied"]
