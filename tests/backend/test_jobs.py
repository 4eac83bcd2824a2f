"""Jobs end in a known state, stop when asked and tell their errors."""

import subprocess
import sys
import threading
import time

import pytest

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import (
    Cancelled,
    Eta,
    Job,
    Progress,
    duration_text,
    error_text,
)


def count(config, *, on_progress, should_stop):
    for done in range(1, config + 1):
        if should_stop():
            raise Cancelled
        on_progress(Progress(done, config))
    return config * 2


def wait_for_stop(config, *, on_progress, should_stop):
    config.set()
    while not should_stop():
        time.sleep(0.005)
    raise Cancelled


def fail_with(config, *, on_progress, should_stop):
    raise config


def test_a_job_goes_from_queued_to_done_with_its_result_and_reports():
    seen = []
    job = Job(count, 3, on_progress=seen.append)
    assert job.state == "queued"
    job.start()
    assert job.wait(5)
    assert (job.state, job.result, job.error) == ("done", 6, "")
    assert [p.done for p in job.take_progress()] == [p.done for p in seen] == [1, 2, 3]
    assert job.take_progress() == []


def test_a_running_job_stops_when_asked():
    runs = threading.Event()
    job = Job(wait_for_stop, runs).start()
    assert runs.wait(5)
    job.cancel()
    assert job.wait(5)
    assert (job.state, job.is_stopping) == ("cancelled", False)


def test_a_job_cancelled_before_its_start_never_runs():
    job = Job(count, 3)
    job.cancel()
    job.start()
    assert (job.state, job.has_ended, job.result) == ("cancelled", True, None)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (UserError("Image 'x' is empty."), "Image 'x' is empty."),
        (FileNotFoundError(2, "No such file", "x.png"), "[Errno 2] No such file: 'x.png'"),
        (MemoryError(), "Memory ran out. Use a smaller batch size"),
        (KeyError("x"), "A fault of napari-medssl, not of your input: KeyError: 'x'"),
        (SystemExit(3), "A fault of napari-medssl, not of your input: SystemExit: 3"),
    ],
)
def test_a_failed_job_tells_why_in_one_line(error, text):
    job = Job(fail_with, error).start()
    assert job.wait(5)
    assert job.state == "failed"
    assert job.error.startswith(text)
    assert "\n" not in job.error
    assert "Traceback" in job.details


def test_running_out_of_gpu_memory_is_told_like_any_memory():
    class OutOfMemoryError(RuntimeError):
        """As torch.cuda has it."""

    assert error_text(OutOfMemoryError("CUDA ...")).startswith("Memory ran out")


def test_a_program_that_ends_stops_its_jobs():
    code = (
        "import sys, time\n"
        "from napari_medssl.backend.jobs import Job, Cancelled\n"
        "def work(config, *, on_progress, should_stop):\n"
        "    while not should_stop(): time.sleep(0.01)\n"
        "    print('left in order'); raise Cancelled\n"
        "Job(work, None).start()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "left in order\n"


def test_eta_follows_the_pace_after_the_first_report():
    now = [100.0]
    eta = Eta(clock=lambda: now[0])
    assert eta.left_s(Progress(0, 10)) is None  # ten seconds of loading came before
    now[0] += 4
    assert eta.left_s(Progress(2, 10)) == 16
    assert eta.left_s(Progress(10, 10)) == 0
    assert eta.left_s(Progress(3, None)) is None


def test_eta_believes_work_that_knows_how_long_it_takes():
    assert Eta().left_s(Progress(0, None, left_s=60.0)) == 60


def test_eta_begins_anew_with_other_work():
    now = [0.0]
    eta = Eta(clock=lambda: now[0])
    assert eta.left_s(Progress(0, 10)) is None
    now[0] = 1000
    assert eta.left_s(Progress(10, 10)) == 0
    assert eta.left_s(Progress(0, 10)) is None  # the next slide
    now[0] += 4
    assert eta.left_s(Progress(2, 10)) == 16


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (8, "8 s"), (89, "89 s"), (170, "3 min"), (7500, "2 h 5 min"), (-3, "0 s")],
)
def test_durations_are_said_as_people_say_them(seconds, text):
    assert duration_text(seconds) == text
