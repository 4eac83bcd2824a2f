"""The compute process: answers, errors, stopping, death on both sides."""

from __future__ import annotations

import io
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest

from napari_medssl._errors import UserError
from napari_medssl.backend.compute_process import (
    ComputeError,
    ComputeLostError,
    ComputeProcess,
    once_more,
)
from napari_medssl.backend.compute_worker import pack, read_message, write_message
from napari_medssl.backend.jobs import Cancelled, Job
from napari_medssl.backend.live import LatestWins

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills by POSIX signals")


@pytest.fixture(scope="module")
def process():
    process = ComputeProcess()
    yield process
    process.close()


def is_alive(pid):
    """Whether a process runs; one that ended and was not asked for its exit code does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(holds, timeout_s=60.0):
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, "condition did not come true in time"
        time.sleep(0.01)


def test_a_call_runs_in_one_other_process_and_reports(process):
    seen = []
    first = process.call("compute_work:echo", 1, "a", on_progress=seen.append, extra=(2, 3))
    second = process.call("compute_work:echo")
    assert first["args"] == (1, "a")
    assert first["keywords"] == {"extra": (2, 3)}
    assert first["pid"] == second["pid"] == process.pid != os.getpid()
    assert [(p.done, p.total, p.message) for p in seen] == [(1, 2, "half"), (2, 2, "all")]
    assert seen[0].values == {"part": (1,)}


def test_arrays_cross_both_ways(process):
    array = np.arange(3_000_000, dtype=np.int32).reshape(1000, 3000)
    shape, kind, doubled = process.call("compute_work:size_of", array)
    assert (shape, kind) == ((1000, 3000), "int32")
    np.testing.assert_array_equal(doubled, 2 * array)


def test_arrays_are_sent_as_they_lie_in_memory():
    """A copy would hold the lock of Python, and with it the window."""
    masks = [np.zeros((300, 400), np.uint8), np.ones((2, 3), np.float32)]
    packed, arrays = pack((masks, {"model": "m"}))
    assert len(packed) < 1000
    for array, mask in zip(arrays, masks, strict=True):
        assert np.shares_memory(np.frombuffer(array.raw(), np.uint8), mask)


def test_arrays_of_every_kind_arrive_as_they_were():
    grid = np.arange(24.0).reshape(4, 6)
    fixed = grid.copy()
    fixed.flags.writeable = False
    empty = np.zeros((0, 3), np.uint8)
    sent = [grid, fixed, empty, np.asfortranarray(grid), grid[::2, ::3], grid > 5, np.array(7)]
    stream = io.BytesIO()
    write_message(stream, ("all", sent))
    write_message(stream, "next")
    stream.seek(0)
    name, came = read_message(stream)
    assert name == "all"
    assert [array.flags.writeable for array in came] == [array is not fixed for array in sent]
    for one, other in zip(came, sent, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert read_message(stream) == "next"
    with pytest.raises(EOFError):
        read_message(stream)


def test_what_is_cut_short_is_the_end():
    stream = io.BytesIO()
    write_message(stream, np.arange(1000))
    for length in (0, 4, 12, 100, len(stream.getvalue()) - 1):
        with pytest.raises(EOFError):
            read_message(io.BytesIO(stream.getvalue()[:length]))


def test_what_a_library_prints_does_not_spoil_the_answers(process, capfd):
    assert process.call("compute_work:print_much") == "done"
    assert process.call("compute_work:echo", 5)["args"] == (5,)


def test_a_user_error_stays_one(process):
    with pytest.raises(UserError, match=r"^Folder 'x' holds 0 images; give at least 1\.$"):
        process.call("compute_work:refuse")


def test_want_of_memory_is_told_as_such(process):
    with pytest.raises(UserError, match=r"^Memory ran out\. Use a smaller batch size"):
        process.call("compute_work:run_out_of_memory")


def test_an_os_error_stays_one(process):
    with pytest.raises(OSError, match="no such file"):
        process.call("compute_work:miss_a_file")


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("compute_work:crash", "KeyError: 'a fault deep inside'"),
        ("compute_work:give_unsendable", "cannot pickle"),
        ("compute_work:no_such_function", "AttributeError"),
        ("no_such_module:work", "ModuleNotFoundError"),
    ],
)
def test_any_other_fault_keeps_its_traceback_and_ends_nothing(process, function, said):
    pid = process.call("compute_work:echo")["pid"]
    with pytest.raises(ComputeError, match=said) as caught:
        process.call(function)
    assert "Traceback" in caught.value.child_traceback
    assert process.call("compute_work:echo")["pid"] == pid


def test_a_call_stops_within_one_batch(process, tmp_path):
    seen = []
    with pytest.raises(Cancelled):
        process.call(
            "compute_work:work_in_batches",
            str(tmp_path),
            on_progress=seen.append,
            should_stop=lambda: len(seen) >= 3,
        )
    batches = int((tmp_path / "left in order").read_text())
    assert batches < 20  # the wish crosses within 0.05 s, a batch takes 0.02 s


def test_a_call_cancelled_before_it_began_does_nothing(process, tmp_path):
    with pytest.raises(Cancelled):
        process.call("compute_work:work_in_batches", str(tmp_path), should_stop=lambda: True)
    assert process.call("compute_work:echo")["args"] == ()


def test_a_call_that_never_listens_is_killed_after_the_grace():
    process = ComputeProcess(grace_s=0.3)
    pid = process.call("compute_work:echo")["pid"]
    seen = []
    with pytest.raises(Cancelled, match="did not stop"):
        process.call(
            "compute_work:never_listen", on_progress=seen.append, should_stop=lambda: bool(seen)
        )
    wait_until(lambda: not is_alive(pid))
    assert process.call("compute_work:echo")["pid"] != pid
    process.close()


def test_two_calls_run_at_once(process, tmp_path):
    """The figure in front is not kept waiting by a job."""
    job = Job(
        lambda folder, **hooks: process.call("compute_work:work_in_batches", folder, **hooks),
        str(tmp_path),
    ).start()
    wait_until(lambda: job.progress is not None)
    assert process.call("compute_work:answer_late", 7) == 7
    assert not job.has_ended
    job.cancel()
    assert job.wait(5)
    assert job.state == "cancelled"


def test_latest_wins_through_the_process(process):
    answers = queue.SimpleQueue()
    requests = LatestWins(lambda number, value: answers.put((number, value)))

    def work(value, *, should_stop):
        return process.call("compute_work:answer_late", value, should_stop=should_stop)

    last = [requests.submit(work, value) for value in range(5)][-1]
    assert answers.get(timeout=60) == (last, 4)
    with pytest.raises(queue.Empty):
        answers.get(timeout=0.4)
    requests.close()


def test_models_stay_loaded_between_calls(process):
    process.call("compute_work:model_of", "a")
    process.call("compute_work:model_of", "b")
    assert process.call("compute_work:model_of", "a") == ["a", "b"]
    process.call("compute_work:model_of", "c")  # a third: "b" goes
    assert process.call("compute_work:model_of", "b") == ["a", "b", "c", "b"]


def test_a_child_killed_while_it_works_is_told_and_the_next_call_begins_another():
    process = ComputeProcess()
    ends = []

    def work():
        try:
            process.call("compute_work:never_listen")
        except ComputeLostError as error:
            ends.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    pid = process.call("compute_work:echo")["pid"]
    os.kill(pid, signal.SIGKILL)
    for thread in threads:
        thread.join(10)
    assert ends == [
        "The compute process ended by itself (signal 9); most often memory ran out. "
        "Try again, it starts anew; if it ends again, close other programs or choose the CPU."
    ] * 2  # fmt: skip
    assert process.call("compute_work:echo")["pid"] != pid
    process.close()


def test_a_call_under_which_the_process_was_killed_is_made_once_more():
    process = ComputeProcess()
    pids = []

    def killed():
        pids.append(process.call("compute_work:echo")["pid"])
        kill = partial(os.kill, pids[-1], signal.SIGKILL)
        process.call("compute_work:never_listen", on_progress=lambda _: kill())

    lost = []
    with pytest.raises(ComputeLostError):
        once_more(killed, lambda: lost.append(len(pids)))
    assert (lost, len(set(pids))) == ([1], 2)
    process.close()


def test_a_child_killed_while_idle_costs_nobody_an_error():
    process = ComputeProcess()
    pid = process.call("compute_work:echo")["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: process.pid is None)
    assert process.call("compute_work:echo")["pid"] != pid
    process.close()


def test_close_ends_the_child_and_what_runs_in_it(tmp_path):
    process = ComputeProcess()
    job = Job(
        lambda folder, **hooks: process.call("compute_work:work_in_batches", folder, **hooks),
        str(tmp_path),
    ).start()
    wait_until(lambda: job.progress is not None)
    pid = process.pid
    process.close()
    assert job.wait(5)
    assert job.state in ("cancelled", "failed")
    assert (tmp_path / "left in order").exists()
    assert not is_alive(pid)
    assert process.pid is None


PROGRAM = """
import sys, threading, time
from napari_medssl.backend.compute_process import compute_process
threading.Thread(
    target=lambda: compute_process().call("compute_work:never_listen"), daemon=True
).start()
print(compute_process().call("compute_work:echo")["pid"], flush=True)
{end}
"""


@pytest.mark.parametrize("end", ["sys.exit()", "time.sleep(600)"], ids=["exit", "kill -9"])
def test_no_child_outlives_the_program(end):
    """Whether the program ends in order, in the middle of a call, or is killed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(end=end)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    assert program.stdout is not None
    pid = int(program.stdout.readline())
    if "sleep" in end:
        assert is_alive(pid)
        program.kill()
    started = time.monotonic()
    program.wait(20)
    wait_until(lambda: not is_alive(pid))
    assert time.monotonic() - started < 10


def test_the_script_of_a_person_is_not_run_again_in_the_child(tmp_path):
    """A script that opens a viewer without `if __name__ == "__main__"` opens one."""
    script = tmp_path / "script.py"
    script.write_text(
        "print('script runs', flush=True)\n"
        "from napari_medssl.backend.compute_process import compute_process\n"
        "compute_process().call('compute_work:echo')\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout == "script runs\n"


def test_an_answer_that_cannot_be_read_is_told_and_the_next_call_goes_on(process):
    first = process.call("compute_work:echo")["pid"]
    with pytest.raises(UserError, match="was ended, because an answer of it cannot be read"):
        process.call("compute_work:unreadable")
    assert process.call("compute_work:echo")["pid"] != first
