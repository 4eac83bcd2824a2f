"""How a child process of multiprocessing ends: at once, once all is said.

In the usual way the destructors of C++ run last. With a thread of torch still alive they abort the
process, and say so on the person's screen.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from multiprocessing import util

_LAST = -1000  # after the queues have sent what they hold


def leave_at_once(_number: int = 0) -> None:
    """Let this process leave so when its work is done; its exit code is then 0.

    The argument is what torch hands to the start function of a loader process.
    """
    util.Finalize(None, _leave, exitpriority=_LAST)


def _leave() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(0)
