"""Act at the end of a Qt object, whichever of its two halves ends first.

A plain slot of `destroyed` may crash the program. When Python forgets a widget, its cycle collector
clears what belongs to it, the slot too; the C++ half lives on until the event loop deletes it, and
then calls the cleared slot. It happens in particular where the collector runs in a worker thread.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject


def when_gone(owner: QObject, call: Callable[..., object], *args: Any) -> None:
    """Call `call(*args)` once: when Qt destroys `owner` or Python forgets it, from any thread.

    Neither `call` nor `args` may hold `owner`: it could never be forgotten.
    """
    # weakref keeps a finalizer until it was called, so the collector never clears this slot.
    end = weakref.finalize(owner, call, *args)
    end.atexit = False
    owner.destroyed.connect(end)
