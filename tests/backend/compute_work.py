"""Work for the tests of the compute process: the child imports it by name."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, Progress
from napari_medssl.backend.model_cache import ModelCache

MODELS = ModelCache(capacity=2)
LOADED = []


def echo(*args, on_progress, should_stop, **keywords):
    on_progress(Progress(1, 2, "half", {"part": args[:1]}))
    on_progress(Progress(2, 2, "all"))
    return {"pid": os.getpid(), "args": args, "keywords": keywords}


def print_much(*, on_progress, should_stop):
    """Write to the standard output in every way there is."""
    print("printed" * 1000)
    os.write(1, b"written" * 1000)
    sys.stdout.flush()
    return "done"


def refuse(*, on_progress, should_stop):
    raise UserError("Folder 'x' holds 0 images; give at least 1.")


def crash(*, on_progress, should_stop):
    raise KeyError("a fault deep inside")


def run_out_of_memory(*, on_progress, should_stop):
    raise MemoryError


def miss_a_file(*, on_progress, should_stop):
    Path("no such file").read_text()


def give_unsendable(*, on_progress, should_stop):
    return threading.Lock()


def be_killed(*, on_progress, should_stop):
    os.kill(os.getpid(), signal.SIGKILL)


def work_in_batches(folder, *, on_progress, should_stop):
    """One batch takes 0.02 s; leave a file behind that says how many were begun."""
    for number in range(1000):
        if should_stop():
            Path(folder, "left in order").write_text(str(number))
            raise Cancelled
        on_progress(Progress(number, 1000))
        time.sleep(0.02)


def answer_late(value, *, on_progress, should_stop):
    """Return the value after 0.2 s, unless stopped."""
    for _ in range(20):
        if should_stop():
            raise Cancelled
        time.sleep(0.01)
    return value


def never_listen(*, on_progress, should_stop):
    on_progress(Progress(0))
    time.sleep(600)


def model_of(name, *, on_progress, should_stop):
    """Load a model, which is kept; return how often any was loaded."""
    MODELS.get(name, lambda: LOADED.append(name) or name)
    return list(LOADED)


def size_of(array, *, on_progress, should_stop):
    return array.shape, str(array.dtype), array * 2


class _Unreadable:
    """Is pickled, but cannot be made anew."""

    def __reduce__(self):
        return int, ("no number",)


def unreadable(*, on_progress, should_stop):
    return _Unreadable()
