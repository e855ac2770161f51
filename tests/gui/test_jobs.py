"""The long-lived thread: order, progress, cancel, failures in one sentence; and work in small pieces."""

import threading
import time

from napari_medseg.core.errors import ReadError
from napari_medseg.core.progress import Progress
from napari_medseg.gui.jobs import Steps, Worker, sentence


def counting(n, value):
    """A job of n steps."""
    for step in range(n):
        yield Progress(step / n, partial=threading.current_thread().name)
    return value


def test_jobs_run_in_order_on_one_thread_and_answer_on_ours(qtbot):
    worker, told, done = Worker("one thread"), [], []
    for value in ("a", "b"):
        worker.start(
            lambda value=value: counting(3, value),
            done=lambda value: done.append((value, threading.current_thread())),
            tell=lambda step: told.append(step.partial),
        )
    qtbot.waitUntil(lambda: not worker.busy, timeout=60_000)
    assert done == [("a", threading.main_thread()), ("b", threading.main_thread())]
    assert told == ["one thread"] * 6
    worker.stop()


def test_a_cancelled_job_is_asked_for_no_more_and_says_nothing(qtbot):
    worker, steps, said = Worker("cancelled"), [], []
    gate = threading.Event()

    def job():
        for step in range(1000):
            steps.append(step)
            yield Progress(0.0)
            gate.wait()
        return "never"

    ticket = worker.start(job, done=said.append, failed=said.append)
    qtbot.waitUntil(lambda: bool(steps), timeout=60_000)
    ticket.cancel()
    gate.set()
    qtbot.waitUntil(lambda: not worker.busy, timeout=60_000)
    assert len(steps) <= 2 and not said
    worker.stop()


def test_a_failure_is_one_sentence_and_the_next_job_runs(qtbot):
    worker, said, done = Worker("failing"), [], []

    def failing(error):
        yield Progress(0.0)
        raise error

    for error in (
        ReadError("This file is torn; copy it again."),
        RuntimeError("CUDA out of memory"),
        KeyError("x"),
    ):
        worker.start(lambda error=error: failing(error), failed=said.append)
    worker.start(lambda: counting(1, "fine"), done=done.append)
    qtbot.waitUntil(lambda: not worker.busy, timeout=60_000)
    assert said[0] == "This file is torn; copy it again."
    assert "not enough memory" in said[1]
    assert "KeyError" in said[2] and "nothing you did is lost" in said[2]
    assert done == ["fine"]
    worker.stop()


def test_stopping_with_finish_lets_everything_queued_be_done(qtbot):
    worker, done = Worker("finishing"), []

    def writing(value):
        yield Progress(0.0)
        done.append(value)

    for value in range(5):
        worker.start(lambda value=value: writing(value))
    worker.stop(finish=True)
    assert done == [0, 1, 2, 3, 4]


def test_memory_errors_have_a_way_out():
    assert "fewer slices" in sentence(MemoryError())


def test_pieces_leave_the_window_alive_between_them(qtbot):
    steps, beats, done = Steps(), [], []

    def pieces():
        for _ in range(40):
            time.sleep(0.002)
            yield

    from qtpy.QtCore import QTimer

    timer = QTimer()
    timer.timeout.connect(lambda: beats.append(time.perf_counter()))
    timer.start(0)
    steps.start(pieces(), lambda: done.append(1))
    qtbot.waitUntil(lambda: bool(done), timeout=60_000)
    assert len(beats) >= 4
    steps.start(pieces(), lambda: done.append(2))
    steps.finish()
    assert done == [1, 2] and not steps.busy
    timer.stop()
