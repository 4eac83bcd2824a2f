"""Widgets that are forgotten, destroyed or collected in a thread stop their work and do not crash.

Each case runs in a Python of its own: what it guards against is a segmentation fault.
"""

import os
import subprocess
import sys
from textwrap import dedent

import pytest

SETUP = """
import gc, threading, time
from dataclasses import dataclass
from pathlib import Path
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication, QWidget, QVBoxLayout
from napari_medssl.backend.config import option
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.widgets._base import JobPanel, JobWidget
from napari_medssl.widgets._live import LiveRequests

app = QApplication([])
gc.disable()  # it runs where the case says, and nowhere else

def collect(where):
    if where == "worker":
        thread = threading.Thread(target=gc.collect)
        thread.start()
        thread.join()
    else:
        gc.collect()

def handle_events():
    app.processEvents()
    app.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)

def until(is_so, seconds=60):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        handle_events()

def until_stopped(config, *, on_progress, should_stop):
    while not should_stop():
        time.sleep(0.001)
    raise Cancelled
"""


def run_case(code, **names):
    given = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", SETUP + given + dedent(code)],
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("where", ["worker", "gui"])
@pytest.mark.parametrize("end", ["forget", "delete"])
def test_a_panel_that_is_forgotten_before_qt_deletes_it_stops_its_job(end, where):
    """The collector clears the slots of a widget before the event loop deletes its C++ half."""
    done = run_case(
        """
        jobs = []
        for _ in range(20):
            window, panel = QWidget(), JobPanel()
            QVBoxLayout(window).addWidget(panel)
            window.itself = window  # only the collector can free it
            window.panel = panel
            jobs.append(panel.start(until_stopped, None, title="Waiting"))
            if end == "delete":
                window.deleteLater()
            del window, panel
            collect(where)
            handle_events()
        assert all(job.wait(10) for job in jobs)
        assert {job.state for job in jobs} == {"cancelled"}
        """,
        end=end,
        where=where,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("where", ["worker", "gui"])
def test_a_job_widget_with_every_kind_of_field_can_be_collected_anywhere(where):
    done = run_case(
        """
        from typing import Literal

        @dataclass(frozen=True)
        class Config:
            '''Count.'''

            steps: int = option(3, help="How far.", min=1)
            rate: float = option(0.5, help="How fast.", min=0.0, max=1.0)
            loud: bool = option(False, help="Aloud?")
            order: Literal["up", "down"] = option("up", help="Where to.")
            name: str = option("x", help="Of what.")
            folder: Path | None = option(None, help="Where from.")

        class Counter(JobWidget):
            config_class = Config

            def work(self, config, *, on_progress, should_stop):
                return config.steps

            def show_result(self, result):
                shown.append(result)

        shown = []
        for i in range(20):
            widget = Counter()
            widget.show()
            widget.run_button.click()
            if i % 2:
                until(lambda: not widget.panel.is_busy)
            widget.form.set_value("steps", 5)
            del widget
            collect(where)
            handle_events()
        assert shown == [3] * 10 or len(shown) > 10, shown
        """,
        where=where,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("where", ["worker", "gui"])
@pytest.mark.parametrize("end", ["forget", "delete"])
def test_requests_destroyed_while_they_are_answered_tell_nobody_and_leave_no_thread(end, where):
    done = run_case(
        """
        import sys
        sys.setswitchinterval(1e-5)
        heard = []

        class Window(QWidget):
            def __init__(self):
                super().__init__()
                self.live = LiveRequests(self)
                self.live.ready.connect(self.take)

            def take(self, result):
                heard.append(result)

        for i in range(40):
            window = Window()
            window.itself = window
            go = threading.Event()
            window.live.submit(lambda should_stop: go.wait(10) and "answer")
            go.set()
            if i % 3 == 0:
                until(lambda: heard)
                heard.clear()
            if end == "delete":
                window.deleteLater()
            del window
            handle_events()
            collect(where)
            handle_events()
            heard.clear()
        until(lambda: threading.active_count() == 1)
        """,
        end=end,
        where=where,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("end", "where"), [("remove", "worker"), ("delete", "gui")])
def test_a_widget_taken_out_of_napari_ends_its_threads_and_closes_its_project(end, where, tmp_path):
    """napari lets Python forget a widget whose dock is removed, and Qt destroy it with its dock."""
    done = run_case(
        """
        import napari
        from napari_medssl.widgets.separation import SeparationWidget

        viewer = napari.Viewer(show=False)
        threads = set(threading.enumerate())
        projects = []
        for _ in range(3):
            widget = SeparationWidget(viewer, drafts=Path(folder))
            projects.append(widget.session.project)
            dock = viewer.window.add_dock_widget(widget)
            handle_events()
            if end == "delete":
                widget.deleteLater()
            else:
                viewer.window.remove_dock_widget(dock)
            del widget, dock
            handle_events()
            collect(where)
            handle_events()
        until(lambda: set(threading.enumerate()) <= threads)
        assert all(project.is_closed for project in projects)
        """,
        end=end,
        where=where,
        folder=str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
