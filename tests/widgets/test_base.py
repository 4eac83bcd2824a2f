"""The job panel shows progress and errors, cancels on close, and never blocks the GUI thread."""

import threading
import time
from dataclasses import dataclass

import pytest

from napari_medssl._errors import UserError
from napari_medssl.backend.config import option
from napari_medssl.backend.jobs import Cancelled, Progress
from napari_medssl.widgets._base import JobPanel, JobWidget
from napari_medssl.widgets._live import LiveRequests

pytestmark = pytest.mark.gui


def three_steps(config, *, on_progress, should_stop):
    for done in (1, 2, 3):
        on_progress(Progress(done, 3, "counting"))
    return config, threading.current_thread() is threading.main_thread()


def until_stopped(config, *, on_progress, should_stop):
    on_progress(Progress(1, 10, "waiting"))
    while not should_stop():
        time.sleep(0.005)
    raise Cancelled


def refuse(config, *, on_progress, should_stop):
    raise UserError("Image 'x' has no pixels.")


@pytest.fixture
def panel(qtbot):
    panel = JobPanel()
    qtbot.addWidget(panel)
    panel.show()
    return panel


def test_a_job_runs_off_the_gui_thread_and_its_result_arrives(panel, qtbot):
    steps = []
    panel.progressed.connect(lambda p: steps.append(p.done))
    with qtbot.waitSignal(panel.done) as blocker:
        panel.start(three_steps, "config", title="Counting")
        assert panel.is_busy
    assert blocker.args == [("config", False)]
    assert steps == [1, 2, 3]
    assert not panel.is_busy
    assert not panel._bar.isVisible()


def test_an_error_is_shown_and_goes_with_the_next_job(panel, qtbot):
    with qtbot.waitSignal(panel.failed):
        panel.start(refuse, None, title="Reading")
    assert panel._error.text() == "Image 'x' has no pixels."
    assert panel._error.isVisible()
    with qtbot.waitSignal(panel.done):
        panel.start(three_steps, None, title="Counting")
    assert not panel._error.isVisible()


def test_the_bar_says_what_is_done_and_cancel_stops_it(panel, qtbot):
    panel.start(until_stopped, None, title="Waiting")
    qtbot.waitUntil(lambda: panel._bar.maximum() == 10)
    assert (panel._bar.value(), panel._words.text()) == (1, "waiting")
    with qtbot.waitSignal(panel.ended) as blocker:
        panel._cancel.click()
        assert panel._words.text() == "Stopping ..."
    assert blocker.args[0].state == "cancelled"
    assert not panel._error.isVisible()


def test_a_second_job_is_refused_while_one_runs(panel, qtbot):
    job = panel.start(until_stopped, None, title="Waiting")
    with pytest.raises(RuntimeError, match="'Waiting' still runs"):
        panel.start(three_steps, None, title="Counting")
    job.cancel()
    assert job.wait(5)


def test_counts_beyond_32_bits_are_shown(panel, qtbot):
    def huge(config, *, on_progress, should_stop):
        on_progress(Progress(2**40, 2**42, "reading"))
        return until_stopped(config, on_progress=lambda p: None, should_stop=should_stop)

    job = panel.start(huge, None, title="Reading")
    qtbot.waitUntil(lambda: panel._bar.maximum() == 1000)
    assert panel._bar.value() == 250
    job.cancel()
    assert job.wait(5)


def test_closing_stops_the_job(qtbot):
    panel = JobPanel()
    job = panel.start(until_stopped, None, title="Waiting")
    panel.close()
    assert job.wait(5)
    assert job.state == "cancelled"
    panel.deleteLater()


def test_destroying_without_closing_stops_the_job(qtbot):
    panel = JobPanel()
    job = panel.start(until_stopped, None, title="Waiting")
    with qtbot.waitSignal(panel.destroyed):
        panel.deleteLater()
    assert job.wait(5)
    assert job.state == "cancelled"


@dataclass(frozen=True)
class Config:
    """Count up to a number."""

    steps: int = option(3, help="How far.", min=1)


class Counter(JobWidget):
    config_class = Config
    run_title = "Count"
    shown = None

    def work(self, config, *, on_progress, should_stop):
        return list(range(config.steps))

    def prepare(self, config):
        if config.steps == 7:
            raise UserError("7 is an unlucky number; take another.")
        return config

    def show_result(self, result):
        self.shown = result


def test_a_job_widget_runs_its_form_and_shows_the_result(qtbot):
    widget = Counter()
    qtbot.addWidget(widget)
    widget.form.set_value("steps", 4)
    with qtbot.waitSignal(widget.panel.ended):
        widget.run_button.click()
        assert not widget.run_button.isEnabled()
    assert widget.shown == [0, 1, 2, 3]
    assert widget.run_button.isEnabled()
    assert widget.run_button.toolTip() == "Count up to a number."


def test_what_is_missing_goes_to_the_error_line_and_nothing_runs(qtbot):
    widget = Counter()
    qtbot.addWidget(widget)
    widget.form.set_value("steps", 7)
    widget.run_button.click()
    assert "unlucky" in widget.panel._error.text()
    assert widget.panel.job is None
    assert widget.run_button.isEnabled()


def test_live_requests_are_answered_in_the_gui_thread(qtbot):
    live = LiveRequests()
    threads = []
    live.ready.connect(lambda result: threads.append(threading.current_thread()))
    with qtbot.waitSignal(live.ready) as blocker:
        live.submit(lambda a, should_stop: a + 1, 1)
    assert blocker.args == [2]
    assert threads == [threading.main_thread()]
    live.close()


def test_live_requests_tell_errors(qtbot):
    live = LiveRequests()

    def fail(should_stop):
        raise UserError("No image.")

    with qtbot.waitSignal(live.failed) as blocker:
        live.submit(fail)
    assert blocker.args == ["No image."]
    live.close()
