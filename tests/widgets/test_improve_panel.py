"""The group "Improve from my corrections", with made-up training."""

from __future__ import annotations

import threading

import pytest
from psygnal import Signal
from qtpy.QtWidgets import QAbstractButton, QLabel, QTableWidget
from separation_world import wait_until

from napari_medssl._errors import UserError
from napari_medssl.backend.improve_check import Comparison, ImproveReport
from napari_medssl.backend.jobs import Cancelled, Progress
from napari_medssl.io.boxes import Box
from napari_medssl.state.project import Project
from napari_medssl.state.queue import ReviewState
from napari_medssl.widgets.separation.improve_panel import ImprovePanel

pytestmark = pytest.mark.gui


class PlainSession:
    """As much of the widget's session as the panel sees."""

    project_changed = Signal()
    figures_changed = Signal()
    figure_changed = Signal(str)

    def __init__(self, project: Project) -> None:
        self.use(project)

    def use(self, project: Project, *, is_copy: bool = False) -> None:
        self.project = project
        if not is_copy:
            self.lineage = object()
        self.project_changed.emit()


def report(**changes) -> ImproveReport:
    values = {
        "model": "mine",
        "path": "mine.safetensors",
        "start": "shipped",
        "used": ("a.png",),
        "skipped": (("b.png", "the image is gone"),),
        "held_out": (("a.png",), ("c.png",)),
        "at_hand": Comparison("your figures", 4, 16, 0.5, 0.75, 0.25, 0.5),
        "simulated": Comparison("simulated figures", 24, 90, 0.9, 0.895, 0.8, 0.8),
        "figures": (),
        "is_better": True,
        "advice": "Better on figures that it had not seen: use 'mine'.",
        "score": 0.3,
    }
    return ImproveReport(**{**values, **changes})


@pytest.fixture
def make(qtbot, tmp_path):
    projects = []

    def make_panel(work, accepted: int = 1) -> ImprovePanel:
        project = Project.create(tmp_path / f"p{len(projects)}.medssl")
        projects.append(project)
        for key in project.add_images([(tmp_path / f"{k}.png", None) for k in range(2)]):
            project.store(key, (100, 100)).add(Box(0, 0, 50, 50))
        for key in project.keys()[:accepted]:
            project.set_state(key, ReviewState.DONE)
        panel = ImprovePanel(PlainSession(project), work=work)
        qtbot.addWidget(panel)
        panel.show()
        return panel

    yield make_panel
    for project in projects:
        project.close()


def finish(qtbot, panel: ImprovePanel) -> None:
    qtbot.waitUntil(lambda: not panel.jobs.is_busy)


def test_before_and_after_are_shown_and_the_model_is_used_and_reverted(qtbot, make):
    asked, heard = [], []

    def work(config, *, on_progress, should_stop):
        asked.append(config)
        on_progress(Progress(1, 2, "training"))
        return report()

    panel = make(work)
    panel.model_changed.connect(heard.append)
    assert "1 accepted figure · model: simcfs-figures" in panel.about.text()
    assert not panel.use_button.isEnabled()
    assert not panel.revert_button.isEnabled()
    panel.improve_button.click()
    assert not panel.improve_button.isEnabled()
    finish(qtbot, panel)
    project = panel._session.project
    assert asked[0].project == project.folder
    texts = [[panel.table.item(r, c).text() for c in range(3)] for r in range(2)]
    assert texts == [
        ["4 of yours, held out", "0.500", "0.750"],
        ["24 simulated", "0.900", "0.895"],
    ]
    assert "use 'mine'" in panel.advice.text()
    assert "b.png: not used, the image is gone" in panel.advice.toolTip()
    panel.use_button.click()
    assert project.model == "mine"
    assert "model: mine" in panel.about.text()
    assert not panel.use_button.isEnabled()
    panel.revert_button.click()
    assert project.model == ""
    assert panel.use_button.isEnabled()
    assert not panel.revert_button.isEnabled()
    assert heard == ["mine", ""]


def test_training_can_be_cancelled(qtbot, make):
    started = threading.Event()

    def work(config, *, on_progress, should_stop):
        started.set()
        while not should_stop():
            threading.Event().wait(0.01)
        raise Cancelled

    panel = make(work)
    panel.improve_button.click()
    qtbot.waitUntil(started.is_set)
    panel.jobs.cancel()
    finish(qtbot, panel)
    assert panel.improve_button.isEnabled()
    assert not panel.table.isVisible()


