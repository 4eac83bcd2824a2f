"""Let the threads of torch sleep soon where they wait for each other.

GNU OpenMP, which torch brings on Linux, has a thread that is done spin for milliseconds. Beside
another program, such as the window, the one that it waits for has no core then, since the waiting
one keeps it. A training on two cores falls to a third of its pace beside one busy core; with fewer
turns it is a quarter faster there, and a tenth slower alone (benchmarks/bench_openmp.py).
"""

from __future__ import annotations

import os

_TURNS = "3000"
"""How often a thread looks before it sleeps; by itself it looks 300,000 times."""


def let_threads_sleep() -> None:
    """Set that for this process and its children; to be called before torch is imported.

    What the person has set (`GOMP_SPINCOUNT`, `OMP_WAIT_POLICY`) stays. Other OpenMP libraries
    than GNU's do not look at it.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _TURNS)
