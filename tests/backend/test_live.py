"""Only the newest request is answered; threads end when nothing more is asked, or all is closed."""

import subprocess
import sys
import threading
import time
import weakref

import pytest

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.live import LatestWins


class Desk:
    """Collects the answers of a LatestWins, and holds work until it is let go."""

    def __init__(self):
        self.answers, self.errors, self.ran = [], [], []
        self.began, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self.requests = LatestWins(self.take, lambda n, text: self.errors.append(text))
        self.answered = threading.Event()

    def take(self, number, result):
        self.answers.append(result)
        self.answered.set()

    def work(self, name, *, should_stop):
        self.ran.append(name)
        self.began.release()
        assert self.go.acquire(timeout=60)
        return name, should_stop()


def test_waiting_requests_are_replaced_and_stale_results_dropped():
    desk = Desk()
    desk.requests.submit(desk.work, "first")
    assert desk.began.acquire(timeout=60)
    for name in ("second", "third", "last"):
        newest = desk.requests.submit(desk.work, name)
    desk.go.release(2)
    assert desk.answered.wait(5)
    assert desk.ran == ["first", "last"]
    assert desk.answers == [("last", False)]
    assert desk.requests.is_newest(newest)


def test_a_superseded_request_is_told_to_stop():
    desk, heard = Desk(), threading.Event()

    def listen(*, should_stop):
        desk.began.release()
        while not should_stop():
            time.sleep(0.005)
        heard.set()
        raise Cancelled

    desk.requests.submit(listen)
    assert desk.began.acquire(timeout=60)
    desk.requests.submit(desk.work, "newer")
    assert heard.wait(5)
    desk.go.release()
    assert desk.answered.wait(5)
    assert desk.answers == [("newer", False)]
    assert desk.errors == []


def test_a_failing_request_tells_its_error_and_the_next_one_is_answered():
    desk = Desk()
    told = threading.Event()
    requests = LatestWins(desk.take, lambda n, text: (desk.errors.append(text), told.set()))

    def fail(*, should_stop):
        raise UserError("No image.")

    requests.submit(fail)
    assert told.wait(5)
    requests.submit(lambda should_stop: "good")
    assert desk.answered.wait(5)
    assert (desk.errors, desk.answers) == (["No image."], ["good"])


@pytest.mark.parametrize("end", ["drop", "close"])
def test_a_dropped_or_closed_request_is_not_delivered(end):
    desk = Desk()
    desk.requests.submit(desk.work, "late")
    assert desk.began.acquire(timeout=60)
    getattr(desk.requests, end)()
    desk.go.release()
    assert not desk.answered.wait(0.1)
    if end == "close":
        with pytest.raises(RuntimeError, match="are closed"):
            desk.requests.submit(desk.work, "more")


def test_the_thread_ends_when_nothing_more_is_asked_and_begins_anew(monkeypatch):
    monkeypatch.setattr(LatestWins, "idle_s", 0.01)
    desk = Desk()
    desk.go.release(2)
    for name in ("early", "late"):
        desk.answered.clear()
        desk.requests.submit(desk.work, name)
        assert desk.answered.wait(5)
        assert desk.requests.wait(5)
    assert [name for name, _ in desk.answers] == ["early", "late"]


def test_close_ends_the_thread():
    desk = Desk()
    desk.go.release()
    desk.requests.submit(desk.work, "only")
    assert desk.answered.wait(5)
    desk.requests.close()
    assert desk.requests.wait(1)


def test_an_idle_thread_holds_nothing_of_the_request():
    class Image:
        """Stands for something large."""

    answered = threading.Event()
    requests = LatestWins(lambda number, result: answered.set())
    image = Image()
    held = weakref.ref(image)
    requests.submit(lambda each, should_stop: None, image)
    del image
    assert answered.wait(5)
    end = time.monotonic() + 1  # less than idle_s
    while held() is not None:
        assert time.monotonic() < end
        time.sleep(0.005)
    requests.close()


def test_a_program_that_ends_stops_its_requests():
    code = (
        "import time\n"
        "from napari_medssl.backend.live import LatestWins\n"
        "def work(should_stop):\n"
        "    print('began', flush=True)\n"
        "    while not should_stop(): time.sleep(0.01)\n"
        "    print('left in order', flush=True)\n"
        "LatestWins(print).submit(work); time.sleep(0.1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "began\nleft in order\n"
