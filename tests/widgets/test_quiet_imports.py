"""The collector rests while threads import, and comes back as it was."""

import gc
import threading

import pytest

from napari_medssl.widgets._quiet_imports import collector_paused


@pytest.fixture(autouse=True)
def _on_again():
    gc.enable()
    yield
    gc.enable()


def test_blocks_of_several_threads_overlap():
    is_in, may_end = threading.Event(), threading.Event()

    def other():
        with collector_paused():
            is_in.set()
            may_end.wait(30)

    thread = threading.Thread(target=other)
    with collector_paused():
        thread.start()
        assert is_in.wait(30)
        assert not gc.isenabled()
    assert not gc.isenabled()  # the other one is still importing
    may_end.set()
    thread.join(30)
    assert gc.isenabled()


def test_an_import_that_fails_leaves_it_on():
    with pytest.raises(ImportError), collector_paused():
        raise ImportError("missing")
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    with collector_paused():
        pass
    assert not gc.isenabled()
