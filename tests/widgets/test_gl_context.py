"""Layers that go leave a canvas that can be drawn: in another process, for a fault ends that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.gui
CHILD = Path(__file__).with_name("removal_child.py")


def test_layers_of_mixed_units_go_and_the_window_stays(tmp_path):
    done = subprocess.run(
        [sys.executable, str(CHILD), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("survived") == 2
