"""A virtual display for each process of the tests that runs beside another.

Two windows on one display take the keyboard focus from each other.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess


def open_display() -> None:
    """Start an Xvfb with GL for this process and name it in DISPLAY; needs the program."""
    if not shutil.which("Xvfb"):
        return
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1600x1000x24"]
    server = subprocess.Popen(
        [*command, "+extension", "GLX", "-nolisten", "tcp"],
        pass_fds=[writer],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    with os.fdopen(reader) as number:  # a line when it is ready, nothing if it ended
        shown = number.readline().strip()
    if not shown:
        raise RuntimeError(f"Xvfb did not start (exit code {server.wait()}).")
    os.environ["DISPLAY"] = f":{shown}"
    os.environ.pop("XAUTHORITY", None)
    atexit.register(_close, server)


def _close(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    server.wait()
