"""Loaded by the workers of the tests: a quick encoder that is slow while a file is there."""

import os
import time
from pathlib import Path

from index_child import SmallHistogram

from napari_medssl.backend import cluster_work

SLOW = "MEDSSL_TEST_SLOW"
"""Environment variable with the file that slows down."""


DEADLY = "MEDSSL_TEST_DEADLY"
"""Environment variable with the file that a worker dies of."""


class PacedHistogram(SmallHistogram):
    """Colour histograms; a batch takes a tenth of a second while the file is there, and a line."""

    def embed(self, tiles):
        if Path(os.environ.get(DEADLY, "/nowhere/at/all")).exists():
            os._exit(1)
        slow = Path(os.environ[SLOW])
        if slow.exists():
            with slow.open("a") as lines:
                lines.write("batch\n")
            time.sleep(0.1)
        return super().embed(tiles)


def dask_setup(worker):
    """What Dask calls in a worker that starts."""
    cluster_work.make_encoder = lambda name, device: PacedHistogram()
    cluster_work.TELL_EVERY_S = 0.0
