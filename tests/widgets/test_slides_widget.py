"""The widget "Slides" in a real window: the list, opening, the map, and files that go away."""

from __future__ import annotations

import os

import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from slides_world import MPP, NO_KEYS, wait_until, write_slide

from napari_medssl.io.slides.tile_cache import shared_cache
from napari_medssl.state.slide_entry import CHANGED, MISSING
from napari_medssl.widgets.slides.library_model import (
    DETAIL_ROLE,
    PROBLEM_ROLE,
    PROBLEMS,
    SIZE_ROLE,
)

pytestmark = pytest.mark.gui


def test_a_double_click_opens_one_layer_in_microns(slides):
    slides.double_click_row(0)
    wait_until(lambda: slides.session.current == slides.keys[0])
    (layer,) = slides.viewer.layers
    assert layer.multiscale
    assert layer.rgb
    assert tuple(layer.scale) == (MPP, MPP)
    assert [str(unit) for unit in layer.units] == ["micrometer", "micrometer"]
    assert layer.name == "slide0.svs"
    assert slides.viewer.canvas.overlays.scale_bar.visible
    assert slides.widget.error.isHidden()


def test_enter_opens_another_slide_in_its_place(slides):
    slides.show(0)
    view = slides.widget.list.view
    view.setFocus()
    QTest.keyClick(view, Qt.Key.Key_Down)
    QTest.keyClick(view, Qt.Key.Key_Return)
    wait_until(lambda: slides.session.current == slides.keys[1])
    assert [layer.name for layer in slides.viewer.layers] == ["slide1.svs"]


def test_a_slide_that_comes_in_front_is_the_one_marked_though_ctrl_is_held(slides):
    rows, control = slides.widget.list, Qt.KeyboardModifier.ControlModifier
    rows.mark(slides.keys[0])
    QTest.keyPress(slides.canvas, Qt.Key.Key_Z, control)
    try:
        rows.mark(slides.keys[1])
        assert rows.selected_keys() == [slides.keys[1]]
    finally:
        QTest.keyRelease(slides.canvas, Qt.Key.Key_Z)


def test_rows_say_what_is_known(slides):
    index = slides.widget.list.model.index(0)
    assert index.data() == "slide0.svs"
    assert index.data(DETAIL_ROLE) == "0.5 µm/px · 2000×1500"
    assert index.data(SIZE_ROLE).endswith(" kB")
    wait_until(lambda: index.data(Qt.ItemDataRole.DecorationRole) is not None)
    assert slides.widget.list.count.text() == "2 slides"


def test_a_bad_file_is_told_and_the_slide_in_front_stays(slides, tmp_path):
    slides.show(0)
    bad = tmp_path / "bad.svs"
    bad.write_bytes(b"II*\0" + bytes(200))
    (key,) = slides.widget.files.add_sources([str(bad)])
    slides.wait_looked()
    assert "Cannot open 'bad.svs' as a slide" in slides.session.entry(key).problem
    assert slides.widget.list.count.text() == "3 slides · 1 unreadable"
    row = slides.widget.list.model.index(2)
    assert row.data(PROBLEM_ROLE).startswith("The file is damaged")  # the row has the name
    slides.widget.open_slide(key)
    wait_until(lambda: "Cannot open 'bad.svs'" in slides.widget.error.text())
    assert slides.session.current == slides.keys[0]
    slides.widget.list.states.setCurrentIndex(slides.widget.list.states.findData(PROBLEMS))
    assert slides.widget.list.filter.rowCount() == 1
    slides.widget.list.states.setCurrentIndex(0)


def test_search_finds_names(slides):
    QTest.keyClicks(slides.widget.list.search, "slide1")
    assert slides.widget.list.filter.rowCount() == 1
    slides.widget.list.search.clear()
    assert slides.widget.list.filter.rowCount() == 2


