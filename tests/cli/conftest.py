"""The real `medssl` in a process of its own, to be interrupted, cut off and starved."""

import os
import subprocess
import sys
import time

import pytest

COMMAND = [sys.executable, "-c", "import sys; from napari_medssl.cli import main; sys.exit(main())"]


@pytest.fixture
def medssl():
    """Run it to its end: `medssl(*words, **settings of subprocess.run)`."""

    def run(*words, **changes):
        words = [os.fspath(word) for word in words]
        settings = {"capture_output": True, "encoding": "utf-8", "check": False, "timeout": 240}
        if "stdout" in changes or "stderr" in changes:
            settings.pop("capture_output")
            settings |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.run([*COMMAND, *words], **settings | changes)

    return run


@pytest.fixture
def interrupt():
    """Start it, send a signal as soon as `is_time(process)`; give exit code, stdout and stderr."""

    def run(number, words, is_time, *, group=False):
        process = subprocess.Popen(
            [*COMMAND, *(os.fspath(word) for word in words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        end = time.monotonic() + 240
        while not is_time(process) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        (os.killpg if group else os.kill)(process.pid, number)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    return run
