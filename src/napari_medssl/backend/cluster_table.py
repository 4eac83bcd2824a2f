"""The table that `medssl cluster` writes."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO

import numpy as np
from numpy.typing import NDArray

COLUMNS = ("image", "cluster", "confidence", "x", "y")


def cluster_table(
    names: Sequence[str],
    labels: NDArray[np.int64],
    confidence: NDArray[np.float32],
    places: NDArray[np.float32],
) -> str:
    """Return a row for each picture as CSV; shapes (N,), and places (N, 2)."""
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, label, sure, (x, y) in zip(names, labels, confidence, places, strict=True):
        writer.writerow([name, int(label), f"{sure:.4f}", f"{x:.4f}", f"{y:.4f}"])
    return stream.getvalue()
