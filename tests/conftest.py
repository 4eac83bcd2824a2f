"""Where the development data are, and which tests this machine can run."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# napari then refuses a plugin that touches its layers off the main thread, instead of crashing.
os.environ.setdefault("NAPARI_ENSURE_PLUGIN_MAIN_THREAD", "1")

# How quick a machine draws examples is no fault of what is tested.
settings.register_profile("medssl", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("medssl")

ROOT = Path(__file__).resolve().parents[1]
IN_CI = os.environ.get("CI", "").lower() == "true"


def pytest_configure(config: pytest.Config) -> None:
    """Give each of several processes (pytest -n 3) a display of its own."""
    if hasattr(config, "workerinput") and sys.platform == "linux" and has_display():
        from own_display import open_display

        open_display()


def pytest_collection_finish() -> None:
    """Leave what was imported out of the collections of the garbage: it is never any."""
    gc.collect()
    gc.freeze()


def find_data() -> Path | None:
    """Return the folder of development data: MEDSSL_DATA, else ../shared/data of the checkout."""
    named = os.environ.get("MEDSSL_DATA")
    places = [Path(named)] if named else [ROOT.parent / "shared" / "data"]
    return next((place.resolve() for place in places if place.is_dir()), None)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The development data; the test is skipped where they are absent, and fails in CI."""
    found = find_data()
    if found is None:
        reason = "no development data: set MEDSSL_DATA, or put them at ../shared/data"
        (pytest.fail if IN_CI else pytest.skip)(reason)
    return found


@pytest.fixture(scope="session", autouse=True)
def _own_user_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the drafts and models of the person who runs the tests out of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("user-data")))
        yield


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A function that mounts a small file system with these options, as root on Linux."""
    mounted: list[Path] = []

    def make(options: str) -> Path:
        if os.name != "posix" or os.geteuid() != 0 or not shutil.which("mount"):
            pytest.skip("only root can mount a small file system")
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give `data_file` every development file that the patterns of the `data` marker match."""
    marker = metafunc.definition.get_closest_marker("data")
    if "data_file" not in metafunc.fixturenames or marker is None:
        return
    root = find_data()
    files = sorted(file for pattern in marker.args for file in root.glob(pattern)) if root else []
    metafunc.parametrize("data_file", files or [None], ids=[file.name for file in files] or None)


@pytest.fixture(autouse=True)
def _needs_data_file(request: pytest.FixtureRequest) -> None:
    if "data_file" in request.fixturenames and request.getfixturevalue("data_file") is None:
        request.getfixturevalue("data_dir")  # skips or fails with the reason
        pytest.fail("the development data hold no file that the test asks for")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gui") and not has_display():
        reason = "no display: run under Xvfb (make test does), or set DISPLAY"
        (pytest.fail if IN_CI else pytest.skip)(reason)
    if item.get_closest_marker("cuda") and not has_cuda():
        pytest.skip("no CUDA GPU on this machine")


def has_display() -> bool:
    """Say whether a real window can open."""
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def has_cuda() -> bool:
    """Say whether torch sees a CUDA GPU."""
    import torch

    return torch.cuda.is_available()
