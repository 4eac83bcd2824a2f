"""Waiting for a thread: the window goes on, input is kept for later, errors arrive."""

from __future__ import annotations

import threading
import time

import pytest
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from napari_medssl._errors import UserError
from napari_medssl.widgets._waiting import wait_for


def in_loop(call):
    """Return what a call gives that Qt makes, as it makes those of clicks."""
    loop, results = QEventLoop(), []

    def act():
        try:
            results.append((call(), None))
        except BaseException as error:
            results.append((None, error))
        loop.quit()

    QTimer.singleShot(0, act)
    loop.exec()
    ((result, error),) = results
    if error is not None:
        raise error
    return result


def test_events_are_processed_while_a_thread_works(qapp):
    beats = []
    timer = QTimer()
    timer.timeout.connect(lambda: beats.append(time.monotonic()))
    timer.start(5)

    def work():
        time.sleep(0.3)
        return threading.current_thread()

    assert in_loop(lambda: wait_for(work)) is not threading.main_thread()
    timer.stop()
    assert len(beats) > 10


def test_what_the_work_raises_is_raised_here(qapp):
    def work():
        raise UserError("Cannot write 'x': disk full.")

    with pytest.raises(UserError, match="disk full"):
        in_loop(lambda: wait_for(work))
    assert QApplication.overrideCursor() is None


def test_work_that_ends_at_once_ends_the_waiting(qapp):
    started = time.monotonic()
    for number in range(50):
        assert in_loop(lambda number=number: wait_for(lambda: number)) == number
    assert time.monotonic() - started < 5


def test_waiting_ends_with_the_work_where_the_application_quits(qapp):
    done = []
    QTimer.singleShot(20, qapp.quit)
    in_loop(lambda: wait_for(lambda: (time.sleep(0.2), done.append(True))))
    assert done == [True]


def test_where_no_loop_runs_the_work_is_just_called(qapp):
    assert wait_for(threading.current_thread) is threading.main_thread()


def test_waiting_may_nest(qapp):
    """A timer of somebody else may wait too."""
    inner = []
    QTimer.singleShot(20, lambda: inner.append(wait_for(lambda: time.sleep(0.05) or 5)))
    in_loop(lambda: wait_for(lambda: time.sleep(0.2)))
    assert inner == [5]