def test_slides_of_one_name_show_their_folders(slides, tmp_path):
    model, view = slides.widget.list.model, slides.widget.list.view
    slides.widget.list.mark(slides.keys[1])
    for folder in ("Monday", "Tuesday"):
        (tmp_path / folder).mkdir()
        path = write_slide(tmp_path / folder / "biopsy.svs", 300, 300)
        slides.widget.files.add_sources([str(path)])
    names = [model.index(row).data() for row in range(model.rowCount())]
    assert names == ["slide0.svs", "slide1.svs", "biopsy.svs · Monday", "biopsy.svs · Tuesday"]
    assert slides.widget.list.selected_keys() == [slides.keys[1]]  # no row lost its mark
    QTest.keyClicks(slides.widget.list.search, "tuesday")
    assert slides.widget.list.filter.rowCount() == 1
    slides.widget.list.search.clear()
    slides.widget.files.remove([model.key_at(2)])
    assert model.index(2).data() == "biopsy.svs"
    assert [model.key_at(row) for row in range(3)] == list(slides.session.entries())
    assert view.model().rowCount() == 3
    slides.wait_looked()


def test_names_are_hidden_everywhere(slides, tmp_path):
    key = slides.show(0)
    slides.widget.mask_entry.trigger()
    alias = slides.session.entry(key).alias
    model = slides.widget.list.model
    shown = [model.index(0).data(role) for role in (Qt.ItemDataRole.DisplayRole,)]
    assert shown == [alias]
    assert "slide0" not in str(model.index(0).data(Qt.ItemDataRole.ToolTipRole))
    assert slides.layer.name == alias
    slides.slides[0].unlink()
    slides.widget.files.verify()
    slides.wait_looked()
    slides.widget.open_slide(key)
    wait_until(lambda: slides.widget.error.text())
    assert "slide0" not in slides.widget.error.text()
    slides.widget.mask_entry.trigger()
    assert model.index(0).data() == "slide0.svs"


