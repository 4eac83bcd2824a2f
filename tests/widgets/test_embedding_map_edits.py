"""Edits that come one after the other or while something else goes on: none is mixed up."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest
from map_world import COUNT, make_source, wait_until
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLineEdit

from napari_medssl.widgets import _questions as questions
from napari_medssl.widgets.embedding_map import group_keeper, group_panel

pytestmark = pytest.mark.gui
CONTROL = Qt.KeyboardModifier.ControlModifier
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def table(embedding_map):
    """The legend, in sight."""
    embedding_map.widget.pages.setCurrentWidget(embedding_map.widget.groups)
    embedding_map.settle(0.1)
    return embedding_map.widget.groups.legend.table


def row_called(table, name):
    names = [table.item(row, 0).text() for row in range(table.rowCount())]
    return names.index(name)


def mark(table, *names):
    """Click groups in the legend, all but the first with Ctrl."""
    for number, name in enumerate(names):
        place = table.visualItemRect(table.item(row_called(table, name), 0)).center()
        keys = CONTROL if number else Qt.KeyboardModifier.NoModifier
        QTest.mouseClick(table.viewport(), LEFT, keys, place)


def choose(legend, title):
    """Choose an entry of the menu of the right button."""
    menu = legend.make_menu()
    (entry,) = (action for action in menu.actions() if action.text() == title)
    entry.trigger()
    menu.close()


def type_name(table, former, name):
    """Double-click a name and write another one; return the field while it is open."""
    item = table.item(row_called(table, former), 0)
    table.editItem(item)
    field = table.viewport().findChildren(QLineEdit)[-1]  # a former one may not be deleted yet
    field.setText(name)
    return field


def marked_names(embedding_map):
    legend = embedding_map.widget.groups.legend
    return [legend.groups[key].name for key in legend.chosen()]


def test_letters_and_digits_in_the_lists_are_those_of_napari(embedding_map, table):
    """After a click on a group or a picture: they neither search the rows nor write over a name."""
    layer = embedding_map.viewer.add_labels(np.zeros((9, 9), np.uint8))
    embedding_map.viewer.layers.selection.active = layer
    embedding_map.draw_around(0)
    names = [table.item(row, 0).text() for row in range(table.rowCount())]
    mark(table, names[0])
    view = embedding_map.widget.gallery.view
    wait_until(lambda: view.model().rowCount() > 0)
    for rows in (table, view):
        for key, mode in ((Qt.Key.Key_2, "paint"), (Qt.Key.Key_4, "fill")):
            QTest.keyClick(rows, key)
            assert layer.mode == mode
        QTest.keyClick(rows, Qt.Key.Key_N)
        assert not table.viewport().findChildren(QLineEdit)
    assert [table.item(row, 0).text() for row in range(table.rowCount())] == names
    assert marked_names(embedding_map) == [names[0]]
    layer.mode = "pan_zoom"


def test_space_ticks_a_group_and_f2_renames_it(embedding_map, table):
    mark(table, "cluster 1")
    groups = embedding_map.widget.groups.legend.groups
    key = groups.id_of("cluster 1")
    QTest.keyClick(table, Qt.Key.Key_Space)
    assert not groups[key].is_shown
    QTest.keyClick(table, Qt.Key.Key_Space)
    assert groups[key].is_shown
    QTest.keyClick(table, Qt.Key.Key_F2)
    (field,) = table.viewport().findChildren(QLineEdit)
    field.setText("blasts")
    QTest.keyClick(field, Qt.Key.Key_Return)
    wait_until(lambda: groups[key].name == "blasts")


def test_marks_stay_with_their_groups_when_others_go(embedding_map, table):
    legend, clusters = embedding_map.widget.groups.legend, embedding_map.session.clusters
    mark(table, "cluster 0", "cluster 1")
    choose(legend, "Merge")
    assert marked_names(embedding_map) == ["cluster 0"]
    choose(legend, "Delete")
    assert sorted(group.name for group in clusters.groups.values()) == ["cluster 2", "none"]
    assert marked_names(embedding_map) == []
    embedding_map.widget.undo()
    embedding_map.widget.undo()
    mark(table, "cluster 2")
    clusters.delete([clusters.id_of("cluster 0")])
    assert marked_names(embedding_map) == ["cluster 2"]
    embedding_map.session.color_by("folder")
    assert marked_names(embedding_map) == []
    embedding_map.session.color_by("cluster")
    assert marked_names(embedding_map) == ["cluster 2"]


def test_the_typical_pictures_are_those_of_the_group_as_it_is_now(embedding_map, table):
    strip, clusters = embedding_map.widget.groups.strip, embedding_map.session.clusters
    mark(table, "cluster 1")
    wait_until(lambda: strip.rows and set(strip.rows) <= set(embedding_map.rows_of(1)))
    clusters.assign(embedding_map.rows_of(1)[:15], clusters.id_of("cluster 2"))
    left = set(embedding_map.rows_of(1)[15:])
    wait_until(lambda: set(strip.rows) == left)
    clusters.delete([clusters.id_of("cluster 1")])
    wait_until(lambda: strip.isHidden())


def test_a_taken_name_that_was_typed_gives_way_to_the_former(embedding_map, table):
    QTest.keyClick(type_name(table, "cluster 0", "cluster 1"), Qt.Key.Key_Return)
    embedding_map.settle(0.1)
    assert "There is a group 'cluster 1'" in embedding_map.widget.error.text()
    assert [table.item(row, 0).text() for row in range(2)] == ["cluster 0", "cluster 1"]
    QTest.keyClick(type_name(table, "cluster 0", "  blasts "), Qt.Key.Key_Return)
    embedding_map.settle(0.1)
    assert table.item(0, 0).text() == "blasts"
    assert embedding_map.session.clusters.id_of("blasts") is not None


def test_a_name_typed_while_the_groups_change_renames_no_other(embedding_map, table):
    clusters = embedding_map.session.clusters
    field = type_name(table, "cluster 1", "blasts")
    clusters.delete([clusters.id_of("cluster 1")])
    QTest.keyClick(field, Qt.Key.Key_Return)
    embedding_map.settle(0.1)
    assert clusters.id_of("blasts") is None
    assert "changed while the name was typed" in embedding_map.widget.error.text()
    assert "cluster 1" not in [table.item(row, 0).text() for row in range(table.rowCount())]
    field = type_name(table, "cluster 2", "blasts")
    embedding_map.session.color_by("folder")
    QTest.keyClick(field, Qt.Key.Key_Return)
    embedding_map.settle(0.1)
    assert embedding_map.session.coloring.id_of("blasts") is None
    assert table.item(0, 0).text() == "class 0"


class HeldCompute:
    """Clusters rows when it may, as one cluster or as two."""

    def __init__(self):
        self.go = threading.Event()
        self.parts = 2

    def call(self, _name, embeddings, _count):
        assert self.go.wait(60)
        return np.arange(len(embeddings)) % self.parts


def test_a_split_waits_for_k_means_and_both_can_be_asked_for_again(embedding_map, monkeypatch):
    compute, groups = HeldCompute(), embedding_map.widget.groups
    monkeypatch.setattr(group_panel, "compute_process", lambda: compute)
    clusters = embedding_map.session.clusters
    groups.cluster()
    assert not groups.cluster_button.isEnabled()
    groups.split(clusters.id_of("cluster 1"))
    assert "Wait a moment" in embedding_map.widget.error.text()
    compute.go.set()
    wait_until(groups.cluster_button.isEnabled)
    assert "2 clusters" in embedding_map.widget.status.text()
    groups.split(clusters.id_of("cluster 0"))
    assert not groups.cluster_button.isEnabled()
    wait_until(groups.cluster_button.isEnabled)
    assert clusters.id_of("cluster 0 2") is not None
    assert embedding_map.widget.status.text().startswith("'cluster 0' is split")


def test_points_that_are_all_alike_are_not_split_and_that_is_said(embedding_map, monkeypatch):
    compute, groups = HeldCompute(), embedding_map.widget.groups
    compute.go.set()
    compute.parts = 1
    monkeypatch.setattr(group_panel, "compute_process", lambda: compute)
    before = embedding_map.session.clusters.counts()
    groups.split(embedding_map.session.clusters.id_of("cluster 1"))
    wait_until(lambda: "all alike" in embedding_map.widget.error.text())
    assert embedding_map.session.clusters.counts() == before


def test_a_place_that_cannot_be_opened_leaves_the_one_that_is(embedding_map):
    work, widget = embedding_map.work, embedding_map.widget
    work.refusal = "There is no picture in what was given."
    widget.open(embedding_map.folder / "empty")
    wait_until(lambda: "no picture" in widget.error.text())
    work.refusal = ""
    wait_until(lambda: not widget.making.jobs.is_busy)
    widget.lay_out()
    wait_until(lambda: not widget.making.jobs.is_busy)
    assert work.asked[-1] == embedding_map.folder / "pictures"
    assert widget.title.text() == "<b>pictures</b>"


def test_the_same_pictures_in_another_folder_have_clusters_of_their_own(embedding_map):
    embedding_map.session.clusters.rename(1, "tumour")
    (embedding_map.folder / "copy").mkdir()
    embedding_map.open(embedding_map.folder / "copy")
    assert embedding_map.widget.title.text() == "<b>copy</b>"
    assert embedding_map.widget.keeper.folder.folder.name == "copy.groups"
    assert embedding_map.session.clusters.id_of("tumour") is None
    embedding_map.open(embedding_map.folder / "pictures")
    assert embedding_map.session.clusters.id_of("tumour") == 1


def test_clusters_that_cannot_be_saved_are_not_left_without_a_question(embedding_map, monkeypatch):
    asked, answers = [], [False, True]

    def may(_parent, _title, words):
        asked.append(words)
        return answers.pop(0)

    monkeypatch.setattr(questions, "may", may)
    widget, keeper = embedding_map.widget, embedding_map.widget.keeper
    shutil.rmtree(keeper.folder.folder)
    embedding_map.session.clusters.rename(1, "tumour")
    wait_until(lambda: "cannot be saved" in widget.error.text())
    first = len(embedding_map.work.asked)
    widget.open(embedding_map.folder / "others")
    assert len(embedding_map.work.asked) == first
    assert embedding_map.session.clusters.id_of("tumour") == 1
    assert "Export" in asked[0]
    embedding_map.open(embedding_map.folder / "others")
    assert not answers
    assert widget.title.text() == "<b>others</b>"
    embedding_map.open(embedding_map.folder / "pictures")
    assert len(asked) == 2


def test_a_dropped_link_is_refused_and_a_dropped_folder_opened(embedding_map):
    def drop(url):
        data = QMimeData()
        data.setUrls([url])
        keys, action = Qt.KeyboardModifier.NoModifier, Qt.DropAction.CopyAction
        event = QDropEvent(QPointF(50, 50), action, data, LEFT, keys)
        embedding_map.widget.dropEvent(event)

    asked = len(embedding_map.work.asked)
    drop(QUrl("https://example.org/slides"))
    assert "no file or folder" in embedding_map.widget.error.text()
    assert len(embedding_map.work.asked) == asked
    folder = embedding_map.folder / "run 1.2 <b>"
    drop(QUrl.fromLocalFile(str(folder)))
    wait_until(lambda: not embedding_map.widget.making.jobs.is_busy)
    assert embedding_map.work.asked[-1] == folder
    assert embedding_map.widget.title.text() == "<b>run 1.2 &lt;b&gt;</b>"


def test_what_is_stopped_is_no_error(embedding_map):
    widget = embedding_map.widget
    embedding_map.work.go.clear()
    embedding_map.work.source = make_source(embedding_map.folder / "others", 30)
    widget.open(embedding_map.folder / "others")
    wait_until(lambda: embedding_map.session.count == 30)
    widget.making.jobs.cancel()
    wait_until(lambda: not widget.making.jobs.is_busy)
    assert widget.status.text() == "Stopped; the map is as far as it came."
    assert not widget.error.text()


def test_the_bar_says_how_many_of_the_selection_are_hidden(embedding_map, table):
    embedding_map.draw_around(0)
    table.item(row_called(table, "cluster 0"), 0).setCheckState(Qt.CheckState.Unchecked)
    words = embedding_map.widget.bar.words.text()
    assert words == f"20 of {COUNT} selected, 20 of them hidden · 20 hidden"


def test_neighbours_that_are_hidden_are_not_added(embedding_map):
    session = embedding_map.session
    session.filter("size", np.arange(COUNT) < COUNT / 2)
    session.selection.replace(embedding_map.rows_of(0)[:5])
    QTest.keyClick(embedding_map.map, Qt.Key.Key_N)
    assert len(session.selection) > 5
    assert session.shown[session.selection.rows].all()


def test_suggestions_go_into_groups_that_were_renamed_or_deleted_since(embedding_map):
    widget, session = embedding_map.widget, embedding_map.session
    clusters = session.clusters
    keys = [clusters.id_of(f"cluster {number}") for number in range(2)]
    widget.learning.learn(keys, widget.map_panel.form.config())
    clusters.delete([keys[1]])
    wait_until(lambda: session.suggested is not None and not widget.making.jobs.is_busy)
    clusters.rename(keys[0], "blasts")
    before = clusters.ids.copy()
    session.selection.replace(np.ones(COUNT, bool))
    widget.learning.accept()
    taught = session.suggested.ids != 0
    assert clusters.id_of("cluster 0") is None
    assert (clusters.ids[taught] == keys[0]).all()
    assert np.array_equal(clusters.ids[~taught], before[~taught])


def test_what_is_named_before_the_kept_groups_are_there_is_kept_too(embedding_map, monkeypatch):
    widget, session = embedding_map.widget, embedding_map.session
    session.clusters.rename(1, "tumour")
    first, opened = embedding_map.work.source, group_keeper._open
    embedding_map.work.source = make_source(embedding_map.folder / "others", 30)
    embedding_map.open(embedding_map.folder / "others")
    go = threading.Event()

    def late(*args):
        assert go.wait(60)
        return opened(*args)

    monkeypatch.setattr(group_keeper, "_open", late)
    embedding_map.work.source = replace(first)
    widget.open(embedding_map.folder / "pictures")
    wait_until(lambda: session.count == COUNT and not widget.making.jobs.is_busy)
    session.selection.replace([1, 4])
    widget.groups.name.setCurrentText("odd")
    QTest.mouseClick(widget.groups.assign_button, LEFT)
    go.set()
    wait_until(lambda: not widget.keeper.is_opening)
    clusters = session.clusters
    assert clusters is widget.keeper.folder.groups
    assert clusters.rows_of(clusters.id_of("odd")).tolist() == [1, 4]
    assert clusters.rows_of(clusters.id_of("tumour")).tolist() == embedding_map.rows_of(0)
