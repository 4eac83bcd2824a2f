"""A day's work in the widget: separate, decide, save, close, import, export."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QEventLoop, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QListView,
    QMessageBox,
    QSlider,
)
from separation_world import FixedSeparator, wait_until, write_figures

from napari_medssl._errors import UserError
from napari_medssl.io.annotations import read_boxes
from napari_medssl.io.boxes import Box
from napari_medssl.state.project import Project
from napari_medssl.state.queue import ReviewState
from napari_medssl.widgets._settings import Settings
from napari_medssl.widgets.separation import SeparationWidget
from napari_medssl.widgets.separation.separate_job import GivenFinder

pytestmark = pytest.mark.gui
CTRL = Qt.KeyboardModifier.ControlModifier


def use_separator(world, factory):
    world.widget._given = GivenFinder(factory)
    world.widget.detection.use(world.widget._given)


@pytest.fixture(autouse=True)
def _fixed(request):
    if "world" in request.fixturenames:
        use_separator(request.getfixturevalue("world"), FixedSeparator)


def current_name(world) -> str:
    return world.session.project.info(world.session.current).name


def test_separate_then_filter_then_accept(world):
    world.press(Qt.Key.Key_D)
    wait_until(lambda: len(world.store) == 5)
    world.settle()
    assert world.session.threshold == 0.4
    assert [world.store[k].label for k in world.session.shown_keys()] == ["a", "b", "c", "d"]
    world.assert_in_step()
    world.widget.score.slider.setValue(80)
    assert len(world.session.shown_keys()) == 2
    world.assert_in_step()
    first, store = world.session.current, world.store
    world.press(Qt.Key.Key_Return)
    wait_until(lambda: world.session.current != first)
    assert world.session.project.state(first) == ReviewState.DONE
    assert len(store) == 2
    assert store.undo() is not None
    assert len(store) == 5


def test_keys_decide_and_go_on(world):
    keys = world.session.project.keys()
    assert current_name(world) == "fig01.png"
    world.press(Qt.Key.Key_X)
    wait_until(lambda: current_name(world) == "fig02.png")
    world.press(Qt.Key.Key_U)
    wait_until(lambda: current_name(world) == "fig03.png")
    world.press(Qt.Key.Key_Return)
    wait_until(lambda: current_name(world) == "fig02.png")  # only the unsure one is left
    states = [world.session.project.state(key).value for key in keys]
    assert states == ["rejected", "unsure", "done"]
    wait_until(lambda: "2 of 3 checked" in world.widget.figures.progress.text())


def test_grid_is_typed_and_undone(world):
    QTest.keyClicks(world.widget.edits.grid, "4x3")
    QTest.keyClick(world.widget.edits.grid, Qt.Key.Key_Return)
    world.settle()
    assert len(world.store) == 12
    assert world.store.boxes()[-1].label == "l"
    world.settle(0.5)
    assert current_name(world) == "fig01.png"  # Enter in the field does not accept the figure
    world.assert_in_step()
    world.press(Qt.Key.Key_Z, CTRL)
    assert len(world.store) == 0


def test_undo_says_what_it_took_back(world):
    world.store.add(Box(0, 0, 50, 50), name="draw")
    world.widget.edits.undo.click()
    assert world.viewer.status == "Undone in this figure: draw"
    world.widget.edits.redo.click()
    assert world.viewer.status == "Done again: draw"


def test_keys_work_in_the_lists_too(world):
    (key,) = world.store.add(Box(0, 0, 190, 140))
    world.settle(0.2)
    world.widget.table.selectRow(0)
    QTest.keyClick(world.widget.table, Qt.Key.Key_Delete)
    assert key not in world.store
    QTest.keyClick(world.widget.table, Qt.Key.Key_Z, CTRL)
    assert key in world.store
    QTest.keyClick(world.widget.figures.view, Qt.Key.Key_X)
    wait_until(lambda: current_name(world) == "fig02.png")


def test_wrong_grid_shows_a_line_and_changes_nothing(world):
    world.widget.edits.grid.setText("four")
    QTest.keyClick(world.widget.edits.grid, Qt.Key.Key_Return)
    assert "Type for example 4x3" in world.widget.error.text()
    assert len(world.store.history) == 0
    world.widget.edits.grid.clear()


def test_letter_is_edited_in_the_table(world):
    world.store.add(Box(210, 0, 400, 140), Box(0, 0, 190, 140))
    world.settle(0.2)
    world.widget.table.item(0, 0).setText("A1")  # first in reading order
    assert world.store[2].label == "A1"
    world.press(Qt.Key.Key_Z, CTRL)
    world.settle(0.2)
    assert world.widget.table.item(0, 0).text() == ""


def test_row_of_the_table_selects_the_box_and_back(world):
    first, second = world.store.add(Box(0, 0, 190, 140), Box(210, 0, 400, 140))
    world.settle(0.2)
    world.widget.table.selectRow(1)
    world.settle()
    assert world.session.selected_keys() == [second]
    assert len(world.layer.selected_data) == 1
    world.session.selection.replace([first])
    rows = {index.row() for index in world.widget.table.selectionModel().selectedRows()}
    assert rows == {0}


def test_separate_all_fills_figures_without_boxes_only(world):
    mine = world.store.add(Box(5, 5, 50, 50))
    world.widget.separate_all()
    assert not world.widget.separate_all_button.isEnabled()
    wait_until(lambda: not world.widget.jobs.is_busy)
    assert tuple(world.store) == mine
    counts = [len(world.session.project.boxes(key)) for key in world.session.project]
    assert counts == [1, 5, 5]
    assert world.widget.separate_all_button.isEnabled()


class Gate(FixedSeparator):
    """Finds panels as soon as it is let."""

    def __init__(self):
        self.started, self.go_on = threading.Event(), threading.Event()

    def separate(self, image, *, score=None):
        self.started.set()
        self.go_on.wait(20)
        return super().separate(image, score=score)


@pytest.fixture
def gate(world):
    gate = Gate()
    use_separator(world, lambda: gate)
    yield gate
    gate.go_on.set()


def test_separate_all_spares_what_a_person_did_meanwhile(world, gate):
    session = world.session
    first, second, third = session.project.keys()
    world.widget.separate_all()
    wait_until(gate.started.is_set)
    (mine,) = world.store.add(Box(5, 5, 50, 50))
    session.set_states([second], ReviewState.DONE)
    gate.go_on.set()
    wait_until(lambda: not world.widget.jobs.is_busy)
    assert [len(session.project.boxes(key)) for key in (first, second, third)] == [1, 0, 5]
    assert tuple(world.store) == (mine,)
    assert "2 that you changed meanwhile were left as they are" in world.widget.status.text()


def test_a_figure_accepted_before_its_panels_are_found_stays_as_it_was_seen(world, gate):
    session = world.session
    first = session.current
    world.press(Qt.Key.Key_D)
    wait_until(gate.started.is_set)
    world.press(Qt.Key.Key_Return)
    gate.go_on.set()
    wait_until(lambda: session.current != first)
    world.settle(0.3)
    assert session.project.state(first) == ReviewState.DONE
    assert session.project.boxes(first) == ()


def test_panels_found_for_a_project_that_was_left_do_not_come_into_the_next(world, gate, tmp_path):
    session, former = world.session, world.session.project
    world.press(Qt.Key.Key_D)
    wait_until(gate.started.is_set)
    with session.store.edit("drag"):  # held back while the mouse is down ...
        gate.go_on.set()
        world.settle(0.4)
        assert len(session.store) == 0
    session.use(world.widget.files.make_draft())  # ... and that ends in another project
    former.close()
    world.open(*write_figures(tmp_path / "others", 2))
    world.settle(0.4)
    assert [len(session.project.boxes(key)) for key in session.project] == [0, 0]


def test_save_as_keeps_what_was_asked_for_and_the_score_chosen(world, gate, tmp_path):
    session = world.session
    gate.go_on.set()
    world.press(Qt.Key.Key_D)
    wait_until(lambda: len(world.store))
    session.set_threshold(0.8)
    gate.go_on.clear()
    gate.started.clear()
    world.press(Qt.Key.Key_D)
    wait_until(gate.started.is_set)
    assert world.widget.files.save_as(tmp_path / "job")
    gate.go_on.set()
    wait_until(lambda: "panels found" in world.widget.status.text())
    assert session.threshold == 0.8
    assert session.project.folder.stem == "job"


def test_separating_more_while_figures_are_separated_is_refused(world, gate):
    world.widget.separate_all()
    wait_until(gate.started.is_set)
    world.widget.detection.separate_many(world.session.project.keys())
    assert "being separated already" in world.widget.error.text()


def test_closing_while_figures_are_separated_takes_no_more(qtbot, tmp_path):
    gate, viewer = Gate(), ViewerModel()
    widget = SeparationWidget(viewer, lambda: gate, tmp_path / "drafts")
    qtbot.addWidget(widget)
    project = widget.session.project
    project.add_images([(path, None) for path in write_figures(tmp_path / "figures", 3)])
    widget.separate_all()
    qtbot.waitUntil(gate.started.is_set)
    widget.detection.close()  # as in `shut_down`, where the window is drawn while files are written
    gate.go_on.set()
    qtbot.waitUntil(lambda: not widget.jobs.is_busy)
    assert [len(project.boxes(key)) for key in project] == [0, 0, 0]
    widget.shut_down()


def test_cancel_stops_within_one_figure(world):
    started, go_on = threading.Event(), threading.Event()

    class Slow(FixedSeparator):
        def separate(self, image, *, score=None):
            started.set()
            go_on.wait(20)
            return super().separate(image, score=score)

    use_separator(world, Slow)
    world.widget.separate_all()
    wait_until(started.is_set)
    world.widget.jobs.cancel()
    go_on.set()
    wait_until(lambda: not world.widget.jobs.is_busy)
    world.settle()
    counts = [len(world.session.project.boxes(key)) for key in world.session.project]
    assert counts == [5, 0, 0]


def test_model_is_loaded_off_the_gui_thread(world):
    threads = []

    def slow_factory():
        threads.append(threading.current_thread())
        time.sleep(0.4)
        return FixedSeparator()

    use_separator(world, slow_factory)
    start = time.monotonic()
    world.widget.detection.separate_current()
    assert time.monotonic() - start < 0.3
    wait_until(lambda: len(world.store) == 5)
    assert threads[0] is not threading.main_thread()


def test_missing_model_is_told_in_the_error_line(world):
    def factory():
        raise UserError("No model 'simcfs-figures'. Train one.")

    use_separator(world, factory)
    world.widget.detection.separate_current()
    wait_until(lambda: "No model" in world.widget.error.text())
    world.widget.separate_all()
    wait_until(lambda: not world.widget.jobs.is_busy)


def test_result_for_a_figure_left_behind_goes_to_that_figure(world):
    first = world.session.current
    go_on = threading.Event()

    class Slow(FixedSeparator):
        def separate(self, image, *, score=None):
            go_on.wait(20)
            return super().separate(image, score=score)

    use_separator(world, Slow)
    world.widget.detection.separate_current()
    world.widget.step(1)
    wait_until(lambda: world.session.current != first)
    go_on.set()
    wait_until(lambda: len(world.session.project.boxes(first)) == 5)
    assert len(world.store) == 0


def test_broken_file_gives_a_line_and_the_rest_is_there(world, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    world.widget.files.add_paths([tmp_path])
    wait_until(lambda: "broken.png" in world.widget.error.text())


def test_file_that_cannot_be_read_comes_in_front_and_can_be_rejected(world):
    project = world.session.project
    broken = project.keys()[1]
    project.path(broken).write_bytes(b"\x89PNG not at all")
    former = world.session.current
    world.widget.open_figure(broken)
    wait_until(lambda: world.session.current == broken)
    world.settle()
    assert "X rejects this figure" in world.widget.error.text()
    assert not world.widget.display.layer.visible
    assert world.drawn() == []
    world.layer.mode = "add_rectangle"
    world.drag((20, 20), (90, 90))
    assert world.drawn() == []
    world.press(Qt.Key.Key_L)
    assert "nothing to edit" in world.widget.error.text()
    world.press(Qt.Key.Key_Return)
    assert project.state(broken) == ReviewState.TO_DO
    assert "cannot be read" in world.widget.error.text()
    world.press(Qt.Key.Key_X)
    wait_until(lambda: world.session.current not in (None, broken))
    assert project.state(broken) == ReviewState.REJECTED
    assert project.state(former) == ReviewState.TO_DO
    assert world.widget.display.layer.visible


def test_next_goes_past_a_file_that_is_gone_and_takes_it_when_it_is_back(world):
    project = world.session.project
    gone = project.keys()[1]
    path = project.path(gone)
    content = path.read_bytes()
    path.unlink()
    seen = set()
    for _ in range(3):
        former = world.session.current
        world.press(Qt.Key.Key_N)
        wait_until(lambda former=former: world.session.current != former)
        seen.add(world.session.current)
    assert seen == set(project.keys())
    world.widget.open_figure(gone)
    wait_until(lambda: world.session.current == gone)
    path.write_bytes(content)
    world.press(Qt.Key.Key_D)
    wait_until(lambda: project.boxes(gone))
    assert world.widget.display.layer.visible


def test_decision_while_the_next_figure_is_read_spares_the_one_before(world, monkeypatch):
    from napari_medssl.widgets.separation import display

    gate = threading.Event()
    read = display.read_for_display

    def slow(*args, should_stop):
        gate.wait(10)
        return read(*args, should_stop=should_stop)

    monkeypatch.setattr(display, "read_for_display", slow)
    first = world.session.current
    world.press(Qt.Key.Key_Return)
    world.press(Qt.Key.Key_X)
    assert world.session.project.state(first) == ReviewState.DONE
    gate.set()
    wait_until(lambda: world.session.current != first)


def test_keys_work_if_the_first_figure_cannot_be_read(world, tmp_path):
    for layer in (world.layer, world.widget.display.layer):
        layer.locked = False
        world.viewer.layers.remove(layer)
    world.widget.display.layer = None
    project = world.session.project
    broken = project.keys()[1]
    project.path(broken).write_bytes(b"nothing")
    world.widget.open_figure(broken)
    wait_until(lambda: world.session.current == broken)
    world.settle()
    world.press(Qt.Key.Key_X)
    wait_until(lambda: world.session.current not in (None, broken))
    assert project.state(broken) == ReviewState.REJECTED


def test_new_project_shows_an_empty_canvas(world):
    world.widget.files.start_new()
    world.settle()
    assert not world.widget.display.layer.visible
    world.drag((20, 20), (90, 90))
    assert world.drawn() == []


def test_keys_work_while_the_picture_is_the_selected_layer(world):
    first = world.session.current
    world.viewer.layers.selection.active = world.widget.display.layer
    world.press(Qt.Key.Key_Return)
    wait_until(lambda: world.session.current != first)
    assert world.session.project.state(first) == ReviewState.DONE


def test_folder_is_opened_with_those_inside(world, tmp_path, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / "deep").mkdir(exist_ok=True)
        write_figures(tmp_path / "deep" / name, 1)
    chosen = lambda *_: str(tmp_path / "deep")  # noqa: E731
    monkeypatch.setattr("qtpy.QtWidgets.QFileDialog.getExistingDirectory", chosen)
    titles = {entry.text(): entry for entry in world.widget.open_menu.actions()}
    titles["Folder ..."].trigger()
    wait_until(lambda: "No figures found" in world.widget.error.text())
    titles["Folder and those inside ..."].trigger()
    wait_until(lambda: len(world.session.project) == 5)


def test_save_as_then_open_keeps_boxes_and_undo(world, tmp_path):
    world.store.add(Box(0, 0, 50, 50))
    world.store.move([1], 9, 9)
    assert world.widget.files.save_as(tmp_path / "job")
    wait_until(lambda: world.session.current is not None)
    assert world.widget.title.text() == "<b>job</b>"
    world.settle(0.2)
    world.press(Qt.Key.Key_Z, CTRL)
    assert world.store.boxes() == (Box(0, 0, 50, 50),)
    world.assert_in_step()
    other = world.widget.files.make_draft()
    world.widget.files.open_project(other.folder)
    wait_until(lambda: "open in another window" in world.widget.error.text())
    other.close()


def test_results_that_come_in_during_and_after_save_as_are_kept(world, tmp_path):
    class SlowSeparator(FixedSeparator):
        def separate(self, image, *, score=None):
            time.sleep(0.05)
            return super().separate(image, score=score)

    files = world.widget.files
    use_separator(world, SlowSeparator)
    world.open(*write_figures(tmp_path / "more", 12))
    count = len(world.session.project)
    world.widget.separate_all()
    wait_until(lambda: any(world.session.project.boxes(key) for key in world.session.project))
    saved = []
    loop = QEventLoop()  # as a click would come: only then does it go on while it is written
    QTimer.singleShot(0, lambda: (saved.append(files.save_as(tmp_path / "job")), loop.quit()))
    loop.exec()
    assert saved == [True]
    wait_until(lambda: not world.widget.jobs.is_busy)
    project = world.session.project
    assert project.folder == tmp_path / "job.medssl"
    assert len(project) == count
    assert all(project.boxes(key) for key in project)


def test_a_place_that_is_taken_is_told_and_the_project_stays(world, tmp_path):
    former = world.session.project
    (tmp_path / "job.medssl").mkdir()
    assert not world.widget.files.save_as(tmp_path / "job")
    assert "exists already" in world.widget.error.text()
    assert world.session.project is former
    assert not former.is_closed


def test_closing_with_unsaved_work_asks(world, monkeypatch):
    asked = []

    def answer(*args):
        asked.append(args[2])
        return QMessageBox.StandardButton.Cancel

    monkeypatch.setattr(QMessageBox, "question", answer)
    assert world.widget.files.may_leave()
    assert asked == []
    world.store.add(Box(0, 0, 50, 50))
    assert not world.widget.window().close()
    assert len(asked) == 1
    assert "Save it under a name" in asked[0]
    assert world.widget.isVisible()
    assert not world.session.project.is_closed


def test_disk_that_refuses_is_told_and_asked_about(world, monkeypatch):
    monkeypatch.setattr(type(world.session.project), "save_error", "No space left on device")
    world.widget._show_saved()
    assert "No space left on device" in world.widget.error.text()
    monkeypatch.setattr(QMessageBox, "question", lambda *args: QMessageBox.StandardButton.No)
    assert not world.widget.files.may_leave()


def test_coco_goes_out_and_comes_back(world, tmp_path):
    world.store.add(Box(1, 2, 50, 60, 0.75, "a"), Box(70, 2, 150, 60, None, "b"))
    before = world.store.boxes()
    target = tmp_path / "figures" / "panels.coco.json"
    world.widget.files.exchange.export("coco", list(ReviewState), target)
    wait_until(lambda: target.exists())
    (image,) = read_boxes(target).images
    assert image.boxes == before
    world.store.remove(list(world.store))
    world.widget.files.exchange.import_boxes(target)
    wait_until(lambda: len(world.store) == 2)
    assert world.store.boxes() == before
    world.assert_in_step()


def test_nothing_to_export_is_told(world, tmp_path):
    world.widget.files.exchange.export("voc", [ReviewState.DONE], tmp_path / "voc")
    wait_until(lambda: "Accept some figures first" in world.widget.error.text())


def test_crops_of_accepted_figures_are_written(world, tmp_path):
    world.store.add(Box(6, 6, 190, 140, None, "a"))
    world.session.set_state(ReviewState.DONE)
    world.widget.files.exchange.export("crops", [ReviewState.DONE], tmp_path / "crops")
    wait_until(lambda: "1 panels written" in world.widget.status.text())
    assert len(list((tmp_path / "crops").glob("*.png"))) == 1


def test_crops_of_figures_of_one_name_do_not_write_over_each_other(world, tmp_path):
    others = write_figures(tmp_path / "others", 1)
    world.open(*others)
    project = world.session.project
    for key in project:
        project.store(key, (400, 300)).add(Box(0, 0, 50, 50))
    world.widget.files.exchange.export("crops", list(ReviewState), tmp_path / "crops")
    wait_until(lambda: not world.widget.files.exchange.jobs.is_busy)
    assert len(list((tmp_path / "crops").iterdir())) == len(project) == 4


def test_project_made_by_the_command_line_shows_all_that_was_found(world, tmp_path):
    job = tmp_path / "job.medssl"
    with Project.create(job) as project:
        (key,) = project.add_images([(world.session.project.path("000001"), None)])
        project.store(key, (400, 300)).add(Box(0, 0, 50, 50, score=0.42))
    world.session.set_threshold(0.9)
    world.widget.files.open_project(job)
    wait_until(lambda: world.session.current == key and world.session.project.folder == job)
    assert len(world.session.shown_keys()) == 1


def test_layer_of_napari_becomes_a_figure(world):
    layer = world.viewer.add_image(np.arange(1200, dtype=np.uint16).reshape(30, 40), name="scan 1")
    world.viewer.layers.selection = {layer}
    world.widget.files.add_layer()
    wait_until(lambda: current_name(world) == "scan 1.png")
    assert (world.store.width, world.store.height) == (40, 30)
    world.viewer.layers.remove(layer)


def test_search_and_state_filter_narrow_the_list(world):
    figures = world.widget.figures
    figures.search.setText("02")
    assert figures.filter.rowCount() == 1
    figures.search.clear()
    world.widget.unsure()
    figures.states.setCurrentIndex(figures.states.findData(ReviewState.UNSURE))
    assert figures.filter.rowCount() == 1
    figures.states.setCurrentIndex(0)
    wait_until(lambda: figures.filter.index(2, 0).data() == "fig01.png")  # the others come first
    figures.order.setCurrentIndex(1)
    assert figures.filter.index(0, 0).data() == "fig01.png"
    figures.order.setCurrentIndex(0)


def test_figures_of_one_name_show_their_folders(world, tmp_path):
    for folder in ("run1", "run2"):
        write_figures(tmp_path / folder, 1)
    world.widget.files.add_paths([tmp_path / "run1" / "fig01.png", tmp_path / "run2" / "fig01.png"])
    wait_until(lambda: len(world.session.project) == 5)
    model = world.widget.figures.model
    names = {model.index(row).data() for row in range(model.rowCount())}
    assert {"fig01.png · figures", "fig01.png · run1", "fig01.png · run2", "fig02.png"} <= names
    world.widget.figures.search.setText("run2")
    world.settle()
    assert world.widget.figures.filter.rowCount() == 1
    world.widget.figures.search.clear()


def test_closing_deletes_a_draft_in_which_nothing_was_done(qtbot, tmp_path):
    viewer = ViewerModel()
    widget = SeparationWidget(viewer, FixedSeparator, tmp_path)
    qtbot.addWidget(widget)
    draft = widget.session.project.folder
    assert draft.is_dir()
    widget.shut_down()
    assert not draft.exists()


def test_every_control_has_a_tooltip(world):
    world.widget.detector.expand(animate=False)
    world.settle()
    kinds = (QAbstractButton, QComboBox, QLineEdit, QSlider, QAbstractSpinBox, QListView)
    for kind in kinds:
        for control in world.widget.findChildren(kind):
            is_inner = not control.isVisible() or control.objectName().startswith("qt_")
            is_part = (
                isinstance(control.parent(), QComboBox) or "Spin" in type(control.parent()).__name__
            )
            assert control.toolTip() or is_inner or is_part, control


def test_every_entry_of_a_menu_has_a_tooltip(world):
    menus = [world.widget.open_menu, world.widget.project_menu]
    menus.append(world.widget.menu.make(list(world.session.project.keys())))
    seen = 0
    while menus:
        for entry in menus.pop().actions():
            if entry.menu() is not None:
                menus.append(entry.menu())
            elif not entry.isSeparator():
                assert entry.toolTip() not in ("", entry.text().replace(" ...", "")), entry.text()
                seen += 1
    assert seen > 20


def test_separate_takes_the_selected_layer_if_no_figure_is_open(world):
    world.session.use(world.widget.files.make_draft())
    image = np.full((60, 80, 3), 255, np.uint8)
    layer = world.viewer.add_image(image, rgb=True, name="scan")
    world.viewer.layers.selection = {layer}
    assert world.widget.separate_button.isEnabled()
    QTest.mouseClick(world.widget.separate_button, Qt.MouseButton.LeftButton)
    wait_until(lambda: world.store is not None and len(world.store) == 5)
    assert not layer.visible
    world.viewer.layers.remove(layer)


def entry_of(menu, text):
    return next(entry for entry in menu.actions() if entry.text().startswith(text))


def test_menu_of_the_list_sets_states_separates_and_removes(world, monkeypatch):
    keys = world.session.project.keys()
    menu = world.widget.menu.make([keys[1], keys[2]])
    entry_of(menu, "Mark as done").trigger()
    entry_of(menu, "Mark as to do").trigger()
    assert world.session.project.state(keys[1]) == ReviewState.TO_DO
    entry_of(menu, "Separate 2 figures").trigger()
    wait_until(lambda: not world.widget.jobs.is_busy)
    assert [len(world.session.project.boxes(key)) for key in keys] == [0, 5, 5]
    monkeypatch.setattr(QMessageBox, "question", lambda *args: QMessageBox.StandardButton.No)
    entry_of(menu, "Take 2 figures").trigger()
    assert len(world.session.project) == 3
    monkeypatch.setattr(QMessageBox, "question", lambda *args: QMessageBox.StandardButton.Yes)
    entry_of(menu, "Take 2 figures").trigger()
    assert world.session.project.keys() == keys[:1]
    assert world.widget.figures.filter.rowCount() == 1


def test_box_is_split_along_its_widest_gutter(world):
    world.store.add(Box(0, 0, 400, 140))
    world.session.selection.replace([1])
    world.press(Qt.Key.Key_S)
    assert world.stored() == [(0, 0, 190, 140), (210, 0, 400, 140)]
    world.assert_in_step()


def test_settings_reach_the_widget(world, tmp_path):
    world.widget._use_settings(Settings(autosave_s=0.5, cache_folder=str(tmp_path / "cache")))
    assert world.session.project._open_journal.delay_s == 0.5
    key = world.session.current
    world.widget.thumbnails.clear()
    world.widget.thumbnails.get(key)
    wait_until(lambda: world.widget.thumbnails.get(key) is not None)
    assert list((tmp_path / "cache").rglob("*/*"))  # the next start need not read the figure
    world.widget._use_settings(Settings(has_thumbnails=False))
    assert world.widget.thumbnails.get(key) is None
    world.widget._use_settings(Settings())


def test_model_is_chosen_by_file(world, tmp_path):
    detector = world.widget.detector
    detector.list_models()
    assert detector.models.itemData(0) == "simcfs-figures"
    detector.use_model(str(tmp_path / "mine.safetensors"))
    assert detector.models.currentText() == "mine.safetensors"
    world.widget.detection.separate_current()
    wait_until(lambda: "mine.safetensors" in world.widget.error.text(), 60)  # torch is imported
    assert world.session.project.model == str(tmp_path / "mine.safetensors")
    world.widget.improve.revert_button.click()  # folded away: the mouse does not reach it
    assert detector.models.currentText() == "simcfs-figures"
    detector.use_model("simcfs-figures")
    world.widget._use_model("simcfs-figures")
    world.widget.detection.separate_current()
    wait_until(lambda: "found" in world.widget.status.text(), 60)


def test_gui_thread_is_not_held_by_a_thousand_figures(world):
    project = world.session.project
    folder = project.folder
    project.add_images(
        [(folder / f"none{n}.png", None) for n in range(1000)],
        {folder / f"none{n}.png": "x" for n in range(1000)},
    )
    world.settle(0.5)
    longest = []
    for key in list(project.keys())[3:8]:
        began = time.monotonic()
        project.store(key, (400, 300)).add(Box(1, 1, 50, 50, 0.5))
        world.widget.figures.model.reorder()
        world.widget.figures.count_anew()
        longest.append(time.monotonic() - began)
    assert sorted(longest)[2] < 0.05
    began = time.monotonic()
    world.widget.score.slider.setValue(37)
    assert time.monotonic() - began < 0.1
    world.settle(0.3)


def test_widget_fits_a_small_screen(world):
    assert world.widget.minimumSizeHint().height() <= 640
    assert world.widget.minimumSizeHint().width() <= 420


def test_cheat_sheet_names_every_key(world):
    text = world.widget.keys.as_html()
    for word in ("Accept", "Reject", "Undo", "Merge", "Push the left edge out", "4x3"):
        assert word in text