def test_dropped_files_and_folders_come_in(slides, tmp_path):
    folder = tmp_path / "more"
    folder.mkdir()
    write_slide(folder / "a.svs", 300, 300)
    write_slide(folder / "b.svs", 300, 300, 1)
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(folder))])
    copy, left = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    enter = QDragEnterEvent(QPoint(5, 5), copy, mime, left, NO_KEYS)
    QApplication.sendEvent(slides.widget, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(slides.widget, QDropEvent(QPointF(5, 5), copy, mime, left, NO_KEYS))
    wait_until(lambda: len(slides.library.store) == 4)
    slides.wait_looked()
    assert slides.library.followed == (str(folder),)
    write_slide(folder / "c.svs", 300, 300, 2)
    slides.widget.files.refresh()
    wait_until(lambda: len(slides.library.store) == 5)
    slides.wait_looked()


def test_taking_off_the_list_leaves_the_file_and_can_be_undone(slides):
    menu = slides.widget.menu.make(list(slides.keys))
    next(a for a in menu.actions() if "off the list" in a.text()).trigger()
    assert len(slides.library.store) == 0
    wait_until(slides.widget.list.hint.isVisible)
    assert all(path.exists() for path in slides.slides)
    slides.widget.files.undo()
    assert len(slides.library.store) == 2


def test_verify_tells_of_a_change_and_takes_it_when_told_to(slides):
    write_slide(slides.slides[0], seed=7)
    slides.widget.files.verify()
    slides.wait_looked()
    key = slides.keys[0]
    assert slides.session.entry(key).problem == CHANGED
    assert slides.widget.error.text() == "Verified: 1 of 2 missing, damaged or changed."
    menu = slides.widget.menu.make([key])
    next(a for a in menu.actions() if a.text() == "Take as it is now").trigger()
    slides.wait_looked()
    assert slides.session.entry(key).problem == ""


def test_a_moved_slide_is_found_again(slides, tmp_path):
    moved = slides.slides[0].rename(tmp_path / "moved.svs")
    slides.widget.files.verify()
    slides.wait_looked()
    key = slides.keys[0]
    assert slides.session.entry(key).problem == MISSING
    slides.widget.relocation.relocate(key, str(slides.slides[1]))
    wait_until(lambda: "is another slide" in slides.widget.error.text())
    slides.widget.relocation.relocate(key, str(moved))
    wait_until(lambda: slides.session.entry(key).source == str(moved))
    assert slides.session.entry(key).problem == ""


# -- view ------------------------------------------------------------------------------------------


def test_go_to_moves_the_camera(slides):
    slides.show(0)
    for text, place in (("1200, 900", (1200, 900)), ("0.2 mm 0.3 mm", (400, 600))):
        slides.widget.view.go_to.setText(text)
        QTest.keyClick(slides.widget.view.go_to, Qt.Key.Key_Return)
        assert slides.middle() == pytest.approx(place)
        assert f"x {place[0]}, y {place[1]} px" in slides.widget.view.place.text()


def test_go_to_refuses_what_is_no_place(slides):
    slides.show(0)
    before = slides.middle()
    slides.widget.view.go_to.setText("over there")
    QTest.keyClick(slides.widget.view.go_to, Qt.Key.Key_Return)
    assert "'over there' is no place" in slides.widget.error.text()
    assert slides.middle() == before


def test_the_map_shows_and_moves_the_view(slides):
    slides.show(0)
    small = slides.widget.view.map
    wait_until(lambda: small.has_picture)
    slides.widget.view.show_full_size()
    slides.settle()
    at = small.point_of(500, 400)
    QTest.mouseClick(small, Qt.MouseButton.LeftButton, NO_KEYS, at.toPoint())
    slides.settle()
    x, y = slides.middle()
    reach = 2000 / small.area().width()  # level-0 pixels under a pixel of the map
    assert (x, y) == pytest.approx((500, 400), abs=reach)
    middle = small.frame().center()
    assert (middle.x(), middle.y()) == pytest.approx((at.x(), at.y()), abs=1.5)
    _, width = slides.viewer.canvas.size
    assert small.frame().width() == pytest.approx(width / reach, abs=2)


def test_the_async_question_comes_with_the_first_slide(slides, monkeypatch):
    from napari_medssl.widgets import _settings

    monkeypatch.setattr(_settings, "_groups", lambda: None)  # nobody was asked yet
    slides.show(0)
    offer = slides.widget.offer
    assert offer.isVisible()
    QTest.mouseClick(offer.decline_button, Qt.MouseButton.LeftButton)
    assert not offer.isVisible()


def test_async_slicing_shows_the_same_pixels(slides):
    from napari.settings import get_settings

    slides.widget.offer.accept()
    try:
        assert get_settings().experimental.async_
        slides.show(0)
        slides.widget.view.go_to.setText("1000, 700")
        slides.widget.view.go()
        wait_until(lambda: slides.layer.loaded)
        slides.settle(0.3)
        assert slides.viewer.screenshot(flash=False)[..., :3].std() > 5
    finally:
        get_settings().experimental.async_ = False


# -- files that go away ----------------------------------------------------------------------------


def test_a_file_that_is_removed_while_it_is_shown_is_told(slides):
    key = slides.show(0)
    slides.slides[0].unlink()
    slides.widget.display._glance()
    wait_until(lambda: MISSING in slides.widget.error.text())
    assert "stays on the screen" in slides.widget.error.text()
    assert not slides.session.entry(key).is_readable
    slides.widget.view.show_full_size()
    slides.settle(0.2)
    assert len(slides.viewer.layers) == 1


def test_a_file_that_is_cut_off_while_it_is_shown_is_told(slides):
    slides.show(0)
    os.truncate(slides.slides[0], 5000)
    shared_cache().forget(slides.widget.display.slide)
    slides.widget.view.show_full_size()
    for x in range(200, 2000, 400):
        slides.widget.view.go_to.setText(f"{x}, 700")
        slides.widget.view.go()
        slides.settle(0.1)
    wait_until(lambda: slides.widget.error.text())
    assert "slide0.svs" in slides.widget.error.text()
    assert len(slides.viewer.layers) == 1
    slides.show(1)
    assert slides.layer.name == "slide1.svs"


def test_removing_the_layer_forgets_the_slide(slides):
    slides.show(0)
    slides.viewer.layers.remove(slides.layer)
    assert slides.session.current is None
    assert slides.widget.display.slide is None
    assert slides.widget.view.map.frame().isEmpty()
    slides.show(0)
    assert len(slides.viewer.layers) == 1


def test_the_newest_of_two_requests_wins(slides):
    slides.widget.open_slide(slides.keys[0])
    slides.widget.open_slide(slides.keys[1])
    wait_until(lambda: slides.session.current == slides.keys[1])
    slides.settle(0.3)
    assert [layer.name for layer in slides.viewer.layers] == ["slide1.svs"]


def test_pixels_of_the_window_are_those_of_the_slide(slides):
    slides.show(0)
    slides.widget.view.show_full_size()
    slides.widget.view.go_to.setText("1000, 700")
    slides.widget.view.go()
    slides.settle(0.3)
    assert isinstance(slides.point(1000, 700), QPoint)
    shot = slides.viewer.screenshot(flash=False)[..., :3].astype(float)
    height, width = slides.viewer.canvas.size
    left, top = 1000 - width // 2, 700 - height // 2
    true = slides.widget.display.slide.read_pixels(0, (left, top), (width, height)).astype(float)
    inner = (slice(100, -100), slice(100, -100))
    assert shot.shape == true.shape
    errors = [
        np.abs(np.roll(shot, (dy, dx), (0, 1))[inner] - true[inner]).mean()
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
    ]
    assert min(errors) < 2.0


# -- commands --------------------------------------------------------------------------------------


def test_no_command_raises(slides, monkeypatch):
    """Each command of the palette does something or says why not."""
    from qtpy.QtWidgets import QColorDialog, QFileDialog, QInputDialog, QMessageBox

    from napari_medssl.widgets.slides.commands import COMMANDS

    for name in ("getOpenFileNames", "getOpenFileName", "getSaveFileName"):
        monkeypatch.setattr(QFileDialog, name, lambda *_, **__: ([], ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_, **__: "")
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("", False))
    monkeypatch.setattr(QColorDialog, "getColor", lambda *_: None)
    cancel = QMessageBox.StandardButton.Cancel
    monkeypatch.setattr(QMessageBox, "warning", lambda *_: cancel)
    for has_slide in (False, True):
        if has_slide:
            slides.show(0)
            wait_until(lambda: slides.widget.regions.session.store is not None)
        for command in COMMANDS.values():
            command.run(slides.widget)
            slides.settle(0.02)
    slides.widget.beside.close_all()
    slides.wait_looked()
    wait_until(lambda: not slides.widget.regions.tissue.jobs.is_busy)


def test_closing_the_dock_lets_go_of_the_library(slides, tmp_path):
    from napari_medssl.state.slide_library import SlideLibrary
    from napari_medssl.widgets.slides import SlidesWidget

    first = SlidesWidget(slides.viewer, tmp_path / "libraries")
    slides.viewer.window.add_dock_widget(first, name="Slides again", area="right")
    slides.settle()
    second = SlidesWidget(slides.viewer, tmp_path / "libraries")
    assert first.title.text() == "<b>My slides</b>"
    assert second.title.text() == "<b>My slides 2</b>"
    second.shut_down()
    folder = first.session.library.folder
    slides.viewer.window.remove_dock_widget(first)
    wait_until(lambda: first.session.library.is_closed)
    SlideLibrary.open(folder).close()


def test_folders_are_searched_one_after_the_other(slides, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_slide(tmp_path / name / f"{name}.svs", 300, 300, len(name))
        slides.widget.files.add_folder(tmp_path / name)
    wait_until(lambda: len(slides.library.store) == 4)
    slides.wait_looked()
    assert slides.widget.error.isHidden()
    assert all(entry.fingerprint for entry in slides.session.entries().values())
