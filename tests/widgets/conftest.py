"""A window with the separation widget for the tests beside this.

One window serves all tests of a module: opening a viewer takes seconds.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

_PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def window(qapp, tmp_path_factory):
    from separation_world import World

    with shown(World, tmp_path_factory) as world:
        yield world


@contextmanager
def shown(make: Callable[[Path], Any], folders: pytest.TempPathFactory) -> Iterator[Any]:
    """Open a window, and close it at the end."""
    os.environ["NAPARI_CONFIG"] = ""  # no settings of the person who runs the tests
    with own_application():
        world = make(folders.mktemp("world"))
        leave_out_of_collections()
        yield world
        world.close()
    gc.freeze()  # so that of all there is only the next window is looked through


@contextmanager
def own_application() -> Iterator[None]:
    """Give napari an application that knows no command yet, as its own fixtures do.

    Those clear its memory of having registered the plugins; to do so twice in one is an error.
    """
    from app_model import Application
    from napari._app_model._app import NapariApplication, _napari_names
    from napari._qt._qapp_model.qactions import init_qactions
    from napari.plugins import _initialize_plugins

    name = "application of the tests"
    application = NapariApplication(name)
    application.injection_store.namespace = _napari_names
    memories = (_initialize_plugins, init_qactions)
    for memory in memories:
        memory.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NapariApplication, "get_app_model", lambda *_: application)
        yield
    # The windows that would hear of every entry that goes are gone: an error each, 17 s in all.
    application.menus.menus_changed.disconnect()
    Application.destroy(name)
    for memory in memories:
        memory.cache_clear()


def leave_out_of_collections() -> None:
    """Leave what is there now out of collections: napari runs a whole one for each layer removed.

    There are a million objects after all those imports, which take half a second each time.
    `World.close` lets them be collected again.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def world(window, tmp_path):
    """The widget in a shown viewer, with three figures in a fresh project."""
    window.begin(tmp_path / "figures")
    return window


@pytest.fixture(scope="module")
def slides_window(qapp, tmp_path_factory):
    from slides_world import SlidesWorld

    with shown(SlidesWorld, tmp_path_factory) as world:
        yield world


@pytest.fixture
def slides(slides_window, tmp_path):
    """The widget "Slides" in a shown viewer, with two slides in a fresh library."""
    slides_window.begin(tmp_path / "slides")
    return slides_window


@pytest.fixture(scope="module")
def landmarks_window(qapp, tmp_path_factory):
    from landmarks_world import LandmarksWorld

    with shown(LandmarksWorld, tmp_path_factory) as world:
        yield world


@pytest.fixture
def landmarks(landmarks_window, tmp_path):
    """The widget "Landmarks" in a shown viewer, with four pictures and the landmarks A and B."""
    landmarks_window.begin(tmp_path)
    return landmarks_window


@pytest.fixture(scope="module")
def segmentation_window(qapp, tmp_path_factory):
    from segmentation_world import SegmentationWorld

    with shown(SegmentationWorld, tmp_path_factory) as world:
        yield world


@pytest.fixture(scope="module")
def menu_window(qapp, tmp_path_factory):
    from segmentation_world import MenuWorld

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        with shown(MenuWorld, tmp_path_factory) as world:
            yield world


@pytest.fixture
def segmentation(segmentation_window, tmp_path):
    """The widget "Segmentation" in a shown viewer, with three pictures."""
    segmentation_window.begin(tmp_path)
    return segmentation_window


@pytest.fixture(scope="module")
def similar_window(qapp, tmp_path_factory):
    from similar_world import SimilarWorld

    with shown(SimilarWorld, tmp_path_factory) as world:
        yield world


@pytest.fixture
def similar(similar_window, tmp_path):
    """The widget "Find similar" in a shown viewer, with a library of two slides."""
    similar_window.begin(tmp_path)
    return similar_window


@pytest.fixture(scope="module")
def map_window(qapp, tmp_path_factory):
    from map_world import MapWorld

    with shown(MapWorld, tmp_path_factory) as world:
        yield world


@pytest.fixture
def embedding_map(map_window, tmp_path):
    """The widget "Embedding map" in a shown viewer, with 60 pictures of three colours."""
    map_window.begin(tmp_path)
    return map_window


@pytest.fixture
def qtbot(qtbot):
    """Wait for as long as a loaded machine may take; what comes at once is noticed at once."""
    for name in ("waitUntil", "waitSignal"):
        setattr(qtbot, name, partial(getattr(qtbot, name), timeout=_PATIENCE_MS))
    return qtbot
