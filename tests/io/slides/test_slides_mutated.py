"""Random damage never ends the process, hangs it, or needs more than 2 GB.

MEDSSL_MUTATIONS sets how many damaged copies of each slide are tried.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.data

COUNT = int(os.environ.get("MEDSSL_MUTATIONS", "90"))


@pytest.mark.parametrize(
    ("place", "share"),
    [
        ("slides/CMU-1-Small-Region.svs", 1),
        ("slides/visium_mouse_brain_hires.tif", 1),
        ("interop/omezarr/omezarrpy_0.5.zarr", 3),  # many files: each try takes longer
    ],
)
def test_random_damage_is_told_in_a_line(data_dir, tmp_path, place, share):
    count = COUNT // share
    script = Path(__file__).with_name("mutate_slides.py")
    done = subprocess.run(
        [sys.executable, str(script), str(count), "0", str(tmp_path), str(data_dir / place)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["opened"] + found["refused"] == count
    assert found["opened"]
    assert found["refused"]
    assert found["slowest_s"] < 10
