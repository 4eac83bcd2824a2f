"""A window with the separation widget for the tests beside this.

One window serves all tests of a module: opening a viewer takes seconds.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module")
def window(qapp, tmp_path_factory):
    from separation_world import World

    os.environ["NAPARI_CONFIG"] = ""  # no settings of the person who runs the tests
    world = World(tmp_path_factory.mktemp("world"))
    yield world
    world.close()


@pytest.fixture
def world(window, tmp_path):
    """The widget in a shown viewer, with three figures in a fresh project."""
    window.begin(tmp_path / "figures")
    return window
