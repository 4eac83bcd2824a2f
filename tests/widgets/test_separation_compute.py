"""The shipped detector in a real window: in the compute process, never in that of the window."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.gui, pytest.mark.slow]
CHILD = Path(__file__).with_name("separation_compute_child.py")


def test_the_window_finds_panels_without_torch_and_survives_a_killed_process(tmp_path):
    done = subprocess.run(
        [sys.executable, str(CHILD), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert not told["torch"]
    assert len(told["boxes"]) == 4  # the figure has four grey panels
    assert told["all"] == [4, 4]
    assert told["second pid"] not in (None, told["pid"])
    assert told["error"] == ""