def test_an_error_is_shown_as_a_line(qtbot, make):
    def work(config, *, on_progress, should_stop):
        raise UserError("No model is named 'gone'.")

    panel = make(work)
    panel.improve_button.click()
    finish(qtbot, panel)
    assert any("'gone'" in label.text() for label in panel.jobs.findChildren(QLabel))
    assert panel.improve_button.isEnabled()


def test_nothing_can_be_learnt_without_an_accepted_figure(make):
    panel = make(lambda *_, **__: report(), accepted=0)
    assert not panel.improve_button.isEnabled()
    session = panel._session
    session.project.set_state(session.project.keys()[0], ReviewState.DONE)
    session.figure_changed.emit(session.project.keys()[0])
    assert panel.improve_button.isEnabled()


def test_another_project_brings_its_own_model(qtbot, make):
    panel = make(lambda *_, **__: report())
    other = make(lambda *_, **__: report())._session.project
    other.use_model("theirs")
    heard = []
    panel.model_changed.connect(heard.append)
    panel.improve_button.click()
    finish(qtbot, panel)
    panel._session.use(other)
    assert heard == ["theirs"]
    assert not panel.table.isVisible()
    assert panel.revert_button.isEnabled()


def test_saving_under_another_name_keeps_the_training_and_what_came_of_it(qtbot, make, tmp_path):
    started, go_on = threading.Event(), threading.Event()

    def work(config, *, on_progress, should_stop):
        started.set()
        go_on.wait(20)
        if should_stop():
            raise Cancelled
        return report()

    panel = make(work)
    panel.improve_button.click()
    qtbot.waitUntil(started.is_set)
    copy = panel._session.project.save_as(tmp_path / "copy.medssl")
    panel._session.use(copy, is_copy=True)
    go_on.set()
    finish(qtbot, panel)
    assert panel.use_button.isEnabled()
    other = panel._session.project.save_as(tmp_path / "copy again.medssl")
    panel._session.use(other, is_copy=True)
    panel.use_button.click()
    assert other.model == "mine"
    other.close()


def test_a_model_that_is_in_use_is_not_chosen_again(make):
    panel = make(lambda *_, **__: report())
    project = panel._session.project
    panel.choose("simcfs-figures")
    assert project.models == ()
    panel.choose("mine")
    panel.choose("mine")
    panel.choose("simcfs-figures")
    assert project.models == ("mine", "simcfs-figures")


def test_everything_says_what_it_is_for(make):
    panel = make(lambda *_, **__: report())
    controls = [*panel.findChildren(QAbstractButton), *panel.findChildren(QTableWidget)]
    named = [c for c in controls if c.parent() is not None and c.objectName() != "qt_"]
    for control in named:
        if isinstance(control, QAbstractButton) and not control.text():
            continue  # the corner button inside a table
        assert control.toolTip(), control


def test_the_detector_learns_in_the_window_and_the_project_remembers(world):
    panel, detector = world.widget.improve, world.widget.detector
    asked = []

    def work(config, *, on_progress, should_stop):
        asked.append(config.project)
        return report()

    panel._work = work
    assert not panel.improve_button.isEnabled()
    world.store.add(Box(0, 0, 190, 140), Box(210, 0, 400, 140))
    world.widget.accept()
    detector.expand(animate=False)
    world.settle(0.2)
    panel.improve_button.click()
    wait_until(lambda: not panel.jobs.is_busy)
    world.settle(0.2)
    project = world.session.project
    assert asked == [project.folder]
    assert panel.advice.isVisible()
    bottom = panel.revert_button.mapTo(world.widget, panel.revert_button.rect().bottomLeft())
    assert bottom.y() < world.widget.height()
    panel.use_button.click()
    assert project.model == detector.models.currentData() == "mine"
    panel.revert_button.click()
    assert (project.model, detector.models.currentData()) == ("", "simcfs-figures")
    detector.use_model("other")
    assert project.models == ("other",)
    world.session.use(world.widget.files.make_draft())
    project.close()
    assert detector.models.currentData() == "simcfs-figures"
    detector.collapse(animate=False)
