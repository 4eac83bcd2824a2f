"""The child of `backend.compute_process`: does the calls that come through its standard input.

It ends when its input ends, so it never outlives the program that started it, however that ended.
What libraries print goes to the standard error; the standard output carries answers alone.
"""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader, BufferedWriter
from typing import Any

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, Progress, error_text
from napari_medssl.backend.openmp import let_threads_sleep

_AT_ONCE = 8  # calls; more wait for their turn
_GRACE_S = 3.0  # for calls under way to leave in order when the parent has gone
_LENGTH = struct.Struct("<Q")


def pack(message: Any) -> tuple[bytes, list[pickle.PickleBuffer]]:
    """Return a pickled message, and apart from it the arrays in it, as they are.

    To copy them would hold Python's lock, and with it the window: 48 megapixels for a tenth of a
    second.
    """
    arrays: list[pickle.PickleBuffer] = []
    packed = pickle.dumps(message, pickle.HIGHEST_PROTOCOL, buffer_callback=arrays.append)
    return packed, arrays


def unpack(packed: bytes | memoryview, arrays: Sequence[Any]) -> Any:
    """Return the message of `pack`; its arrays lie in the memory that is given."""
    return pickle.loads(packed, buffers=arrays)


def write_message(stream: BufferedWriter, message: Any) -> None:
    """Write a message: how many parts, their lengths, the parts; OSError if nobody reads any more.

    Nothing is written if the message cannot be pickled.
    """
    packed, arrays = pack(message)
    parts = [memoryview(packed), *(array.raw() for array in arrays)]
    lengths = (part.nbytes for part in parts)
    stream.write(struct.pack(f"<{len(parts) + 1}Q", len(parts), *lengths))
    for part in parts:
        stream.write(part)
    stream.flush()


def read_message(stream: BufferedReader) -> Any:
    """Return the next message, waiting for it; EOFError where the stream ends.

    Both ends of the pipe are this program: it is not for files, which are never unpickled.
    """
    (count,) = _LENGTH.unpack(_read(stream, _LENGTH.size))
    lengths = struct.unpack(f"<{count}Q", _read(stream, count * _LENGTH.size))
    packed, *arrays = [_read(stream, length) for length in lengths]
    return unpack(packed, arrays)


def _read(stream: BufferedReader, length: int) -> memoryview:
    # Not a bytearray, which is filled with zeros first, under Python's lock.
    room = np.empty(length, np.uint8).data
    if stream.readinto(room) < length:
        raise EOFError
    return room


def find_function(path: str) -> Callable[..., Any]:
    """Return the function of `package.module:name`."""
    module, _, name = path.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def call_function(path: str, *args: Any, **keywords: Any) -> Any:
    """Return what the function of `package.module:name` gives; it is imported here and now."""
    return find_function(path)(*args, **keywords)


class Worker:
    """Does calls in threads, several at once, and sends what comes of them.

    Parameters
    ----------
    requests, answers
        Streams of messages: `("call", number, function, packed, arrays)` with the arguments as
        `pack` gives them, and `("stop", number)`; back come `(kind, number, value)`.
    """

    def __init__(self, requests: BufferedReader, answers: BufferedWriter) -> None:
        self._requests, self._answers = requests, answers
        self._sending = threading.Lock()
        self._stops: dict[int, threading.Event] = {}
        # Threads are used again: torch keeps a team of its own threads for each that calls it.
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="medssl compute")

    def run(self) -> None:
        """Take requests until there are no more."""
        try:
            while True:
                kind, number, *rest = read_message(self._requests)
                if kind == "call":
                    stop = self._stops[number] = threading.Event()
                    self._pool.submit(self._call, number, stop, *rest)
                elif (asked := self._stops.get(number)) is not None:  # it may end just now
                    asked.set()
        except EOFError:
            self._leave()

    def _leave(self) -> None:
        for stop in list(self._stops.values()):
            stop.set()
        end = time.monotonic() + _GRACE_S
        while self._stops and time.monotonic() < end:
            time.sleep(0.01)

    def _call(
        self,
        number: int,
        stop: threading.Event,
        function: str,
        packed: bytes,
        arrays: Sequence[memoryview],
    ) -> None:
        def report(progress: Progress) -> None:
            self._send("progress", number, progress)

        try:
            if stop.is_set():
                raise Cancelled
            args, keywords = unpack(packed, arrays)
            work = find_function(function)
            value = work(*args, on_progress=report, should_stop=stop.is_set, **keywords)
            self._send("result", number, value)
        except Cancelled:
            self._send("cancelled", number, None)
        except UserError as error:
            self._send("user error", number, str(error))
        except OSError as error:
            self._send("os error", number, str(error))
        except BaseException as error:  # nothing may leave the other side waiting
            if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
                self._send("user error", number, error_text(error))
            else:
                told = f"{type(error).__name__}: {error}", traceback.format_exc()
                self._send("fault", number, told)
        finally:
            self._stops.pop(number, None)

    def _send(self, kind: str, number: int, value: Any) -> None:
        with self._sending:
            try:
                write_message(self._answers, (kind, number, value))
            except OSError:  # the parent has gone: the end of the input tells `run`
                return


def main() -> None:
    """Serve the parent process until it closes the pipe or dies."""
    let_threads_sleep()
    # Ctrl+C reaches every process of a terminal; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    Worker(requests, answers).run()
    os._exit(0)  # a thread that hangs in a library must not keep the process
