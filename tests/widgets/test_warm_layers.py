"""What napari's first layers need is made ready in a thread, and reading waits for it."""

from __future__ import annotations

import gc
import threading

import pytest

from napari_medssl.widgets import _warm_layers


@pytest.fixture
def events(monkeypatch):
    """Fresh events, as in a program that has just begun."""
    begun, warm = threading.Event(), threading.Event()
    monkeypatch.setattr(_warm_layers, "_labels_are_begun", begun)
    monkeypatch.setattr(_warm_layers, "_labels_are_warm", warm)
    return begun, warm


def test_a_thread_waits_until_labels_are_ready(events):
    begun, warm = events
    begun.set()
    waiting = threading.Thread(target=_warm_layers.wait_for_labels, daemon=True)
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    _warm_layers._map_labels()
    assert warm.is_set()
    waiting.join(20)
    assert not waiting.is_alive()


def test_the_thread_begins_once_the_window_is_free(qtbot):
    done = threading.Event()
    _warm_layers._begin_soon(done.set)
    gc.collect()
    qtbot.waitUntil(done.is_set, timeout=60_000)


def test_nobody_waits_for_what_was_not_begun(events):
    _warm_layers.wait_for_labels()
    assert not events[1].is_set()


def test_a_fault_does_not_keep_anybody_waiting(events, monkeypatch):
    def fail():
        raise RuntimeError("no pandas")

    monkeypatch.setattr(_warm_layers, "_import_tables", fail)
    with pytest.raises(RuntimeError):
        _warm_layers._map_labels()
    assert events[1].is_set()
